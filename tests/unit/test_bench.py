"""A bench from start to end, its measuring played: rounds, what is left after an interruption, blocks that fail."""

import json
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
import yaml

from hosts import bench
from hosts.bench import Bench, main
from hosts.bench_start import BLOCKS
from hosts.config import load
from hosts.errors import ConnectError, HostsError
from hosts.provenance import Commit
from tests.unit.stored_models import points_of, store_as
from workers.bench_records import BenchedBlock, BenchRun
from workers.records import Status, read_lines

INVENTORY = Path(__file__).parents[2] / "hosts/local.yaml"


class Desk:
    """A config and a results folder; measuring is played by `fates`, which says by folder what becomes of a block."""

    def __init__(self, folder, monkeypatch):
        self.config_file, self.results = folder / "bench.yaml", folder / "results"
        self.store = folder / "store"
        self.measured, self.planes = [], []
        self.fates = {}
        self.commit = Commit("c1", dirty=False)
        self.configure()
        monkeypatch.setattr(bench, "measure", self._measure)
        monkeypatch.setattr(bench, "measure_plane", self._measure_plane)
        monkeypatch.setattr(bench, "store_model", self._store)
        monkeypatch.setattr("hosts.models.MODEL_STORE", self.store)
        monkeypatch.setattr(bench, "testbed_for", lambda _: nullcontext())
        monkeypatch.setattr(bench, "check_or_raise", lambda _: None)
        monkeypatch.setattr(bench.signal, "signal", lambda *_: None)  # it would outlive the test
        monkeypatch.setattr(bench, "current_commit", lambda: self.commit)

    def configure(self, **changed):
        config = {
            "inventory": str(INVENTORY),
            "results": str(self.results),
            "models": {"vgg19": {}},
            "strategies": ["pause-resume", "switch-a2"],
            "bench": {"rounds": 2, "burst_s": 3, "burst_changes": 7},
        }
        self.config_file.write_text(yaml.safe_dump(config | changed))

    def _measure(self, _config, _block, stored, out, *, limits):
        assert json.loads(stored.read_text())["path"]
        fate = self.fates.get(len(self.measured) + 1)
        self.measured.append((out.relative_to(self.results).as_posix(), tuple(limits)))
        if fate is not None:
            raise fate
        out.mkdir(parents=True)
        return SimpleNamespace(status=Status.OK, reason=None)

    def _measure_plane(self, _config, name, _stored, out):
        self.planes.append(name)
        out.mkdir(parents=True)
        (out / "plane.json").write_text("{}")
        return SimpleNamespace(status=Status.OK, reason=None)

    def _store(self, _config, name, folder):
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.json"
        path.write_text(json.dumps({"digest": "d", "path": str(folder / "store"), "reused": True}))
        return path

    def run(self, *, anew=False):
        return Bench(load(self.config_file), "bench.yaml", anew=anew).measure()

    def command(self, *options):
        return main(["--config", str(self.config_file), *options])

    def interrupt(self):
        """Leave a bench with two of its blocks."""
        self.fates = {3: KeyboardInterrupt()}
        with pytest.raises(KeyboardInterrupt):
            self.run()
        self.fates, self.measured, self.planes = {}, [], []

    @property
    def record(self):
        return msgspec.json.decode((self.results / "bench.json").read_bytes(), type=BenchRun)


@pytest.fixture
def desk(tmp_path, monkeypatch):
    return Desk(tmp_path, monkeypatch)


def test_every_round_measures_every_block_with_a_burst_after_its_runs(desk):
    done = desk.run()
    assert sorted(out for out, _ in desk.measured) == [
        f"round-0{number}/runs/vgg19/{strategy}/cpu100-mem100"
        for number in (1, 2)
        for strategy in ("pause-resume", "switch-a2")
    ]
    assert {limits for _, limits in desk.measured} == {(3.0, 7)}
    assert desk.planes == ["null-small", "null-picture"]
    assert [row.status for row in done] == [Status.OK] * 4
    assert list(read_lines(desk.results / "blocks.jsonl", BenchedBlock)) == done
    assert (desk.record.complete, desk.record.commit) == (True, "c1")


def test_a_block_that_fails_leaves_its_row_and_the_bench_goes_on(desk):
    desk.fates = {2: ConnectError("edge: no route")}
    done = desk.run()
    assert [row.status for row in done] == [Status.OK, Status.FAILED, Status.OK, Status.OK]
    assert done[1].reason == "edge: no route"


def test_one_that_was_interrupted_goes_on_where_it_stopped(desk):
    desk.interrupt()
    assert not desk.record.complete
    started, before = desk.record.started_utc, {row.folder for row in read_lines(desk.results / BLOCKS, BenchedBlock)}
    done = desk.run()
    assert desk.planes == []
    assert len(desk.measured) == 2
    assert {row.folder for row in done[:2]} == before
    assert len(done) == 4
    assert (desk.record.started_utc, desk.record.complete) == (started, True)


def test_one_that_came_to_its_end_is_kept_beside_the_one_that_is_made_anew(desk, capsys):
    desk.run()
    first = desk.record
    (desk.results / "round-07").mkdir()  # of a bench with more rounds
    desk.measured.clear()
    assert desk.command("--plan") == 0
    assert desk.command() == 0
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith(f"{desk.results}: a bench of ")]
    planned, done = said
    assert f"{first.started_utc} (commit c1, complete) goes to {desk.results}/earlier/" in planned
    assert done == planned
    assert len(desk.measured) == 4
    assert len(list(read_lines(desk.results / BLOCKS, BenchedBlock))) == 4
    assert not (desk.results / "round-07").exists()
    (kept,) = (desk.results / "earlier").iterdir()
    assert {path.name for path in kept.iterdir()} == {
        *("bench.json", BLOCKS, "plane"),
        *(f"round-0{n}" for n in (1, 2, 7)),
    }
    assert msgspec.json.decode((kept / "bench.json").read_bytes(), type=BenchRun) == first


def test_three_benches_in_a_row_all_stay(desk):
    for _ in range(3):
        desk.run()
    assert len(list((desk.results / "earlier").iterdir())) == 2
    assert desk.record.complete


def change(desk, what):
    if what == "config":
        desk.configure(fps=[7], bench={"rounds": 1, "burst_s": 3, "burst_changes": 7})
        return ["`bench.rounds`, `fps`", "this one differs in"]
    desk.commit = Commit("c1", dirty=True) if what == "tree" else Commit("c2", dirty=False)
    return ["c1 with changes now; git status lists" if what == "tree" else "the code's commit (c2 now)"]


@pytest.mark.parametrize("what", ["config", "commit", "tree"])
@pytest.mark.parametrize("option", [(), ("--plan",)])
@pytest.mark.parametrize("complete", [True, False])
def test_another_bench_is_not_lost_but_refused_with_what_differs(desk, capsys, what, option, complete):
    desk.run() if complete else desk.interrupt()
    desk.measured.clear()
    before = {path: path.stat().st_mtime_ns for path in desk.results.rglob("*")}
    words = change(desk, what)
    capsys.readouterr()
    assert desk.command(*option) == 2
    (said,) = capsys.readouterr().err.splitlines()
    end = "complete" if complete else "not complete"
    assert said.startswith(f"{desk.results}: a bench of {desk.record.started_utc} (commit c1, {end}) lies there; ")
    for word in (*words, "another `results`", "--anew", "ANEW=1"):
        assert word in said
    assert desk.measured == []
    assert {path: path.stat().st_mtime_ns for path in desk.results.rglob("*")} == before


@pytest.mark.parametrize("what", ["config", "commit"])
def test_another_bench_is_kept_where_this_one_is_to_start_anew(desk, what):
    desk.interrupt()
    before = desk.record
    change(desk, what)
    desk.run(anew=True)
    (kept,) = (desk.results / "earlier").iterdir()
    assert msgspec.json.decode((kept / "bench.json").read_bytes(), type=BenchRun) == before
    assert desk.record.digest != before.digest or desk.record.commit == "c2"


def test_an_interrupted_one_starts_anew_when_it_is_told_to(desk):
    desk.interrupt()
    desk.run(anew=True)
    assert len(desk.measured) == 4
    assert (desk.results / "earlier").exists()


@pytest.mark.parametrize("record", [None, b"{}"])
def test_what_another_version_measured_is_refused_too(desk, capsys, record):
    desk.run()
    (desk.results / "bench.json").unlink()
    if record is not None:
        (desk.results / "bench.json").write_bytes(record)
    assert desk.command() == 2
    assert "bench.json is missing or of another version lies there. Set another" in capsys.readouterr().err
    assert desk.command("--anew") == 0
    assert (desk.results / "earlier").exists()


def test_without_a_testbed_what_lies_there_stays_where_it_is(desk, monkeypatch):
    desk.run()

    def refuse(_):
        raise HostsError("edge: no podman")

    monkeypatch.setattr(bench, "check_or_raise", refuse)
    with pytest.raises(HostsError, match="no podman"):
        desk.run()
    assert desk.record.complete
    assert not (desk.results / "earlier").exists()


def test_without_a_plane_none_is_measured(desk):
    desk.configure(bench={"rounds": 1, "plane": False})
    desk.run()
    assert desk.planes == []


def test_two_benches_do_not_share_a_folder(desk, monkeypatch):
    inner = []
    monkeypatch.setattr(bench, "check_or_raise", lambda _: inner.append(_refusal(desk)))
    desk.run()
    assert "another workflow" in inner[0]


def _refusal(desk):
    with pytest.raises(HostsError) as refused:
        desk.run()
    return str(refused.value)


def test_the_plan_is_said_first_and_measures_nothing_by_itself(desk, capsys):
    assert main(["--config", str(desk.config_file), "--plan"]) == 0
    assert "4 blocks, 4 left" in capsys.readouterr().err
    assert desk.measured == []
    assert not desk.results.exists()


def test_points_that_a_stored_model_lacks_are_refused_by_the_plan(desk, capsys):
    store_as(desk.store, "vgg19", points_of(input=9, block4_pool=5, block5_pool=3), seed=load(desk.config_file).seed)
    desk.configure(models={"vgg19": {"hot": ["blok4_pool"]}})
    assert desk.command("--plan") == 2
    assert "models.vgg19.hot[0]: the model has no partition point" in capsys.readouterr().err


def test_a_block_that_fails_once_is_said_but_one_that_never_succeeds_is_the_status(desk, capsys):
    desk.fates = {2: ConnectError("edge: no route")}
    assert desk.command() == 0
    assert "failed (edge: no route)" in capsys.readouterr().err
    desk.measured.clear()
    desk.fates = {number: ConnectError("edge: no route") for number in range(1, 5)}
    assert desk.command() == 1
    assert capsys.readouterr().err.splitlines()[-2:] == [
        f"vgg19/{strategy}/cpu100-mem100: no result in any round (edge: no route)"
        for strategy in [row.strategy for row in read_lines(desk.results / BLOCKS, BenchedBlock)][:2]
    ]


def test_ctrl_c_says_how_to_go_on(desk, capsys):
    desk.fates = {1: KeyboardInterrupt()}
    assert main(["--config", str(desk.config_file)]) == 130
    assert "goes on with this bench" in capsys.readouterr().err


def test_a_config_that_cannot_be_benched_is_the_user_s_mistake(desk, capsys):
    desk.configure(strategies=["switch-a2"])
    assert main(["--config", str(desk.config_file)]) == 2
    assert "bench.baseline" in capsys.readouterr().err
