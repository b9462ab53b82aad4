"""The trend page and its drawings: numbers by hand, and nothing that it would have to fetch."""

from html.parser import HTMLParser
from pathlib import Path

import pytest

from report.watch.history import History
from report.watch.ledger import Ledger, Mark
from report.watch.records import Finding, Verdict
from report.watch.spark import HEIGHT, WIDTH, spark
from report.watch.thresholds import load_thresholds
from report.watch.trend import render, write_trend
from report.watch.words import amount, change
from tests.unit.watch_nights import BLOCK, DOWNTIME, DROPS, STEADY, THRESHOLDS, WALL, night, nights

VOID = {"meta", "link", "br"}
SHIPPED = load_thresholds(Path(__file__).parents[2] / "config/watch/thresholds.yaml")


class Page(HTMLParser):
    """Checks that elements are closed in order, and collects ids, links and what is drawn."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.links, self.tags = [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.append(tag)
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found[name] for name in ("href", "src") if name in found]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, _attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def alarmed(number, series=DOWNTIME):
    finding = Finding(series, 150.0, 100.0, 1e-6, 8, f"{number:040d}", f"{number - 1:040d}", 149.0)
    return Verdict(f"n{number}", alarms=(finding,))


def drawing(records, series=DOWNTIME):
    return spark(series, Ledger(records).series[series], THRESHOLDS)


def points(text):
    return [tuple(map(float, pair.split(","))) for pair in text.split()]


def test_a_line_has_a_point_a_night_from_left_to_right_within_the_drawing():
    line = points(drawing(nights(DOWNTIME, STEADY)).line)
    assert len(line) == len(STEADY)
    assert [x for x, _ in line] == sorted(x for x, _ in line)
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in line)
    # the highest value is drawn highest
    assert min(line, key=lambda point: point[1]) == line[STEADY.index(max(STEADY))]


def test_the_band_begins_where_there_are_enough_nights():
    found = drawing(nights(DOWNTIME, STEADY))
    (band,) = found.bands
    assert len(points(band)) == 2 * (len(STEADY) - THRESHOLDS.fewest_nights)
    assert drawing(nights(DOWNTIME, STEADY[:5])).bands == []
    assert "still being learned" in drawing(nights(DOWNTIME, STEADY[:5])).note


def test_noise_below_what_matters_does_not_fill_the_drawing():
    heights = [y for _, y in points(drawing(nights(DOWNTIME, [100.0, 100.5, 99.5])).line)]
    assert max(heights) - min(heights) < HEIGHT / 10


def test_an_alarm_is_a_dot_and_a_line_with_its_commit():
    records = [*nights(DOWNTIME, STEADY), night(9, {DOWNTIME: 150.0}), alarmed(9)]
    found = drawing(records)
    (dot,) = found.dots
    assert (dot.tone, found.tone) == ("bad", "bad")
    assert dot.label == f"2026-11-09 01:00:00, commit {'0' * 10}: alarm, 150\N{NO-BREAK SPACE}ms"
    (step,) = found.steps
    assert (step.x, step.anchor) == (dot.x, "end")
    assert f"{Mark.ALARM.value}" in found.label


def test_a_single_night_is_a_drawing_too():
    assert len(points(drawing(nights(DOWNTIME, [100.0])).line)) == 1


def test_the_page_is_whole_and_needs_nothing_else():
    records = [night(n, {DOWNTIME: m, DROPS: 5.0, WALL: 60.0}) for n, m in enumerate(STEADY, start=1)]
    records += [night(9, {DOWNTIME: 150.0, DROPS: 5.0, WALL: 60.0}), alarmed(9)]
    text = render(History(tuple(records), ("history.jsonl, line 3 is damaged <b>",)), SHIPPED)
    page = Page(text)
    assert len(page.ids) == len(set(page.ids))
    assert all(link.startswith(("#", "data:,")) for link in page.links)
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert "<script" not in text
    assert "damaged &lt;b&gt;" in text
    assert page.tags.count("polyline") == 3
    assert "Night of 2026-11-09 01:00:00 UTC, commit 0000000000: 1 alarm." in text
    assert f">{BLOCK}<" in text


def test_a_page_without_alarms_says_so(tmp_path):
    write_trend(History(tuple(nights(DOWNTIME, STEADY))), SHIPPED, tmp_path / "deep/trend.html")
    assert "No night has raised an alarm." in (tmp_path / "deep/trend.html").read_text()


@pytest.mark.parametrize(
    ("series", "value", "shown"),
    [(DOWNTIME, 0.25, "0.250 ms"), (DOWNTIME, 1500.0, "1.50 s"), (DROPS, 12.34, "12.3 %"), (WALL, 300.0, "5 min")],
)
def test_amounts_have_their_units(series, value, shown):
    assert amount(series.kind, value).replace("\N{NO-BREAK SPACE}", " ") == shown


def test_changes_are_in_points_where_the_number_is_a_percentage():
    assert change(DROPS.kind, 10.0, 15.0) == "+5.0 points"
    assert change(DOWNTIME.kind, 100.0, 80.0).startswith("-20")
    assert change(DOWNTIME.kind, 0.0, 80.0) == "from 0"
