"""What becomes a suspect, an alarm, a standing alarm, a new level; and what is compared with what."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from report.watch.judge import clear_ones, decide, fails, judge, undecided
from report.watch.ledger import Ledger, Mark
from report.watch.records import Acceptance, Value
from tests.unit.watch_nights import (
    BLOCK,
    DOWNTIME,
    DROPS,
    OTHER,
    RATE,
    STEADY,
    THRESHOLDS,
    WALL,
    ledger_of,
    night,
    nights,
)

NEXT = len(STEADY) + 1


def judged(median, series=DOWNTIME, ledger=None, **changed):
    ledger = ledger or ledger_of(series)
    return judge(ledger, night(NEXT, {series: median}, **changed), THRESHOLDS)


def names(findings):
    return [finding.series for finding in findings]


class Watch:
    """Puts nights of one series through the watch, one after the other."""

    def __init__(self, series=DOWNTIME, medians=STEADY):
        self.ledger = ledger_of(series, medians)
        self.series = series
        self.number = len(medians)

    def night(self, median, again=None, **changed):
        self.number += 1
        found = night(self.number, {self.series: median}, **changed)
        judgement = judge(self.ledger, found, THRESHOLDS)
        seconds = {} if again is None else {self.series: Value(self.series, again, 6)}
        entered = undecided(found, judgement)
        verdict = decide(self.ledger, found, entered, seconds, THRESHOLDS)
        self.ledger.add(msgspec.structs.replace(found, verdict=entered))  # as the history has them
        if judgement.suspects:
            self.ledger.add(verdict)
        return verdict

    @property
    def marks(self):
        return [one.mark for one in self.ledger.series[self.series][len(STEADY) :]]


# --- suspects -----------------------------------------------------------------------------------------------


def test_a_night_like_the_others_has_no_suspect():
    found = judged(101.0)
    assert (found.suspects, found.better, found.standing, found.waiting) == ((), (), (), ())
    assert (found.compared, found.learning) == (1, 0)


def test_what_is_clearly_and_relevantly_worse_is_a_suspect():
    (finding,) = judged(130.0).suspects
    assert finding.series == DOWNTIME
    assert finding.value == 130.0
    assert finding.expected == pytest.approx(100, abs=0.1)
    assert finding.p < 0.001
    assert finding.nights == len(STEADY)
    assert (finding.since, finding.last_good) == (f"{NEXT:040d}", f"{NEXT - 1:040d}")


def test_what_is_clear_but_does_not_matter_is_none():
    assert judged(109.0).suspects == ()


def test_what_matters_but_is_not_clear_is_none():
    wide = (100.0, 140.0, 70.0, 120.0, 85.0, 100.0, 130.0, 75.0)
    assert judged(130.0, ledger=ledger_of(medians=wide)).suspects == ()


def test_what_got_better_is_no_suspect():
    found = judged(70.0)
    assert found.suspects == ()
    assert names(found.better) == [DOWNTIME]


@pytest.mark.parametrize("value", [80.0, 120.0])
def test_a_condition_is_a_suspect_both_ways(value):
    found = judged(value, RATE)
    assert names(found.suspects) == [RATE]
    assert found.better == ()


def test_a_rate_that_never_was_above_zero_is_a_suspect_from_its_points_on():
    never = ledger_of(DROPS, [0.0] * 20)
    assert names(judged(3.5, DROPS, never).suspects) == [DROPS]
    assert judged(2.5, DROPS, never).suspects == ()


def test_few_nights_are_being_learned():
    found = judged(900.0, ledger=ledger_of(medians=STEADY[:4]))
    assert (found.compared, found.learning, found.suspects) == (0, 1, ())


def test_a_median_over_few_runs_is_not_compared():
    few = msgspec.structs.replace(night(NEXT, {}), values=(Value(DOWNTIME, 500.0, 2),))
    found = judge(ledger_of(), few, THRESHOLDS)
    assert (found.compared, found.learning) == (0, 1)


def test_two_nights_that_are_a_little_worse_are_clear_together_and_since_the_first():
    wide = [2 * median - 100 for median in STEADY]
    number = NEXT + 1
    assert judged(115.0, ledger=ledger_of(medians=wide)).suspects == ()
    together = judge(ledger_of(medians=[*wide, 115.0]), night(number, {DOWNTIME: 115.0}), THRESHOLDS)
    (finding,) = together.suspects
    assert (finding.since, finding.last_good) == (f"{number - 1:040d}", f"{number - 2:040d}")


def test_a_bad_night_before_does_not_make_a_good_one_a_suspect():
    watch = Watch()
    watch.night(200.0, again=100.0)
    assert watch.night(85.0).waiting == ()


# --- like nights --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed",
    [{"hosts": {"edge cpu_model": "B"}}, {"protocol": 3}, {"blocks": {BLOCK: "c2", OTHER: "c1"}}],
    ids=["other hosts", "other protocol", "other config"],
)
def test_nights_that_are_not_alike_are_not_compared(changed):
    found = judged(900.0, **changed)
    assert (found.compared, found.learning, found.suspects) == (0, 1, ())


@pytest.mark.parametrize(
    "changed",
    [{"environment": {"edge kernel": "6.2"}}, {"blocks": {BLOCK: "c1", OTHER: "c2"}}, {"blocks": {BLOCK: "c1"}}],
    ids=["updated", "another block's config", "another block gone"],
)
def test_what_does_not_bear_on_a_series_leaves_it_comparable(changed):
    assert names(judged(130.0, **changed).suspects) == [DOWNTIME]


def test_a_machine_that_comes_back_finds_its_own_nights():
    ledger = Ledger(nights(DOWNTIME, STEADY))
    for number, median in enumerate([300.0] * 6, start=NEXT):
        ledger.add(night(number, {DOWNTIME: median}, hosts={"edge cpu_model": "B"}))
    assert names(judge(ledger, night(20, {DOWNTIME: 130.0}), THRESHOLDS).suspects) == [DOWNTIME]


def test_the_order_of_the_history_counts_not_the_clock():
    early = {"started_utc": "1970-01-01T00:00:00+00:00"}
    assert judged(130.0, **early).suspects[0].value == 130.0
    assert judged(101.0, **early).suspects == ()


# --- verdicts -----------------------------------------------------------------------------------------------


def test_a_suspect_that_is_borne_out_is_an_alarm():
    watch = Watch()
    (alarm,) = watch.night(130.0, again=128.0).alarms
    assert alarm.again == 128.0
    assert watch.marks == [Mark.ALARM]


@pytest.mark.parametrize("again", [101.0, 75.0])
def test_a_suspect_that_is_not_borne_out_is_refuted(again):
    watch = Watch()
    verdict = watch.night(130.0, again=again)
    assert (verdict.alarms, names(verdict.refuted)) == ((), [DOWNTIME])
    assert verdict.refuted[0].again == again


def test_a_suspect_that_was_not_measured_again_waits():
    verdict = Watch().night(130.0)
    assert (verdict.alarms, verdict.refuted, names(verdict.waiting)) == ((), (), [DOWNTIME])


def test_an_alarm_stands_without_being_measured_again_since_its_first_night():
    watch = Watch()
    watch.night(130.0, again=131.0)
    for median in (128.0, 118.0, 135.0):
        verdict = watch.night(median)
        assert (verdict.alarms, verdict.waiting, names(verdict.standing)) == ((), (), [DOWNTIME])
        assert (verdict.standing[0].since, verdict.standing[0].last_good) == (f"{NEXT:040d}", f"{NEXT - 1:040d}")


def test_an_alarm_ends_when_a_night_is_as_before_and_starts_anew_when_it_comes_back():
    watch = Watch()
    watch.night(130.0, again=131.0)
    assert watch.night(101.0).standing == ()
    (alarm,) = watch.night(130.0, again=129.0).alarms
    assert alarm.since == f"{watch.number:040d}"
    assert watch.marks == [Mark.ALARM, Mark.PLAIN, Mark.ALARM]


def test_an_accepted_level_is_the_new_normal_one():
    watch = Watch()
    watch.night(130.0, again=131.0)
    watch.ledger.add(Acceptance("2026-11-10T08:00:00+00:00", "TensorFlow 2.22"))
    assert watch.night(129.0).standing == ()
    assert names(watch.night(160.0, again=161.0).alarms) == [DOWNTIME]


def test_only_the_series_named_are_accepted():
    watch = Watch()
    watch.night(130.0, again=131.0)
    watch.ledger.add(Acceptance("2026-11-10T08:00:00+00:00", "", (DROPS,)))
    assert names(watch.night(130.0).standing) == [DOWNTIME]


def test_what_stays_better_for_two_nights_is_the_level_that_it_must_keep():
    watch = Watch()
    assert names(watch.night(70.0).better) == [DOWNTIME]
    watch.night(71.0)
    assert watch.marks == [Mark.PLAIN, Mark.PLAIN]
    assert names(watch.night(100.0, again=101.0).alarms) == [DOWNTIME]


def test_what_is_better_counts_once_though_an_open_verdict_came_first():
    ledger = Ledger(night(number, {DOWNTIME: value, DROPS: 1.0}) for number, value in enumerate(STEADY, start=1))
    for number in (NEXT, NEXT + 1):
        found = night(number, {DOWNTIME: 70.0, DROPS: 20.0})
        entered = undecided(found, judge(ledger, found, THRESHOLDS))
        final = decide(ledger, found, entered, {}, THRESHOLDS)
        for record in (msgspec.structs.replace(found, verdict=entered), final):
            ledger.add(record)
    assert [one.mark for one in ledger.series[DOWNTIME][len(STEADY) :]] == [Mark.PLAIN, Mark.PLAIN]


def test_a_night_fails_while_a_suspect_that_can_be_measured_again_was_not():
    ledger = ledger_of()
    found = night(NEXT, {DOWNTIME: 130.0})
    entered = undecided(found, judge(ledger, found, THRESHOLDS))
    assert fails(found, entered)
    assert fails(found, decide(ledger, found, entered, {}, THRESHOLDS))
    refuted = decide(ledger, found, entered, {DOWNTIME: Value(DOWNTIME, 100.0, 6)}, THRESHOLDS)
    assert not fails(found, refuted)
    grid = night(NEXT, {WALL: 130.0})
    assert not fails(grid, undecided(grid, judge(ledger_of(WALL), grid, THRESHOLDS)))


def test_a_verdict_stays_open_until_the_last_suspect_was_measured_again():
    ledger = Ledger(night(number, {DOWNTIME: value, DROPS: 1.0}) for number, value in enumerate(STEADY, start=1))
    found = night(NEXT, {DOWNTIME: 130.0, DROPS: 30.0})
    entered = undecided(found, judge(ledger, found, THRESHOLDS))
    half = decide(ledger, found, entered, {DOWNTIME: Value(DOWNTIME, 131.0, 6)}, THRESHOLDS)
    assert (names(half.alarms), names(half.waiting), half.open) == ([DOWNTIME], [DROPS], True)
    whole = decide(ledger, found, half, {DROPS: Value(DROPS, 1.0, 6)}, THRESHOLDS)
    assert (names(whole.alarms), names(whole.refuted), whole.waiting, whole.open) == ([DOWNTIME], [DROPS], (), False)


def test_what_was_better_once_is_no_level():
    watch = Watch()
    watch.night(70.0)
    watch.night(100.0)
    assert watch.marks == [Mark.BETTER, Mark.PLAIN]
    assert watch.night(101.0).alarms == ()


def test_the_grid_as_a_whole_alarms_in_the_second_night():
    watch = Watch(WALL)
    first = watch.night(130.0)
    assert (first.alarms, names(first.waiting)) == ((), [WALL])
    assert names(watch.night(131.0).alarms) == [WALL]


def test_the_grid_as_a_whole_does_not_alarm_for_one_night():
    watch = Watch(WALL)
    watch.night(130.0)
    verdict = watch.night(100.0)
    assert (verdict.alarms, verdict.waiting) == ((), ())


def test_a_verdict_on_another_night_than_the_last_marks_nothing():
    watch = Watch()
    verdict = watch.night(130.0, again=131.0)
    other = Watch()
    other.ledger.add(msgspec.structs.replace(verdict, night="n3"))
    assert all(one.mark is Mark.PLAIN for one in other.ledger.series[DOWNTIME])


# --- many at once -------------------------------------------------------------------------------------------


def test_benjamini_and_hochberg_by_hand():
    # level 0.05 over 5: limits 0.01, 0.02, 0.03, 0.04, 0.05; the fourth is the last below its limit
    assert clear_ones([0.001, 0.9, 0.039, 0.008, 0.035], 0.05) == [True, False, True, True, True]
    assert clear_ones([0.011, 0.021, 0.031, 0.041, 0.051], 0.05) == [False] * 5
    assert clear_ones([], 0.05) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50), st.floats(0.001, 0.2))
def test_it_is_never_stricter_than_bonferroni_nor_laxer_than_the_level(p_values, level):
    for p, clear in zip(p_values, clear_ones(p_values, level), strict=True):
        assert clear >= (p <= level / len(p_values))
        assert clear <= (p <= level)
