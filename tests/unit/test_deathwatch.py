"""Processes that end are noticed at once, and once."""

import asyncio
import subprocess

from workers.deathwatch import DeathWatch


def watched(scenario):
    """Run a scenario with a watch; return the names of the dead in their order."""
    died = []

    async def run():
        await scenario(DeathWatch(died.append), died)

    asyncio.run(run())
    return died


async def until(died, count):
    async with asyncio.timeout(10):
        while len(died) < count:  # noqa: ASYNC110 - a list is no event
            await asyncio.sleep(0.005)


def sleeper():
    return subprocess.Popen(["sleep", "60"])


def test_each_death_is_told_once_by_its_name():
    async def scenario(watch, died):
        with sleeper() as one, sleeper() as other:
            assert watch.add("one", one.pid)
            assert watch.add("other", other.pid)
            other.kill()
            await until(died, 1)
            one.kill()
            await until(died, 2)
        watch.drop("one")

    assert watched(scenario) == ["other", "one"]


def test_what_is_no_longer_watched_dies_unnoticed():
    async def scenario(watch, died):
        with sleeper() as one, sleeper() as other:
            watch.add("one", one.pid)
            watch.add("other", other.pid)
            watch.drop("one")
            watch.drop("one")
            one.kill()
            one.wait()
            other.kill()
            await until(died, 1)

    assert watched(scenario) == ["other"]


def test_a_process_that_has_gone_cannot_be_watched():
    async def scenario(watch, _):
        with sleeper() as gone:
            gone.kill()
            gone.wait()
            assert not watch.add("gone", gone.pid)

    assert watched(scenario) == []
