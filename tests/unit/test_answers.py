"""Who waits for a runner's answer hears it, or why there is none."""

import asyncio

import pytest

from workers import messages as m
from workers.answers import Answers
from workers.errors import ContainerError

UP = m.RunnerUp((1,), {"start": 3.0}, 0)


def run(scenario):
    return asyncio.run(scenario(Answers()))


def test_an_answer_reaches_who_asked_also_before_it_is_waited_for():
    async def scenario(answers):
        asked = answers.expect("p1")
        answers.hear("p1", UP)
        return await answers.wait("p1", asked, 1.0)

    assert run(scenario) == UP


def test_each_container_has_its_own_answer():
    async def scenario(answers):
        first, second = answers.expect("p1"), answers.expect("p2")
        answers.hear("p2", m.PartDropped(2))
        answers.hear("p1", m.PartDropped(1))
        return await answers.wait("p1", first, 1.0), await answers.wait("p2", second, 1.0)

    assert run(scenario) == (m.PartDropped(1), m.PartDropped(2))


def test_trouble_is_raised_with_its_reason():
    async def scenario(answers):
        asked = answers.expect("p1")
        answers.hear("p1", m.RunnerTrouble("no memory"))
        await answers.wait("p1", asked, 1.0)

    with pytest.raises(ContainerError, match="no memory"):
        run(scenario)


def test_silence_ends_after_its_time():
    async def scenario(answers):
        await answers.wait("p1", answers.expect("p1"), 0.01)

    with pytest.raises(ContainerError, match=r"container p1 gave no answer in 0\.01 s"):
        run(scenario)


def test_an_answer_that_nobody_waits_for_is_not_kept_for_the_next_who_asks():
    async def scenario(answers):
        answers.hear("p1", UP)
        asked = answers.expect("p1")
        answers.hear("p1", m.PartDropped(1))
        answers.hear("p1", m.PartDropped(2))  # a second answer to the same question
        return await answers.wait("p1", asked, 1.0)

    assert run(scenario) == m.PartDropped(1)
