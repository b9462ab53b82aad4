"""Whole nights by the commands: everything is real but the testbed, in whose place blocks are written."""

import json
import random
import re
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import yaml

from hosts.config import load
from hosts.grid import blocks
from report.watch import commands, night
from report.watch.__main__ import main
from report.watch.history import append_record, read_history
from report.watch.lock import one_night
from tests.synthetic import RunSpec, write_block
from workers.records import Status

COMMIT = "0123456789abcdef0123456789abcdef01234567"
GRID = {
    "models": {"vgg19": {}},
    "strategies": ["pause-resume", "switch-b2"],
    "cpu_pct": [100, 50],
    "repeats": 3,
    "fps": [10],
}
SLOW = "switch-b2"


class Testbed:
    """Stands where the testbed would be: writes the blocks of a config, each with a spread of two per cent."""

    __test__ = False

    def __init__(self, seed=1):
        self.random = random.Random(seed)
        self.slower = {}  # strategy -> factor, while it lasts
        self.again_slower = None  # the same for second measurements, where they differ
        self.measured = []
        self.record = {}
        self.leave_out = ()
        self.broken = ()  # folders of blocks all runs of which fail
        self.gone = ()  # folders of blocks that leave nothing behind
        self.nights = 0

    def __call__(self, path):
        config = load(path)
        results = Path(config.results)
        again = path.name == "again.yaml"
        slower = self.slower if self.again_slower is None or not again else self.again_slower
        self.nights += not again
        chosen = [
            block for block in blocks(config) if block.strategy not in self.leave_out and block.folder not in self.gone
        ]
        self.measured.append([block.folder for block in chosen])
        started = f"2026-11-{self.nights:02d}T0{1 + again}:00:00+00:00"
        for block in chosen:
            runs = self.runs(slower.get(block.strategy, 1.0))
            if block.folder in self.broken:
                runs = [replace(run, status=Status.FAILED, reason="it died", measured=False) for run in runs]
            write_block(
                results,
                runs,
                strategy=block.strategy,
                cpu_pct=block.cpu_pct,
                **{"config_hash": config.digest("vgg19"), "started_utc": started, **self.record},
            )
        results.mkdir(parents=True, exist_ok=True)
        (results / "config.json").write_bytes(msgspec.json.encode(config))

    def runs(self, factor):
        spec = RunSpec(before_ms=300.0, after_ms=300.0)
        return [
            replace(spec, routed_ms=400 * factor * self.random.gauss(1, 0.02), repeat=repeat, from_mbps=a, to_mbps=b)
            for repeat in range(1, 4)
            for a, b in ((20.0, 5.0), (5.0, 20.0))
        ]


class Place:
    """A folder with a config, in which nights are measured by the command."""

    def __init__(self, folder, testbed):
        self.folder = folder
        self.testbed = testbed
        self.config = folder / "nightly.yaml"
        self.history = folder / "nights/history.jsonl"
        self.summary = folder / "summary.md"
        self.thresholds = None
        self.write()

    def write(self, **changed):
        self.config.write_text(yaml.safe_dump(GRID | {"results": str(self.folder / "nights")} | changed))

    def night(self):
        options = ["--thresholds", str(self.thresholds)] if self.thresholds else []
        return main(["night", "--config", str(self.config), "--summary", str(self.summary), *options])

    def content_with(self, ok_share):
        """Let a night count that measured so little."""
        thresholds = yaml.safe_load(Path("config/watch/thresholds.yaml").read_text()) | {"ok_share": ok_share}
        self.thresholds = self.folder / "thresholds.yaml"
        self.thresholds.write_text(yaml.safe_dump(thresholds))

    def said(self):
        return self.summary.read_text().replace("\xa0", " ").split("\n## ")[-1].removeprefix("## ")

    def last(self):
        return read_history(self.history).nights[-1]

    def verdict(self):
        history = read_history(self.history)
        return history.verdict_on(history.nights[-1])

    def like_nights(self, count=8):
        """Give the history some nights like its only one, each number of them a little different."""
        first = msgspec.structs.replace(self.last(), verdict=None)
        for number in range(count):
            values = tuple(
                msgspec.structs.replace(value, median=value.median * self.testbed.random.gauss(1, 0.01))
                for value in first.values
            )
            append_record(
                self.history,
                msgspec.structs.replace(first, id=f"like {number}", values=values, commit=f"{number}" * 40),
            )


@pytest.fixture
def place(tmp_path, monkeypatch):
    testbed = Testbed()
    monkeypatch.setattr(commands, "measure", testbed)
    monkeypatch.delattr(night, "subprocess")  # nothing here may start a grid
    return Place(tmp_path, testbed)


@pytest.fixture
def watched(place):
    assert place.night() == 0
    place.like_nights()
    return place


def test_the_first_night_is_learned(place):
    assert place.night() == 0
    assert "nothing got worse" in place.said()
    assert "The history begins with this night." in place.said()
    assert place.verdict().night == place.last().id
    folder = place.history.with_name("latest")
    assert sorted(path.name for path in folder.iterdir()) == ["grid", "grid.yaml", "summary.md", "trend.html"]


def test_a_night_like_the_others_is_fine_and_measures_nothing_again(watched):
    watched.testbed.measured.clear()
    assert watched.night() == 0
    assert len(watched.testbed.measured) == 1
    assert " compared with like nights. 24 of 24 runs gave a result." in watched.said()


def test_a_slower_strategy_is_measured_again_alone_and_alarms(watched):
    watched.testbed.slower = {SLOW: 1.3}
    watched.testbed.measured.clear()
    assert watched.night() == 1
    assert {folder.split("/")[1] for folder in watched.testbed.measured[1]} == {SLOW}
    verdict = watched.verdict()
    assert {alarm.series.of for alarm in verdict.alarms} >= {SLOW, "vgg19/switch-b2/cpu50-mem100"}
    assert all("pause-resume" not in alarm.series.of for alarm in verdict.alarms)
    assert all(alarm.since == COMMIT and alarm.last_good == "7" * 40 for alarm in verdict.alarms)
    said = watched.said()
    assert "alarms" in said.splitlines()[0]
    assert "| switch-b2, all blocks, downtime | 4" in said
    assert re.search(r"\| \+(2[5-9]|3[0-5]) % \|", said)
    assert f"| {COMMIT[:10]} | 7777777777 |" in said


def test_a_noisy_neighbour_of_one_night_does_not_alarm(watched):
    watched.testbed.slower = {SLOW: 1.3}
    watched.testbed.again_slower = {}
    assert watched.night() == 0
    assert "Refuted" in watched.said()
    assert watched.verdict().refuted


def test_an_alarm_stands_until_it_is_accepted(watched, capsys):
    watched.testbed.slower = {SLOW: 1.3}
    assert watched.night() == 1
    watched.testbed.measured.clear()
    assert watched.night() == 1
    assert "standing alarms" in watched.said()
    history = ["--history", str(watched.history)]
    assert main(["accept", *history, "--note", "the new decoder", "--only", "no such"]) == 2
    assert "No standing alarm has 'no such' in its name" in capsys.readouterr().err
    assert main(["accept", *history, "--note", "the new decoder"]) == 0
    assert "accepted: switch-b2, all blocks, downtime" in capsys.readouterr().out
    assert watched.night() == 0
    assert main(["accept", *history, "--note", "again"]) == 2


def test_a_night_that_measured_nothing_fails(watched, capsys):
    watched.testbed.leave_out = ("pause-resume", SLOW)
    before = watched.history.read_bytes()
    assert watched.night() == 3
    assert "The night measured nothing" in capsys.readouterr().err
    assert watched.said().startswith("The night fails")
    assert watched.history.read_bytes() == before


def test_a_night_that_measured_too_little_fails_and_is_no_baseline(watched, capsys):
    watched.testbed.leave_out = (SLOW,)
    assert watched.night() == 3
    assert "12 of 24 runs gave a result" in capsys.readouterr().err
    assert watched.last().short
    watched.testbed.leave_out = ()
    assert watched.night() == 0


def test_suspects_that_could_not_be_measured_again_fail_the_night(watched, capsys, monkeypatch):
    watched.testbed.slower = {SLOW: 1.3}

    def half(path):
        if path.name == "grid.yaml":
            watched.testbed(path)

    monkeypatch.setattr(commands, "measure", half)
    assert watched.night() == 3
    assert "measured nothing" in capsys.readouterr().err


def test_suspects_that_are_never_measured_again_never_become_the_baseline(watched, monkeypatch):
    watched.testbed.slower = {SLOW: 1.3}

    def once(path):
        if path.name == "grid.yaml":
            watched.testbed(path)

    with monkeypatch.context() as patched:
        patched.setattr(commands, "measure", once)
        assert [watched.night() for _ in range(7)] == [3] * 7
    assert "waiting suspects" in watched.said() or "measured nothing" in watched.said()
    assert watched.verdict().open
    assert watched.night() == 1
    assert {alarm.last_good for alarm in watched.verdict().alarms} == {"7" * 40}


def test_a_night_that_is_killed_before_its_suspects_are_measured_again_is_no_baseline(watched, monkeypatch):
    watched.testbed.slower = {SLOW: 1.3}

    def killed(path):
        if path.name == "again.yaml":
            raise KeyboardInterrupt
        watched.testbed(path)

    with monkeypatch.context() as patched:
        patched.setattr(commands, "measure", killed)
        for _ in range(7):
            with pytest.raises(KeyboardInterrupt):
                watched.night()
    assert watched.night() == 1


def test_a_block_that_fails_altogether_alarms_every_night(watched):
    watched.content_with(ok_share=0.5)
    watched.testbed.broken = ("vgg19/switch-b2/cpu50-mem100",)
    assert [watched.night() for _ in range(4)] == [1] * 4
    (alarm,) = watched.verdict().standing
    assert alarm.series.text == "vgg19/switch-b2/cpu50-mem100, runs not ok"
    assert alarm.value == 100


def test_a_block_that_leaves_nothing_behind_fails_every_night(watched):
    watched.content_with(ok_share=0.5)
    watched.testbed.gone = ("vgg19/switch-b2/cpu50-mem100",)
    assert [watched.night() for _ in range(3)] == [3] * 3
    assert "1 block not measured" in watched.said().splitlines()[0]
    assert "### Not measured\n\n- vgg19/switch-b2/cpu50-mem100\n" in watched.said()


def test_other_code_in_the_second_measurement_fails_the_night(watched, capsys, monkeypatch):
    watched.testbed.slower = {SLOW: 1.3}

    def moved(path):
        watched.testbed.record = {"commit": "f" * 40} if path.name == "again.yaml" else {}
        watched.testbed(path)

    monkeypatch.setattr(commands, "measure", moved)
    assert watched.night() == 3
    assert "measured again by commit ffff" in capsys.readouterr().err


def test_another_machine_is_a_class_of_its_own_and_said(watched):
    watched.testbed.slower = {SLOW: 3.0}
    hosts = {role: {"cpu_model": "Other CPU", "cpus": 2, "memory_mb": 8000} for role in ("device", "edge", "cloud")}
    watched.testbed.record = {"hosts": hosts}
    assert watched.night() == 0
    assert "Another class of hosts than the night before" in watched.said()
    assert "cpu_model Synthetic CPU 3000 → Other CPU" in watched.said()
    assert "compared with the 0 earlier nights of its own class" in watched.said()


def test_a_changed_config_is_a_class_of_its_own_and_said(watched):
    watched.testbed.slower = {SLOW: 3.0}
    watched.write(deadline_ms=900)
    assert watched.night() == 0
    assert "Other config than the night before: the series of 4 blocks" in watched.said()
    assert "0 series compared" in watched.said()


def test_a_clock_that_runs_backwards_is_said_and_changes_nothing(watched):
    watched.testbed.record = {"started_utc": "2001-01-01T00:00:00+00:00"}
    watched.testbed.slower = {SLOW: 1.3}
    assert watched.night() == 1
    assert "The clock runs backwards: the night before began at 2026-11-01 01:00:00 UTC" in watched.said()


def test_a_torn_line_is_said_and_harms_no_other_night(watched):
    with watched.history.open("ab") as file:
        file.write(b'{"record":"night","id":"torn')
    watched.testbed.slower = {SLOW: 1.3}
    assert watched.night() == 1
    assert "history.jsonl, line 10 is damaged" in watched.said()


def test_a_history_of_newer_code_is_refused_before_anything_is_measured(watched, capsys):
    append_record(watched.history, msgspec.structs.replace(watched.last(), schema=99))
    watched.testbed.measured.clear()
    assert watched.night() == 2
    assert watched.testbed.measured == []
    assert "newer code (history schema 99" in capsys.readouterr().err


def test_two_nights_at_once_are_refused_before_anything_is_measured(watched, capsys):
    watched.testbed.measured.clear()
    with one_night(watched.history):
        assert watched.night() == 4
    assert watched.testbed.measured == []
    assert "Another night is under way" in capsys.readouterr().err


# --- the same, step by step ---------------------------------------------------------------------------------


def appended_by_hand(watched):
    """Append a night with a slow strategy; return the option that names the history, and the night's config."""
    history = ["--history", str(watched.history)]
    watched.testbed.slower = {SLOW: 1.3}
    grid = watched.folder / "by-hand.yaml"
    grid.write_text(yaml.safe_dump(GRID | {"results": str(watched.folder / "by-hand")}))
    watched.testbed(grid)
    assert main(["append", *history, "--results", str(watched.folder / "by-hand")]) == 0
    return history, grid


def test_the_steps_by_hand_come_to_the_same(watched, capsys):
    history, grid = appended_by_hand(watched)
    assert main(["append", *history, "--results", str(watched.folder / "by-hand")]) == 0
    assert "is in" in capsys.readouterr().out
    again = watched.folder / "again.yaml"
    assert main(["check", *history, "--config", str(grid), "--again", str(again)]) == 1
    assert "Waiting: to be measured again, until when the night fails" in capsys.readouterr().out
    assert main(["confirm", *history]) == 3
    assert "to be measured again first" in capsys.readouterr().err
    watched.testbed(again)
    assert main(["confirm", *history, "--results", str(watched.folder / "again")]) == 1
    assert "Alarms: worse" in capsys.readouterr().out
    assert main(["confirm", *history, "--results", str(watched.folder / "again")]) == 2
    assert main(["check", *history]) == 1


def test_a_night_whose_record_is_cut_short_is_not_there_and_can_be_appended_again(watched):
    before = len(watched.history.read_bytes())
    history, _ = appended_by_hand(watched)
    watched.testbed.slower = {}
    after = watched.history.read_bytes()
    for length in (before + 1, (before + len(after)) // 2, len(after) - 2):
        watched.history.write_bytes(after[:length])
        assert main(["check", *history]) == 0  # of the night before
        assert main(["append", *history, "--results", str(watched.folder / "by-hand")]) == 0
        assert main(["check", *history]) == 1


def test_suspects_are_those_of_the_night_whatever_the_thresholds_are_by_now(watched, capsys):
    history, grid = appended_by_hand(watched)
    lax = yaml.safe_load(Path("config/watch/thresholds.yaml").read_text())
    lax["kinds"] = {kind: dict.fromkeys(relevance, 1000) for kind, relevance in lax["kinds"].items()}
    watched.thresholds = watched.folder / "lax.yaml"
    watched.thresholds.write_text(yaml.safe_dump(lax))
    by_lax = [*history, "--thresholds", str(watched.thresholds)]
    again = watched.folder / "again.yaml"
    assert main(["check", *by_lax, "--config", str(grid), "--again", str(again)]) == 1
    assert list(yaml.safe_load(again.read_text())["strategies"]) == [SLOW]
    assert main(["confirm", *by_lax]) == 3
    watched.testbed(again)
    assert main(["confirm", *by_lax, "--results", str(watched.folder / "again")]) == 0
    assert "Refuted" in capsys.readouterr().out


def test_a_second_measurement_that_says_nothing_is_refused_and_costs_nothing(watched, capsys):
    history, _ = appended_by_hand(watched)
    confirm = ["confirm", *history, "--results"]
    before = watched.history.read_bytes()
    assert main([*confirm, str(watched.folder / "by-hand")]) == 3
    assert "That is the night itself" in capsys.readouterr().err

    def measured(name, strategies=(SLOW,), **record):
        again = watched.folder / f"{name}.yaml"
        again.write_text(yaml.safe_dump(GRID | {"strategies": strategies, "results": str(watched.folder / name)}))
        watched.testbed.record = record
        watched.testbed(again)
        return str(watched.folder / name)

    assert main([*confirm, measured("others", ["pause-resume"])]) == 3
    assert (
        "has no number of any suspect; it has to measure vgg19/switch-b2/cpu100-mem100, vgg19"
        in capsys.readouterr().err
    )
    assert main([*confirm, measured("elsewhere", protocol_version=9)]) == 3
    assert "another protocol" in capsys.readouterr().err
    assert main([*confirm, measured("config", config_hash="f" * 64)]) == 3
    assert "another config (vgg19/switch-b2/cpu100-mem100" in capsys.readouterr().err
    assert watched.history.read_bytes() == before
    assert main([*confirm, measured("again")]) == 1
    assert "Alarms: worse" in capsys.readouterr().out


def test_what_is_accepted_while_a_verdict_is_open_stays_accepted(watched):
    watched.testbed.slower = {SLOW: 1.3}
    assert watched.night() == 1
    history, grid = appended_by_hand(watched)  # a second slow night, in which other series of it are suspects still
    watched.testbed.slower = {SLOW: 1.3, "pause-resume": 1.3}
    grid.write_text(yaml.safe_dump(GRID | {"results": str(watched.folder / "third")}))
    watched.testbed.nights += 1
    watched.testbed(grid)
    assert main(["append", *history, "--results", str(watched.folder / "third")]) == 0
    again = watched.folder / "again.yaml"
    assert main(["check", *history, "--config", str(grid), "--again", str(again)]) == 1
    assert main(["accept", *history, "--note", "the new decoder", "--only", SLOW]) == 0
    watched.testbed(again)
    assert main(["confirm", *history, "--results", str(watched.folder / "again")]) == 1
    assert {alarm.series.of.split("/")[-2:][0] for alarm in watched.verdict().alarms} >= {"pause-resume"}
    assert main(["accept", *history, "--note", "and the other"]) == 0
    assert watched.night() == 0


def test_a_night_is_not_measured_again_by_the_config_of_another(watched, capsys):
    history, grid = appended_by_hand(watched)
    grid.write_text(yaml.safe_dump(GRID | {"models": {"mobilenetv2": {}}}))
    assert main(["check", *history, "--config", str(grid), "--again", str(watched.folder / "again.yaml")]) == 2
    assert "The config has no block vgg19/switch-b2/cpu" in capsys.readouterr().err


def test_an_empty_history_has_nothing_to_check_or_draw(tmp_path, capsys):
    history = ["--history", str(tmp_path / "none.jsonl")]
    assert main(["check", *history]) == 2
    assert main(["trend", *history, "--out", str(tmp_path / "trend.html")]) == 2
    assert capsys.readouterr().err.count("holds no night yet") == 2
    assert main(["append", *history, "--results", str(tmp_path)]) == 3


def test_the_grids_own_config_is_what_is_measured(place):
    place.night()
    (folder,) = (path for path in place.history.parent.iterdir() if path.is_dir() and not path.is_symlink())
    assert place.history.with_name("latest").resolve() == folder
    written = yaml.safe_load((folder / "grid.yaml").read_text())
    assert written == GRID | {"results": str(folder / "grid")}
    assert json.loads((folder / "grid/config.json").read_text())["results"] == str(folder / "grid")


def test_a_rehearsal_says_what_the_thresholds_would_do(place, capsys):
    place.testbed(place.config)
    results = ["--results", str(place.config.parent / "nights"), "--nights", "8", "--trials", "1", "--patience", "1"]
    assert main(["rehearse", *results]) == 0
    said = capsys.readouterr().out
    assert said.startswith("8 unchanged nights: ")
    assert re.search(r"^downtime \+ 20 %, switch-b2: of 1: 1 (in night 1|not within 1)$", said, re.MULTILINE)
    assert re.search(r"^memory \+ 10 %, pause-resume: of 1: 1 in night 1$", said, re.MULTILINE)
