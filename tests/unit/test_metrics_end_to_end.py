"""T_inf as measured: where a frame's time went, by hand."""

import math

import msgspec
import pytest

from report.metrics.end_to_end import measured
from tests.synthetic import CLOCKS, MS
from workers.records import ClockOffset, Conditions, EdgeFrame, Outcome, PointRun

BOUND_NS = 30_000
CLOCK = {role: ClockOffset(ns, BOUND_NS) for role, ns in CLOCKS.items()}
FOUND = Conditions(link_mbps_before=19.0, link_mbps_after=19.4)
RUN = PointRun(4, 20.0, 17, ("best", "config"), 2.0, FOUND, FOUND, CLOCK, CLOCK)


def frame(number, *, head=50.0, transfer=30.0, tail=20.0, waited=2.0, **changes):
    received_ns = CLOCKS["edge"] + number * 1000 * MS
    head_done_ns = received_ns + round((waited + head) * MS)
    at_cloud_ns = head_done_ns + round(transfer * MS) - CLOCKS["edge"] + CLOCKS["cloud"]
    whole = EdgeFrame(
        run=RUN.run,
        frame=number,
        received_ns=received_ns,
        outcome=Outcome.ANSWERED,
        point=17,
        head_ms=head,
        head_done_ns=head_done_ns,
        cloud_received_ns=at_cloud_ns,
        tail_ms=tail,
        tail_done_ns=at_cloud_ns + round(tail * MS),
    )
    return msgspec.structs.replace(whole, **changes)


def of(*frames, run=RUN):
    return measured([run], {RUN.run: frames})


def test_head_transfer_and_tail_add_up_and_waiting_is_apart():
    found = of(frame(0), frame(1, head=52.0, transfer=33.0, tail=21.0, waited=9.0), frame(2, head=54.0))
    assert found.edge.median == pytest.approx(52)
    assert found.transfer.median == pytest.approx(30)
    assert found.cloud.median == pytest.approx(20)
    assert found.total.median == pytest.approx(104)  # of 100, 106, 104: frame by frame, not 52 + 30 + 20
    assert found.queue.median == pytest.approx(2)
    assert found.total.n == 3
    assert found.why == ("best", "config")


def test_the_bound_is_that_of_both_clocks_and_half_of_their_drift():
    drifted = {**CLOCK, "cloud": ClockOffset(CLOCKS["cloud"] + 10_000, BOUND_NS)}
    assert of(frame(0)).bound_ms == pytest.approx(0.06)
    assert of(frame(0), run=msgspec.structs.replace(RUN, clock_after=drifted)).bound_ms == pytest.approx(0.065)


def test_a_clock_that_drifted_moves_the_transfer_by_half_of_it():
    drifted = {**CLOCK, "cloud": ClockOffset(CLOCKS["cloud"] + 4 * MS, BOUND_NS)}
    found = of(frame(0), run=msgspec.structs.replace(RUN, clock_after=drifted))
    assert found.transfer.median == pytest.approx(28)


def test_a_negative_transfer_is_shown_as_it_is():
    assert of(frame(0, transfer=-0.2)).transfer.median == pytest.approx(-0.2)


def test_without_clocks_neither_transfer_nor_total_is_known():
    found = of(frame(0), frame(1), run=msgspec.structs.replace(RUN, clock_before={}, clock_after={}))
    assert (found.transfer.n, found.total.n, found.bound_ms) == (0, 0, None)
    assert math.isnan(found.total.median)
    assert (found.edge.n, found.edge.median) == (2, pytest.approx(50))


@pytest.mark.parametrize(
    "change",
    [
        {"outcome": Outcome.LATE},
        {"point": 22},
        {"head_ms": None},
        {"head_done_ns": None},
        {"cloud_received_ns": None},
        {"tail_ms": None},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_frame_that_did_not_go_all_the_way_through_the_cut_does_not_count(change):
    found = of(frame(0), frame(1, head=500.0, **change))
    assert (found.total.n, found.total.median) == (1, pytest.approx(100))


def test_no_frame_is_no_measurement():
    found = of()
    assert (found.total.n, found.why) == (0, ("best", "config"))


def test_runs_of_one_point_are_pooled_and_the_links_rate_is_the_median_of_all_probes():
    other = msgspec.structs.replace(RUN, run=5, why=("paper",), achieved=Conditions(link_mbps_after=20.2))
    frames = {4: (frame(0),), 5: (frame(0, head=60.0),)}
    found = measured([RUN, other], frames)
    assert (found.total.n, found.edge.median) == (2, pytest.approx(55))
    assert found.why == ("best", "config", "paper")
    assert found.mbps == pytest.approx(19.4)  # of 19.0, 19.4, 20.2


def test_a_head_of_no_time_is_a_time():
    assert of(frame(0, head=0.0, tail=0.0)).total.median == pytest.approx(30)
