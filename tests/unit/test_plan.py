"""The plan says how large a grid is, what of it is left, how long that takes, and what of this is a guess."""

from pathlib import Path

import msgspec
import pytest
import yaml

from hosts.config import load, parse
from hosts.errors import HostsError
from hosts.grid import blocks
from hosts.plan import Plan, describe, main, make_plan
from hosts.room import Room, refuse_without, rooms
from tests.unit.past_records import past_of

GRID = {
    "models": {"vgg19": {}, "mobilenetv2": {}},
    "strategies": ["pause-resume", "switch-b2"],
    "cpu_pct": [100, 50],
    "mem_pct": [100, 10],
    "exclude": [{"cpu_pct": 50, "mem_pct": 10}, {"cpu_pct": 50, "model": "vgg19"}],
    "repeats": 3,
}
CONFIGS = Path(__file__).parents[2] / "config"


@pytest.fixture
def config(tmp_path):
    return parse({**GRID, "results": str(tmp_path / "results")}, "c")


def measure(config, some, duration_s=50.0):
    """Leave the records of some blocks, as if they had been measured."""
    for block in some:
        path = Path(config.results) / "runs" / block.folder / "run.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.encode(past_of(config, block, duration_s)))


def test_a_new_grid_is_all_left_and_all_a_guess(config):
    plan = make_plan(config)
    first, second, third, *others = describe(config, plan)
    assert (
        first == "10 blocks, 60 runs: 2 models × 2 strategies × 2 CPU levels × 2 memory levels, 6 left out by `exclude`"
    )
    assert second == "each block: 1 frame rate × 2 directions × 3 repeats = 6 runs"
    assert third.startswith("measured already: 0 blocks; the others take about ")
    assert "known from blocks like them: 0; guessed by rules of thumb: 10" in others


def test_the_time_left_is_that_of_its_parts(config):
    plan = make_plan(config)
    assert plan.left_s == pytest.approx(plan.beside_s + sum(sum(expected.split) for expected in plan.left))
    assert plan.beside_s > 0


def test_blocks_that_are_measured_are_not_left_and_tell_of_the_others(config):
    grid = blocks(config)
    measure(config, grid[:1])
    before, after = len(grid), make_plan(config)
    assert len(after.left) == before - 1
    assert any(expected.likes for expected in after.left)
    assert "measured already: 1 block; the others" in "\n".join(describe(config, after))


def test_a_grid_that_is_measured_takes_no_time(config):
    measure(config, blocks(config))
    plan = make_plan(config)
    assert (plan.left, plan.left_s) == ([], 0.0)
    assert not [line for line in describe(config, plan) if "guess" in line]


def test_models_that_are_made_take_no_time_or_room(config):
    before = make_plan(config)
    for model in config.models:
        path = Path(config.results) / "models" / f"{model}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    after = make_plan(config)
    assert after.beside_s < before.beside_s
    assert sum(room.needed_mb for room in after.rooms) < sum(room.needed_mb for room in before.rooms) - 500


def test_what_should_not_fit_into_memory_is_named(config, monkeypatch):
    monkeypatch.setattr("hosts.plan.edge_memory_mb", lambda _: 7000.0)
    lines = describe(config, make_plan(config))
    (tight,) = [line for line in lines if "memory, and to end" in line]
    assert "(a guess): " in tight
    assert {word.strip(",") for word in tight.split() if "/" in word} == {
        "vgg19/pause-resume/cpu100-mem10",
        "vgg19/switch-b2/cpu100-mem10",
    }


@pytest.mark.parametrize("name", sorted(path.stem for path in CONFIGS.glob("*.yaml")))
def test_every_config_that_comes_along_has_a_plan(name, tmp_path):
    data = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text()) | {"results": str(tmp_path)}
    config = parse(data, name)
    plan = make_plan(config)
    assert len(plan.left) == plan.total > 0
    assert describe(config, plan)


@pytest.mark.parametrize(("name", "most_min"), [("default", 15), ("nightly", 45), ("tiny", 5)])
def test_the_rules_of_thumb_promise_what_the_configs_do(name, most_min, tmp_path):
    data = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text()) | {"results": str(tmp_path)}
    assert make_plan(parse(data, name)).left_s < 60 * most_min


def test_the_shipped_grids_hold_what_their_heads_say():
    default, paper, part = (load(CONFIGS / f"{name}.yaml") for name in ("default", "paper", "slice"))
    for config in (default, paper, part):
        assert len({block.strategy for block in blocks(config)}) == 5
        assert config.repeats == 5
    assert len(blocks(paper)) == 2 * 5 * 4 * 5
    assert len(blocks(part)) == 8 * 5
    full = [block for block in blocks(default) if (block.cpu_pct, block.mem_pct) == (100, 100)]
    assert len(full) == 2 * 5


# --- the command --------------------------------------------------------------------------------------------


def test_the_command_prints_the_plan_and_the_blocks_in_their_order(config, tmp_path, capsys):
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump({**GRID, "results": config.results}))
    assert main(["--config", str(path), "--blocks"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("10 blocks, 60 runs")
    assert [line.split()[0] for line in lines[-10:]] == [block.folder for block in blocks(config)]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read"),
        (b"\x00\xff\x93", "is not UTF-8 text"),
        (b"models: {vgg19: {}\n", "not valid YAML"),
        (b"models: {vgg19: {}}\nstrategies: [switch-b2]\ninventory: none.yaml\n", "none.yaml: cannot be read"),
    ],
)
def test_a_config_that_cannot_be_used_is_one_line(tmp_path, capsys, content, words):
    path = tmp_path / "c.yaml"
    if content is not None:
        path.write_bytes(content)
    assert main(["--config", str(path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line


# --- room ---------------------------------------------------------------------------------------------------


def test_folders_on_one_disk_share_its_room(tmp_path, monkeypatch):
    monkeypatch.setattr("hosts.room.MODEL_STORE", tmp_path / "store" / "models")
    (room,) = rooms(tmp_path / "not" / "yet", 30.0, 500.0)
    assert room.needed_mb == 530.0
    assert room.free_mb > 0
    assert not (tmp_path / "not").exists()


def test_a_disk_with_too_little_room_is_refused_with_what_to_do():
    refuse_without([Room(Path("results"), 100.0, 100.0)])
    with pytest.raises(HostsError) as refused:
        refuse_without([Room(Path("store"), 0.0, 5.0), Room(Path("results"), 700.0, 200.0)])
    assert str(refused.value) == (
        "results: the grid needs about 700 MB there, and its disk has 200 MB free. Free 500 MB, or set `results` in "
        "the config to a folder on a larger disk; blocks that are measured stay"
    )


def test_more_frames_need_more_room(config):
    def needed_mb(**changed):
        plan: Plan = make_plan(parse({**GRID, **changed, "results": config.results}, "c"))
        return sum(room.needed_mb for room in plan.rooms)

    assert needed_mb(fps=[20]) > needed_mb(fps=[5])
    assert needed_mb(repeats=6) > needed_mb(repeats=3)
