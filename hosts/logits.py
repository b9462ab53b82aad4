"""Compares the answers of a session with the whole model's, frame by frame: labels would hide what logits show."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from workers.answer_log import read_answers
from workers.bench_records import AnswersChecked, WrongAnswer
from workers.inference import LoadedModel, import_runtime
from workers.source import LOOP_FRAMES, open_source
from workers.stderr_notes import without_notes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from workers.answer_log import Answer

    Logits = NDArray[np.float32]

# Of the largest logit. A cut changes how TensorFlow fuses and rounds (1e-6 to 1e-4); a kernel 1 % off makes 1e-2.
TOLERANCE = 1e-3
SHOWN = 20


def error_of(logits: Logits, expected: Logits) -> float:
    """Return the largest difference of two vectors of logits as a share of the largest expected one.

    What cannot be compared, another length or no number, is infinitely wrong.
    """
    if logits.shape != expected.shape or not np.isfinite(logits).all():
        return float("inf")
    return float(np.abs(logits - expected).max() / np.abs(expected).max())


def compare(answers: Iterable[Answer], whole: Sequence[Logits], tolerance: float = TOLERANCE) -> AnswersChecked:
    """Compare answers with the whole model's for a loop of pictures; frame k shows number k modulo its length."""
    wrong: list[WrongAnswer] = []
    compared, wrong_count, worst = 0, 0, 0.0
    for answer in answers:
        compared += 1
        error = error_of(answer.logits, whole[answer.frame % len(whole)])
        if error <= tolerance:
            worst = max(worst, error)
            continue
        wrong_count += 1
        if len(wrong) < SHOWN:
            wrong.append(WrongAnswer(answer.run, answer.frame, answer.point, min(error, 1e9)))
    pairs = itertools.permutations(whole, 2)
    control = min((error_of(one, other) for one, other in pairs), default=0.0)
    return AnswersChecked(compared, wrong_count, tuple(wrong), tolerance, worst, control, len(whole))


def whole_logits(stored: Path, source: str, seed: int) -> list[Logits]:
    """Return the logits of the uncut model for every picture of the source's loop; imports TensorFlow."""
    with without_notes():  # TensorFlow says them before it heeds its own setting, and only while it is imported
        import_runtime()
    model = LoadedModel.load(stored)
    height, width, _ = model.meta.input_shape
    run = model.build_head(model.points[-1].index)  # its head is all of it
    pictures = itertools.islice(open_source(source, seed, height, width).frames(), LOOP_FRAMES)
    return [np.array(run(picture)).reshape(-1) for picture in pictures]


def check_answers(path: Path, stored: Path, frames: tuple[str, int], run: int) -> AnswersChecked:
    """Compare the answers of `run` in a log with the whole model; `frames` are source and seed of the pictures."""
    found = read_answers(path) if path.exists() else iter(())
    return compare((answer for answer in found if answer.run == run), whole_logits(stored, *frames))
