"""The plan says how large a grid is, what of it is left, how long that takes, and what of this is a guess."""

import zipfile
from pathlib import Path

import msgspec
import pytest
import yaml

from hosts.config import load, parse
from hosts.errors import ConfigError, HostsError
from hosts.grid import blocks, profiled_levels
from hosts.plan import Plan, describe, main, make_plan
from hosts.room import Room, refuse_without, rooms
from tests.unit.past_records import past_of, past_profile_of
from tests.unit.stored_models import points_of, store_as

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


def profile(config, some, duration_s=80.0):
    """Leave the records of some profiles, as if they had been made."""
    for level in some:
        path = Path(config.results) / "profiles" / level.folder / "profile.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.encode(past_profile_of(config, level, duration_s)))


def test_a_new_grid_is_all_left_and_all_a_guess(config):
    plan = make_plan(config)
    first, second, third, fourth, *others = describe(config, plan)
    assert (
        first == "10 blocks, 60 runs: 2 models × 2 strategies × 2 CPU levels × 2 memory levels, 6 left out by `exclude`"
    )
    assert second == "each block: 1 frame rate × 2 directions × 3 repeats = 6 runs"
    assert third == "before them 2 profiles: vgg19/cpu100-mem100, mobilenetv2/cpu100-mem100"
    assert fourth.startswith("measured already: 0 blocks and 0 profiles; the others take about ")
    assert "known from others like them: 0; guessed by rules of thumb: 12" in others


def test_the_time_left_is_that_of_its_parts(config):
    plan = make_plan(config)
    profiles_s = sum(expected.total_s for expected in plan.profiles_left)
    assert plan.left_s == pytest.approx(plan.beside_s + profiles_s + sum(sum(expected.split) for expected in plan.left))
    assert min(plan.beside_s, profiles_s) > 0


def test_profiles_that_are_made_take_no_time_and_tell_of_the_same_model_elsewhere(config):
    wide = parse({**GRID, "results": config.results, "profile": {"levels": "all"}}, "c")
    before = make_plan(wide)
    profile(wide, profiled_levels(wide)[:1], duration_s=400.0)
    after = make_plan(wide)
    assert (before.profiles, after.profiles) == (5, 5)
    assert (len(before.profiles_left), len(after.profiles_left)) == (5, 4)
    (slow,) = [expected for expected in after.profiles_left if expected.likes]
    assert slow.level.model == "vgg19"
    assert slow.total_s > 400
    assert "measured already: 0 blocks and 1 profile;" in "\n".join(describe(wide, after))


def test_where_no_profile_is_wanted_the_plan_speaks_of_none(config):
    without = parse({**GRID, "results": config.results, "profile": {"levels": "none"}}, "c")
    plan = make_plan(without)
    assert (plan.profiles, plan.profiles_left, plan.profiles_s) == (0, [], 0.0)
    assert " profile" not in "\n".join(describe(without, plan))


# --- models that are to be made -----------------------------------------------------------------------------


def own_model(tmp_path, **model):
    """Return a grid with one model of a user's own."""
    models = {"own": {"partition": {20: 1, 5: 2}} | model}
    return parse({**GRID, "models": models, "exclude": [], "results": str(tmp_path / "results")}, "c")


def write_keras(path, config="{}"):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", config)
    return str(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "own.keras does not exist"),
        (b"no archive", "it is no Keras model"),
        (b"", "it is no Keras model"),
    ],
)
def test_a_model_file_that_cannot_be_read_is_refused_before_anything_runs(tmp_path, content, words):
    path = tmp_path / "own.keras"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=rf"^models.own: model file .*{words}"):
        make_plan(own_model(tmp_path, source=str(path)))


def test_weights_that_are_not_there_or_that_nobody_has_are_refused(tmp_path):
    source = write_keras(tmp_path / "own.keras")
    for weights, words in (("none.h5", "there is no such file"), ("imagenet", "has no imagenet weights")):
        with pytest.raises(ConfigError, match=rf"^models.own: .*{words}"):
            make_plan(own_model(tmp_path, source=source, weights=weights))


def test_a_model_that_is_stored_needs_its_file_no_more_and_its_points_are_checked(tmp_path):
    source = write_keras(tmp_path / "own.keras")
    config = own_model(tmp_path, source=source)
    unchecked = f"points of own are checked once the model is stored: `python -m workers.partition {source}` lists them"
    assert unchecked in describe(config, make_plan(config))
    (tmp_path / "own.keras").unlink()
    (tmp_path / "results/models").mkdir(parents=True)
    (tmp_path / "results/models/own.json").write_text("{}")
    assert unchecked not in describe(config, make_plan(config))


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr("hosts.models.MODEL_STORE", tmp_path / "store")
    return tmp_path / "store"


def naming(tmp_path, **model):
    """Return a grid whose model names points."""
    data = {**GRID, "models": {"mobilenetv2": model}, "exclude": [], "results": str(tmp_path / "results")}
    return parse(data, "c")


def test_points_that_a_stored_model_lacks_are_refused_by_their_keys(tmp_path, store):
    store_as(store, "mobilenetv2", points_of(input=9, block_1=5, block_2=3), seed=naming(tmp_path).seed)
    named = {20: "input", 5: "block_2"}
    make_plan(naming(tmp_path, partition=named, hot=["block_1"]))
    with pytest.raises(ConfigError) as refused:
        make_plan(naming(tmp_path, partition={**named, 5: "block_9"}, hot=["block_1", "blok_2", 7]))
    one, two, three = str(refused.value).splitlines()
    assert one.startswith("models.mobilenetv2.partition.5: the model has no partition point after a layer 'block_9'")
    assert two.startswith("models.mobilenetv2.hot[1]: the model has no partition point after a layer 'blok_2'")
    assert "nearest names: block_2" in two
    assert three.startswith("models.mobilenetv2.hot[2]: the model cannot be cut at 7")


@pytest.mark.usefixtures("store")
def test_points_to_keep_hot_are_checked_later_too_where_the_model_is_not_stored(tmp_path):
    config = naming(tmp_path, hot=["blok_2"])
    (line,) = [line for line in describe(config, make_plan(config)) if line.startswith("points of")]
    assert line.startswith("points of mobilenetv2 are checked once the model is stored")


def test_a_model_of_other_weights_is_not_taken_for_this_one(tmp_path, store):
    store_as(store, "mobilenetv2", points_of(input=9), seed=77)
    make_plan(naming(tmp_path, hot=["block_1"]))


def test_the_papers_points_need_no_check(config):
    assert not [line for line in describe(config, make_plan(config)) if line.startswith("points of")]


def test_the_command_refuses_in_a_line(tmp_path, capsys):
    (tmp_path / "c.yaml").write_text("models: {foonet: {}}\nstrategies: [switch-b2]\n")
    assert main(["--config", str(tmp_path / "c.yaml")]) == 2
    assert capsys.readouterr().err.startswith(f"{tmp_path}/c.yaml: models.foonet.source: model 'foonet' is not known")


def test_the_command_takes_a_config_that_is_laid_over_the_default(tmp_path, capsys):
    (tmp_path / "c.yaml").write_text(f"repeats: 2\nresults: {tmp_path}/results\n")
    assert main(["--config", str(tmp_path / "c.yaml")]) == 0
    assert "× 2 directions × 2 repeats = 4 runs" in capsys.readouterr().out


def test_blocks_that_are_measured_are_not_left_and_tell_of_the_others(config):
    grid = blocks(config)
    measure(config, grid[:1])
    before, after = len(grid), make_plan(config)
    assert len(after.left) == before - 1
    assert any(expected.likes for expected in after.left)
    assert "measured already: 1 block and 0 profiles; the others" in "\n".join(describe(config, after))


def test_a_grid_that_is_measured_takes_no_time(config):
    measure(config, blocks(config))
    profile(config, profiled_levels(config))
    plan = make_plan(config)
    assert (plan.left, plan.profiles_left, plan.left_s) == ([], [], 0.0)
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
    papers = {"pause-resume", "switch-a1", "switch-a2", "switch-b1", "switch-b2"}
    assert {block.strategy for block in blocks(default)} == papers | {"switch-hot", "switch-warm"}
    for config in (paper, part):
        assert {block.strategy for block in blocks(config)} == papers
    assert default.repeats == paper.repeats == part.repeats == 5
    assert len(blocks(paper)) == 2 * 5 * 4 * 5
    assert len(blocks(part)) == 8 * 5
    full = [block for block in blocks(default) if (block.cpu_pct, block.mem_pct) == (100, 100)]
    assert len(full) == 2 * 7


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
