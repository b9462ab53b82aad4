"""Answers compared with the whole model's: what is right, what is wrong, and that wrong ones would be found."""

import os
from pathlib import Path

import numpy as np
import pytest

from hosts import logits
from hosts.logits import SHOWN, TOLERANCE, compare, error_of
from workers.answer_log import Answer

WHOLE = [np.array([1.0, -4.0, 2.0], "float32"), np.array([3.0, 0.5, -2.0], "float32")]


def answer(frame, logits, point=4):
    return Answer(1, frame, point, np.asarray(logits, "float32"))


def test_the_error_is_a_share_of_the_largest_logit():
    assert error_of(np.array([1.0, -4.0, 2.4], "float32"), WHOLE[0]) == pytest.approx(0.1)


@pytest.mark.parametrize("logits", [[1.0, -4.0], [], [1.0, np.nan, 2.0], [1.0, np.inf, 2.0]])
def test_what_cannot_be_compared_is_infinitely_wrong(logits):
    assert error_of(np.array(logits, "float32"), WHOLE[0]) == float("inf")


def test_frames_are_compared_with_the_picture_that_they_show():
    checked = compare([answer(0, WHOLE[0]), answer(1, WHOLE[1]), answer(2, WHOLE[0]), answer(7, WHOLE[1])], WHOLE)
    assert (checked.compared, checked.wrong_count, checked.worst) == (4, 0, 0.0)


def test_rounding_is_not_wrong_and_is_told():
    checked = compare([answer(0, WHOLE[0] + np.float32(4e-4))], WHOLE)
    assert checked.wrong_count == 0
    assert checked.worst == pytest.approx(1e-4, rel=0.01)


def test_an_answer_for_another_picture_is_found():
    checked = compare([answer(0, WHOLE[1], point=6)], WHOLE)
    assert checked.wrong_count == 1
    (wrong,) = checked.wrong
    assert (wrong.frame, wrong.point) == (0, 6)
    assert wrong.error > TOLERANCE


def test_an_answer_whose_label_is_right_and_whose_logits_are_one_percent_off_is_found():
    off = WHOLE[0] * np.array([1.0, 1.0, 1.02], "float32")
    assert np.argmax(off) == np.argmax(WHOLE[0])
    assert compare([answer(0, off)], WHOLE).wrong_count == 1


def test_the_control_is_the_distance_of_the_two_nearest_pictures():
    nearly = WHOLE[0] + np.float32(0.004)
    assert compare([], [*WHOLE, nearly]).control == pytest.approx(0.001, rel=0.01)


def test_of_many_wrong_answers_the_first_are_kept_and_all_counted():
    checked = compare([answer(2 * number, WHOLE[1]) for number in range(50)], WHOLE)
    assert checked.wrong_count == 50
    assert [wrong.frame for wrong in checked.wrong] == [2 * number for number in range(SHOWN)]


def test_notes_of_tensorflow_are_held_back_and_what_else_it_says_is_not(monkeypatch, capfd):
    def importing():
        os.write(2, b"I0000 00:00:17 port.cc:153] oneDNN custom operations are on\nE0000 00:00:17 no device\n")
        raise ImportError

    monkeypatch.setattr(logits, "import_runtime", importing)
    with pytest.raises(ImportError):
        logits.whole_logits(Path("stored"), "synthetic", 1)
    assert capfd.readouterr().err == "E0000 00:00:17 no device\n"
