"""Answers of cut models against the whole one, with real TensorFlow; and that one changed weight would be found."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hosts.logits import TOLERANCE, compare, whole_logits
from workers.answer_log import Answer
from workers.inference import LoadedModel
from workers.source import LOOP_FRAMES, SYNTHETIC, open_source
from workers.store import WEIGHTS, StoredModel, put

pytestmark = pytest.mark.tensorflow
SEED = 3


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    return Path(put("tests.models:residual", "random", SEED, tmp_path_factory.mktemp("store")).path)


def answers(folder):
    """Return the answers for one loop of frames, each through the next of the model's points."""
    model = LoadedModel.load(folder)
    height, width, _ = model.meta.input_shape
    parts = [(point.index, model.build_head(point.index), model.build_tail(point.index)) for point in model.points]
    pictures = open_source(SYNTHETIC, SEED, height, width).frames()
    found = []
    for frame in range(LOOP_FRAMES):
        point, head, tail = parts[frame % len(parts)]
        found.append(Answer(1, frame, point, np.array(tail(head(next(pictures))))))
    return found


def test_every_cut_answers_as_the_whole_model_does(stored):
    checked = compare(answers(stored), whole_logits(stored, SYNTHETIC, SEED))
    assert (checked.compared, checked.wrong_count) == (LOOP_FRAMES, 0)
    assert checked.worst <= TOLERANCE


def test_a_kernel_that_is_a_tenth_off_is_found(stored, tmp_path):
    wrong = tmp_path / "wrong"
    shutil.copytree(stored, wrong)
    kernel = next(variable for variable in StoredModel.read(stored).variables if "kernel" in variable.path)
    with (wrong / WEIGHTS).open("r+b") as file:
        file.seek(kernel.offset)
        values = np.frombuffer(file.read(4 * int(np.prod(kernel.shape))), "<f4") * np.float32(1.1)
        file.seek(kernel.offset)
        file.write(values.tobytes())
    checked = compare(answers(wrong), whole_logits(stored, SYNTHETIC, SEED))
    assert checked.wrong_count == LOOP_FRAMES


def test_another_seed_s_pictures_are_found(stored):
    assert compare(answers(stored), whole_logits(stored, SYNTHETIC, SEED + 1)).wrong_count > 0


@pytest.mark.parametrize("factory", ["small", "picture"])
def test_a_model_that_does_nothing_gives_back_the_corner_of_its_frame(factory, tmp_path):
    model = LoadedModel.load(Path(put(f"workers.null_models:{factory}", "random", 0, tmp_path).path))
    assert model.meta.weights_bytes == 0
    frame = np.zeros(model.meta.input_shape, "uint8")
    frame[0, 0] = (7, 8, 250)
    for point in model.points:
        assert model.build_tail(point.index)(model.build_head(point.index)(frame)).tolist() == [7, 8, 250]


def test_importing_tensorflow_says_nothing(stored):
    script = f"import pathlib, hosts.logits as l; l.whole_logits(pathlib.Path({str(stored)!r}), {SYNTHETIC!r}, {SEED})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
