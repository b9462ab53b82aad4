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
from hosts.config import load
from hosts.errors import ConnectError, HostsError
from hosts.provenance import Commit
from workers.bench_records import BenchedBlock, BenchRun
from workers.records import Status, read_lines

INVENTORY = Path(__file__).parents[2] / "hosts/local.yaml"


class Desk:
    """A config and a results folder; measuring is played by `fates`, which says by folder what becomes of a block."""

    def __init__(self, folder, monkeypatch):
        self.config_file, self.results = folder / "bench.yaml", folder / "results"
        self.measured, self.planes = [], []
        self.fates = {}
        self.commit = Commit("c1", dirty=False)
        self.configure()
        monkeypatch.setattr(bench, "measure", self._measure)
        monkeypatch.setattr(bench, "measure_plane", self._measure_plane)
        monkeypatch.setattr(bench, "store_model", self._store)
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

    def run(self):
        return Bench(load(self.config_file), "bench.yaml").measure()

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
    desk.fates = {3: KeyboardInterrupt()}
    with pytest.raises(KeyboardInterrupt):
        desk.run()
    assert not desk.record.complete
    started, before = desk.record.started_utc, list(desk.measured)
    desk.fates, desk.measured, desk.planes = {}, [], []
    done = desk.run()
    assert desk.planes == []
    assert [out for out, _ in desk.measured] == [before[2][0], *(out for out, _ in desk.measured[1:])]
    assert len(desk.measured) == 2
    assert len(done) == 4
    assert (desk.record.started_utc, desk.record.complete) == (started, True)


def test_one_that_came_to_its_end_is_made_anew(desk):
    desk.run()
    (desk.results / "round-07").mkdir()  # of a bench with more rounds
    desk.measured.clear()
    desk.run()
    assert len(desk.measured) == 4
    assert len(list(read_lines(desk.results / "blocks.jsonl", BenchedBlock))) == 4
    assert not (desk.results / "round-07").exists()


@pytest.mark.parametrize("change", ["config", "commit"])
def test_one_of_another_config_or_commit_is_not_gone_on_with(desk, change):
    desk.fates = {3: KeyboardInterrupt()}
    with pytest.raises(KeyboardInterrupt):
        desk.run()
    desk.fates, desk.measured = {}, []
    if change == "config":
        desk.configure(fps=[7])
    else:
        desk.commit = Commit("c2", dirty=False)
    desk.run()
    assert len(desk.measured) == 4


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


def test_ctrl_c_says_how_to_go_on(desk, capsys):
    desk.fates = {1: KeyboardInterrupt()}
    assert main(["--config", str(desk.config_file)]) == 130
    assert "goes on with this bench" in capsys.readouterr().err


def test_a_config_that_cannot_be_benched_is_the_user_s_mistake(desk, capsys):
    desk.configure(strategies=["switch-a2"])
    assert main(["--config", str(desk.config_file)]) == 2
    assert "bench.baseline" in capsys.readouterr().err
