"""Requested against achieved, and clock offsets."""

import msgspec
import pytest

from report.metrics.clocks import Probes, Shift, probes_of, shift_between
from report.metrics.conditions import Tolerances, compare
from tests.synthetic import RunSpec, block_record, run_record
from workers.records import ClockOffset, Conditions

ASKED = Conditions(20, 5, 20, 50, 75, 10)


def achieved(**changes):
    values = {
        "link_mbps_before": 20,
        "link_mbps_after": 5,
        "link_delay_ms": 20,
        "cpu_pct": 50,
        "mem_pct": 75,
        "fps": 10,
    }
    return Conditions(**values | changes)


@pytest.mark.parametrize(
    ("quantity", "just_inside", "outside"),
    [
        ("link_mbps_before", 18.0, 17.9),
        ("link_mbps_after", 5.5, 5.6),
        ("link_delay_ms", 22.0, 22.1),
        ("cpu_pct", 55.0, 55.1),
        ("mem_pct", 70.0, 69.9),
        ("fps", 9.5, 9.4),
    ],
)
def test_each_quantity_has_its_tolerance(quantity, just_inside, outside):
    assert compare(ASKED, achieved(**{quantity: just_inside}), Tolerances()).within_tolerance is True
    comparison = compare(ASKED, achieved(**{quantity: outside}), Tolerances())
    assert comparison.within_tolerance is False
    assert comparison.out_of_tolerance == (quantity,)


def test_what_was_not_measured_is_not_called_within():
    comparison = compare(ASKED, achieved(fps=None), Tolerances())
    assert comparison.within_tolerance is None
    assert comparison.not_measured == ("fps",)


def test_a_delay_of_zero_is_allowed_what_hosts_add():
    nothing = msgspec.structs.replace(ASKED, link_delay_ms=0.0)
    assert compare(nothing, achieved(link_delay_ms=0.4), Tolerances()).within_tolerance is True
    assert compare(nothing, achieved(link_delay_ms=0.6), Tolerances()).out_of_tolerance == ("link_delay_ms",)


def test_what_was_not_asked_for_is_not_compared():
    assert compare(Conditions(fps=10), achieved(cpu_pct=1), Tolerances()).within_tolerance is True


def test_the_configs_tolerances_are_used_and_the_others_keep_their_default():
    tolerances = Tolerances.from_config({"tolerances": {"link_mbps_pct": 50.0, "cpu_points": 1}})
    assert tolerances == Tolerances(link_share=0.5, cpu_points=1)
    assert Tolerances.from_config(None) == Tolerances()


BEFORE = {"device": ClockOffset(1000, 10), "edge": ClockOffset(5000, 20)}
AFTER = {"device": ClockOffset(1100, 12), "edge": ClockOffset(5000, 15)}


def test_a_shift_takes_the_middle_and_widens_the_bound_by_the_drift():
    probes = Probes(BEFORE, AFTER, of_run=True)
    assert shift_between(probes, "device", "edge") == Shift(3950, 12 + 50 + 20)
    assert shift_between(probes, "edge", "device") == Shift(-3950, 82)


def test_one_probe_is_enough_and_none_is_unknown():
    probes = Probes(BEFORE, {}, of_run=False)
    assert shift_between(probes, "device", "edge") == Shift(4000, 30)
    assert shift_between(probes, "edge", "cloud") is None


def test_a_run_has_its_own_probes_or_those_of_its_block():
    block = block_record((), "vgg19", "switch-b2", 100, 100)
    run = run_record(RunSpec(), 1, 100, 100)
    assert probes_of(block, run) == Probes(block.clock_before, block.clock_after, of_run=False)
    probed = msgspec.structs.replace(run, clock_before=BEFORE)
    assert probes_of(block, probed) == Probes(BEFORE, {}, of_run=True)
