"""The edge's way to the cloud: replies find whoever waits for them, and a link that takes nothing in is told."""

import asyncio

import zmq

from workers import messages as m
from workers.cloud_tier import CloudTier


class Link:
    """Keeps what is sent; full, it takes nothing in."""

    def __init__(self, *, full=False):
        self.full = full
        self.sent = []

    def send(self, parts):
        if self.full:
            raise zmq.Again
        self.sent.append(parts)


def test_a_reply_finds_its_order_whatever_the_sequence():
    async def scenario():
        cloud = CloudTier(Link())
        first = asyncio.ensure_future(cloud.obey(m.ProbePing(1)))
        second = asyncio.ensure_future(cloud.obey(m.ProbePing(2)))
        await asyncio.sleep(0)
        for number in (2, 1):
            assert cloud.hear([m.encode(m.ProbeReport(number, (number,)))]) is None
        return await first, await second

    assert asyncio.run(scenario()) == (m.ProbeReport(1, (1,)), m.ProbeReport(2, (2,)))


def test_a_death_answers_no_order():
    died = m.Died("p1", 137, 1, "killed")
    assert CloudTier(Link()).hear([m.encode(died)]) == died


def test_an_order_that_the_link_does_not_take_in_is_refused():
    reply = asyncio.run(CloudTier(Link(full=True)).obey(m.ProbePing(1)))
    assert reply == m.Refused(1, "cloud: 16 orders wait already for the link to take them in")
