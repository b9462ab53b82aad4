"""What becomes of orders that come while a strategy is at work, and the slope of memory."""

import pytest

from report.metrics.soak import growth, switches
from tests.synthetic import MS
from workers.bench_records import Ordered
from workers.records import Event, EventKind, MemorySample

MBPS = 1000.0
S = 1000 * MS


def served(run, at_ms, took_ms=0.2, from_point=1, to_point=4):
    at_ns, end_ns = round(at_ms * MS), round((at_ms + took_ms) * MS)
    learned = {"mbps": MBPS, "from_point": from_point, "to_point": to_point}
    return [
        Event(run, at_ns, EventKind.CHANGE_LEARNED, learned),
        Event(run, end_ns, EventKind.ROUTED, {"container": "p1", "point": to_point}),
        Event(run, end_ns + MS, EventKind.REPARTITIONED, {"point": to_point, "moved": True, "ok": True}),
    ]


def test_orders_are_served_overtaken_or_ask_for_what_serves_already():
    events = {
        2: served(2, 100.0),
        # 3 was held back while 2 was at work, and 4 came before it was taken up
        4: served(4, 300.0, took_ms=7.0, from_point=4, to_point=6),
        5: served(5, 400.0, from_point=6, to_point=6),
    }
    found = switches([Ordered(2, 4), Ordered(3, 1), Ordered(4, 6), Ordered(5, 6)], events, MBPS)
    assert (found.ordered, found.served, found.overtaken, found.unmoved, found.failed) == (4, 2, 1, 1, 0)
    assert [taken.downtime_ms for taken in found.downtimes] == pytest.approx([0.2, 7.0])


def test_the_counts_add_up_with_one_that_failed():
    failed = served(2, 100.0)
    failed[-1] = Event(2, 200 * MS, EventKind.REPARTITIONED, {"moved": False, "ok": False, "reason": "no memory"})
    found = switches([Ordered(2, 4), Ordered(3, 1)], {2: failed}, MBPS)
    assert found.ordered == found.served + found.overtaken + found.unmoved + found.failed
    assert found.failed == 1
    assert "no memory" in found.reasons[0]


def test_changes_that_were_served_in_another_way_than_promised_are_told_from_the_others():
    moved = {"point": 4, "moved": True, "ok": True, "reason": "no standby for this speed: prepared at the change"}
    cold = served(2, 100.0, took_ms=900.0)
    cold[-1] = Event(2, 1100 * MS, EventKind.REPARTITIONED, moved)
    found = switches([Ordered(2, 4), Ordered(3, 1)], {2: cold, 3: served(3, 2000.0, 0.2, 4, 1)}, MBPS)
    assert (found.served, len(found.otherwise)) == (2, 1)
    assert found.otherwise[0].downtime_ms == pytest.approx(900.0)


def samples(megabytes_of_second, seconds):
    return [MemorySample(1, n * S // 4, 1, round(megabytes_of_second(n / 4) * 1e6)) for n in range(4 * seconds)]


def test_memory_that_grows_a_megabyte_a_second_grows_sixty_a_minute():
    found = growth(samples(lambda second: 100 + second, 240), 0, 240 * S)
    assert found.slope_mb_per_min == pytest.approx(60.0)
    assert found.start_mb == pytest.approx(102.375)  # the median of the first five seconds
    assert found.end_mb - found.start_mb == pytest.approx(235.0)


@pytest.mark.parametrize(("seconds", "has_slope"), [(60, False), (180, False), (186, True)])
def test_there_is_no_slope_where_start_and_end_are_less_than_minutes_apart(seconds, has_slope):
    found = growth(samples(lambda second: 100 + second, seconds), 0, seconds * S)
    assert (found.slope_mb_per_min is not None) == has_slope
    assert found.end_mb > found.start_mb


def test_pairs_under_way_do_not_make_a_slope():
    found = growth(samples(lambda second: 300 if 20 < second % 40 < 24 else 100, 600), 0, 600 * S)
    assert found.slope_mb_per_min == 0.0


def test_only_samples_between_start_and_end_count():
    found = growth(samples(lambda second: 100 if second < 30 else 500, 60), 0, 29 * S)
    assert (found.start_mb, found.end_mb) == (100, 100)


def test_too_few_samples_have_no_slope():
    assert growth(samples(lambda _: 100, 3), 0, 60 * S) is None
    assert growth([], 0, 60 * S) is None
