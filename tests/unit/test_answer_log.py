"""The file of answers: what is written is read, and a record cut short is left out."""

import numpy as np
import pytest

from workers.answer_log import Answer, AnswerLog, read_answers


@pytest.fixture
def path(tmp_path):
    log = AnswerLog(tmp_path / "answers.bin")
    log.write(Answer(1, 0, 16, np.array([1.5, -2.0], "float32")))
    log.write(Answer(1, 1, 21, np.array([], "float32")))
    log.write(Answer(2, 70_000, 21, np.arange(1000, dtype="float32")))
    log.close()
    return tmp_path / "answers.bin"


def test_answers_come_back_as_they_were(path):
    first, empty, last = read_answers(path)
    assert (first.run, first.frame, first.point, first.logits.tolist()) == (1, 0, 16, [1.5, -2.0])
    assert empty.logits.size == 0
    assert (last.run, last.frame) == (2, 70_000)
    assert np.array_equal(last.logits, np.arange(1000, dtype="float32"))


@pytest.mark.parametrize("cut", [1, 3999, 4005, 4015])
def test_a_record_cut_short_is_left_out(path, cut):
    path.write_bytes(path.read_bytes()[:-cut])
    assert [answer.frame for answer in read_answers(path)] == [0, 1]


def test_a_log_goes_on_where_it_stopped(path):
    log = AnswerLog(path)
    log.write(Answer(3, 5, 1, np.zeros(1, "float32")))
    log.close()
    assert len(list(read_answers(path))) == 4
