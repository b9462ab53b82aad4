"""The jobs' commands: what they refuse in one line, and the block that needs no host."""

import shutil
from pathlib import Path

import msgspec
import pytest
import yaml

from hosts import measure, profile
from hosts.job import make_empty, write_record
from tests.synthetic_profiles import HAND_MADE, ProfileSpec, profile_record
from tests.unit.stored_models import points_of, write_stored
from workers.records import BlockRecord, Phases, ProfileRecord, Status
from workers.store import WEIGHTS, Stored

INVENTORY = Path(__file__).parents[2] / "hosts/local.yaml"
SAME = {"speeds_mbps": [20, 10]}  # at both the best point is the same


class Desk:
    """A folder with a config, a stored model of four layers, and a profile of it."""

    def __init__(self, folder):
        self.folder = folder
        self.config_file = folder / "config.yaml"
        self.out = folder / "out"
        self.profile_file = folder / "profile.json"
        record = profile_record(ProfileSpec(HAND_MADE), "tiny", 100.0, 100.0)
        self.profile_file.write_bytes(msgspec.json.encode(record))
        facts = msgspec.convert(record.model_facts["points"], tuple[_Fact, ...])
        self.model = write_stored(folder / "store", points_of(**{fact.name: fact.output_bytes for fact in facts}))
        self.stored_file = folder / "stored.json"
        self.stored_file.write_bytes(msgspec.json.encode(Stored(self.model.name, str(self.model), reused=True)))
        self.configure()

    def configure(self, **changed):
        config = {
            "inventory": str(INVENTORY),
            "results": str(self.folder / "results"),
            "models": {"tiny": {"source": "tests.models:sequential", "partition": "optimal"}},
            "strategies": ["switch-a2"],
            "repeats": 1,
        }
        self.config_file.write_text(yaml.safe_dump(config | changed))

    def arguments(self, **changed):
        given = {"config": self.config_file, "model": "tiny", "stored": self.stored_file, "out": self.out} | changed
        return [word for key, value in given.items() for word in (f"--{key}", str(value))]

    def measure(self, **changed):
        return measure.main(self.arguments(**{"strategy": "switch-a2", "profile": self.profile_file, **changed}))

    def profile(self, **changed):
        return profile.main(self.arguments(**changed))


class _Fact(msgspec.Struct):
    name: str
    output_bytes: int


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A desk at which every job that turns to a host fails the test: there may be a testbed that others work on."""

    def no_host(*_):
        pytest.fail("a host was touched")

    for job in (measure, profile):
        monkeypatch.setattr(job, "staged", no_host)
    return Desk(tmp_path)


def test_a_block_whose_best_point_is_the_same_at_both_speeds_is_recorded_without_a_host(desk, capsys):
    desk.configure(network=SAME)
    assert desk.measure() == 0
    record = msgspec.json.decode((desk.out / "run.json").read_bytes(), type=BlockRecord)
    reason = "the best point is the same (pool) at 20 and 10 Mbit/s: nothing to repartition"
    assert record.status is Status.INFEASIBLE
    assert record.reason.startswith(reason)
    assert [(run.run, run.status, run.reason) for run in record.runs] == [
        (1, Status.INFEASIBLE, record.reason),
        (2, Status.INFEASIBLE, record.reason),
    ]
    assert (record.hosts, record.stress, record.phases) == ({}, {}, Phases(0, 0, 0, 0, 0))
    assert "2 infeasible" in capsys.readouterr().err


def test_a_record_knows_what_the_conversion_of_its_model_took_where_that_was_noted(desk):
    desk.configure(network=SAME)
    known = []
    stored = msgspec.json.decode(desk.stored_file.read_bytes(), type=Stored)
    for conversion_s in (12.5, None):
        desk.stored_file.write_bytes(msgspec.json.encode(msgspec.structs.replace(stored, conversion_s=conversion_s)))
        assert desk.measure() == 0
        record = msgspec.json.decode((desk.out / "run.json").read_bytes(), type=BlockRecord)
        known.append(record.model_facts.get("conversion_s"))
    assert known == [12.5, None]


def test_what_was_measured_before_does_not_stay_beside_such_a_record(desk):
    desk.configure(network=SAME)
    desk.out.mkdir()
    (desk.out / "edge-frames.jsonl").write_text("old\n")
    assert desk.measure() == 0
    assert [path.name for path in desk.out.iterdir()] == ["run.json"]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"strategy": "switch-b1"}, "its grid has no block tiny/switch-b1/cpu100-mem100"),
        ({"cpu": 50}, "its grid has no block tiny/switch-a2/cpu50-mem100"),
        ({"stored": "none.json"}, "none.json: cannot be read: No such file or directory. Make it with"),
        ({"profile": "none.json"}, "none.json: cannot be read"),
        ({"config": "none.yaml"}, "none.yaml"),
    ],
)
def test_a_mistake_to_measure_is_one_line_and_status_2(desk, capsys, changed, words):
    assert desk.measure(**changed) == 2
    said = capsys.readouterr().err.strip()
    assert words in said
    assert "\n" not in said
    assert not desk.out.exists()


@pytest.mark.parametrize("job", ["measure", "profile"])
def test_a_model_damaged_here_is_not_sent_and_the_line_names_this_machine_s_folder(desk, capsys, job):
    for weights, words in (
        (b"\1\2\3\5", "its contents give"),
        (b"", "its contents give"),
        (None, f"{WEIGHTS}: No such"),
    ):
        (desk.model / WEIGHTS).unlink()
        if weights is not None:
            (desk.model / WEIGHTS).write_bytes(weights)
        assert getattr(desk, job)() == 2
        said = capsys.readouterr().err
        assert f"stored model {desk.model} is damaged: {words}" in said
        assert f"Remove it and {desk.stored_file}: the workflow, or python -m workers.store, makes both again" in said


def test_a_model_that_is_no_longer_where_it_was_stored_says_what_to_remove(desk, capsys):
    shutil.rmtree(desk.model)
    assert desk.measure() == 2
    assert f"{desk.stored_file}: its model is not in {desk.model}. Remove the file" in capsys.readouterr().err


def test_best_points_are_not_found_without_a_profile(desk, capsys):
    assert measure.main(desk.arguments(strategy="switch-a2")) == 2
    assert "models.tiny.partition: `optimal` takes the points from the model's profile" in capsys.readouterr().err


def test_a_profile_without_times_decides_nothing_and_says_so(desk, capsys):
    record = msgspec.json.decode(desk.profile_file.read_bytes(), type=ProfileRecord)
    lost = msgspec.structs.replace(record, status=Status.INFEASIBLE, reason="no memory", tiers={})
    desk.profile_file.write_bytes(msgspec.json.encode(lost))
    assert desk.measure() == 2
    assert "infeasible (no memory)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"model": "vgg19"}, "its grid has no block of vgg19/cpu100-mem100"),
        ({"mem": 10}, "its grid has no block of tiny/cpu100-mem10"),
        ({"stored": "none.json"}, "none.json: cannot be read"),
    ],
)
def test_a_mistake_to_profile_is_one_line_and_status_2(desk, capsys, changed, words):
    assert desk.profile(**changed) == 2
    said = capsys.readouterr().err.strip()
    assert words in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("raised", "status", "words"),
    [
        (KeyboardInterrupt(), 130, "interrupted; the hosts put themselves back"),
        (PermissionError(13, "Permission denied"), 2, "Permission denied. Mend this and run again"),
    ],
)
def test_interrupts_and_full_disks_are_told_apart(desk, capsys, monkeypatch, raised, status, words):
    def fails(*_):
        raise raised

    monkeypatch.setattr(profile, "profile", fails)
    assert desk.profile() == status
    assert words in capsys.readouterr().err


def test_a_record_is_there_whole_or_not_at_all(tmp_path):
    write_record(Phases(1, 2, 3, 4, 5), tmp_path / "run.json")
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]
    assert msgspec.json.decode((tmp_path / "run.json").read_bytes(), type=Phases) == Phases(1, 2, 3, 4, 5)


def test_only_what_a_job_left_itself_is_removed(tmp_path):
    for name in ("profile.json", "edge-frames.jsonl", "cloud-agent-0.log", "profile.log", "notes.txt"):
        (tmp_path / name).touch()
    make_empty(tmp_path, "profile.json")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.txt", "profile.log"]
