"""The experiment's config: every problem is a line with the path of its key, and the digest tells configs apart."""

import math
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosts.config import Config, ModelConfig, load, parse
from hosts.errors import ConfigError
from hosts.grid import Block, blocks
from hosts.points import PAPER_POINTS, points_by_speed
from workers.strategies import STRATEGIES

GOOD = {"models": {"vgg19": {}}, "strategies": ["switch-b2"]}
CONFIGS = Path(__file__).parents[2] / "config"
KNOWN = ", ".join(STRATEGIES)


def problems(**changed):
    """Return the lines that are said about a config with these keys changed."""
    with pytest.raises(ConfigError) as refused:
        parse({**GOOD, **changed}, "c.yaml")
    return str(refused.value).splitlines()


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"strategies": ["swich-b2"]}, "strategies: no strategy is called 'swich-b2'; did you mean `switch-b2`?"),
        ({"strategies": ["teleport"]}, f"strategies: no strategy is called 'teleport'; known: {KNOWN}"),
        ({"strategies": []}, f"strategies: name at least one of {KNOWN}"),
        ({"models": {}}, "models: name at least one, for example `vgg19: {}`"),
        ({"modles": {}}, "modles: unknown key; did you mean `models`?"),
        ({"models": {"vgg19": {"weight": "random"}}}, "models.vgg19.weight: unknown key; did you mean `weights`?"),
        (
            {"models": {"vgg19": {"partition": "papr"}}},
            "models.vgg19.partition: cannot be 'papr'; did you mean `paper`?",
        ),
        (
            {"models": {"resnet50": {}}},
            (
                "models.resnet50.partition: the paper names no points for this model (only for vgg19, mobilenetv2); "
                "map each speed to a layer, for example {20: input, 5: output}"
            ),
        ),
        (
            {"network": {"speeds_mbps": [20, 10]}},
            (
                "models.vgg19.partition: the paper names points for 20 and 5 Mbit/s only; "
                "map each of your speeds to a layer"
            ),
        ),
        ({"models": {"vgg19": {"partition": {20: "input"}}}}, "models.vgg19.partition: no point for 5 Mbit/s"),
        ({"network": {"speeds_mpbs": [20, 5]}}, "network.speeds_mpbs: unknown key; did you mean `speeds_mbps`?"),
        ({"network": {"delay_ms": -1}}, "network.delay_ms: must be finite and not negative, found -1"),
        ({"windows": {"before_s": -0.5}}, "windows.before_s: must be finite and not negative, found -0.5"),
        ({"windows": {"warmup_frames": -1}}, "windows.warmup_frames: must lie between 0 and 100000, found -1"),
        ({"fps": [5, 0]}, "fps: must hold finite values above 0, found [5.0, 0.0]"),
        ({"fps": []}, "fps: must hold finite values above 0, found []"),
        ({"fps": [math.nan]}, "fps: must hold finite values above 0, found [nan]"),
        ({"fps": [math.inf]}, "fps: must hold finite values above 0, found [inf]"),
        ({"fps": ["5"]}, "fps[0]: expected `float`, got `str`, found '5'"),
        ({"repeats": 0}, "repeats: must hold finite values above 0, found [0]"),
        ({"repeats": "3"}, "repeats: expected `int`, got `str`, found '3'"),
        ({"queue_limit": -4}, "queue_limit: must hold finite values above 0, found [-4]"),
        ({"deadline_ms": 0}, "deadline_ms: must hold finite values above 0, found [0.0]"),
        ({"repartition_timeout_s": -1}, "repartition_timeout_s: must hold finite values above 0, found [-1.0]"),
        ({"cpu_pct": []}, "cpu_pct: must hold at least one value"),
        ({"cpu_pct": [100, 0]}, "cpu_pct: must lie above 0 and up to 100, found 0"),
        ({"cpu_pct": [math.nan]}, "cpu_pct: must lie above 0 and up to 100, found nan"),
        ({"mem_pct": [100.5]}, "mem_pct: must lie above 0 and up to 100, found 100.5"),
        ({"mem_pct": [100 / 3]}, f"mem_pct: {100 / 3} has more digits than a folder's name keeps; round it"),
        ({"cpu_pct": [1e-5]}, "cpu_pct: 1e-05 has more digits than a folder's name keeps; round it"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
def test_a_problem_is_one_line_with_the_path_of_its_key(changed, line):
    assert problems(**changed) == [f"c.yaml: {line}"]


def test_two_equal_speeds_are_no_change():
    assert "c.yaml: network.speeds_mbps: the two speeds must differ" in problems(network={"speeds_mbps": [5, 5]})


@pytest.mark.parametrize("key", ["models", "strategies"])
def test_a_key_that_is_needed(key):
    with pytest.raises(ConfigError, match=f"^c.yaml: {key}: is missing$"):
        parse({name: value for name, value in GOOD.items() if name != key}, "c.yaml")


@pytest.mark.parametrize("data", [None, [], "vgg19", 5])
def test_what_is_no_config_at_all(data):
    with pytest.raises(ConfigError, match=r"^c.yaml: expected a mapping"):
        parse(data, "c.yaml")


def test_all_problems_are_said_at_once():
    lines = problems(
        strategies=["pause-resum", "switch-b2", "swich-a1"],
        models={"resnet50": {}, "vgg19": {"partition": {7: 1}}},
        fps=[-1],
        network={"speeds_mbps": [3, 3], "delay_ms": -2},
        mem_pct=[110],
    )
    paths = [line.split(": ")[1] for line in lines]
    assert paths == [
        "strategies",
        "strategies",
        "fps",
        "network.speeds_mbps",
        "network.delay_ms",
        "mem_pct",
        "models.resnet50.partition",
        "models.vgg19.partition",
        "models.vgg19.partition",
    ]


def test_every_registered_strategy_can_be_named():
    assert parse({**GOOD, "strategies": list(STRATEGIES)}, "c").strategies == tuple(STRATEGIES)


def test_the_defaults_are_the_papers_link():
    config = parse(GOOD, "c")
    assert config.network.speeds_mbps == (20.0, 5.0)
    assert config.network.delay_ms == 20.0


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.name)
def test_the_configs_that_come_along_are_good(path):
    config = load(path)
    assert blocks(config)
    assert all(points_by_speed(config, model) for model in config.models)


def test_a_config_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none.yaml: cannot be read"):
        load(tmp_path / "none.yaml")


def test_a_config_that_is_no_yaml_is_named_with_its_line(tmp_path):
    (tmp_path / "c.yaml").write_text("models: {vgg19: {}}\nstrategies: [switch-b2\n")
    with pytest.raises(ConfigError, match=r"c.yaml:3:1: not valid YAML"):
        load(tmp_path / "c.yaml")


# --- points -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", PAPER_POINTS)
def test_the_papers_points(model):
    config = parse({**GOOD, "models": {model: {}}}, "c")
    assert points_by_speed(config, model) == PAPER_POINTS[model]


def test_the_papers_points_hold_whichever_speed_comes_first():
    config = parse({**GOOD, "network": {"speeds_mbps": [5, 20]}}, "c")
    assert list(points_by_speed(config, "vgg19").items()) == [(5.0, "block5_pool"), (20.0, "block4_pool")]


def test_points_of_ones_own_are_by_name_or_index_and_only_those_of_the_speeds():
    model = {"partition": {20: "input", 5: 7, 1: "output"}}
    config = parse({**GOOD, "models": {"resnet50": model}}, "c")
    assert points_by_speed(config, "resnet50") == {20.0: "input", 5.0: 7}


def test_points_of_ones_own_come_before_the_papers():
    config = parse({**GOOD, "models": {"vgg19": {"partition": {20: 3, 5: 4}}}}, "c")
    assert points_by_speed(config, "vgg19") == {20.0: 3, 5.0: 4}


# --- blocks -------------------------------------------------------------------------------------------------


def test_the_grid_is_every_model_with_every_strategy():
    config = parse({"models": {"vgg19": {}, "mobilenetv2": {}}, "strategies": ["pause-resume", "switch-a2"]}, "c")
    assert sorted(block.folder for block in blocks(config)) == [
        "mobilenetv2/pause-resume/cpu100-mem100",
        "mobilenetv2/switch-a2/cpu100-mem100",
        "vgg19/pause-resume/cpu100-mem100",
        "vgg19/switch-a2/cpu100-mem100",
    ]


def test_a_blocks_folder_has_no_needless_zeros():
    assert Block("vgg19", "switch-b1", 75.0, 12.5).folder == "vgg19/switch-b1/cpu75-mem12.5"


@given(
    models=st.lists(st.sampled_from(["vgg19", "mobilenetv2"]), min_size=1, unique=True),
    strategies=st.lists(st.sampled_from(list(STRATEGIES)), min_size=1, unique=True),
)
def test_blocks_have_a_folder_each(models, strategies):
    config = parse({"models": {model: {} for model in models}, "strategies": strategies}, "c")
    folders = [block.folder for block in blocks(config)]
    assert len(set(folders)) == len(folders) == len(models) * len(strategies)


# --- digest -------------------------------------------------------------------------------------------------


def digest(**changed):
    return parse({**GOOD, **changed}, "c").digest("vgg19")


def test_the_digest_does_not_depend_on_how_a_config_is_written():
    model = {"partition": {20: "input", 5: "output"}, "weights": "imagenet"}
    one = parse({"models": {"a": model}, "strategies": ["switch-b2"], "fps": [5]}, "one")
    turned = {"weights": "imagenet", "partition": {5.0: "output", 20.0: "input"}}
    other = parse({"fps": [5.0], "strategies": ["switch-b2"], "models": {"a": turned}}, "other")
    assert one.digest("a") == other.digest("a")
    assert len(one.digest("a")) == 12
    assert int(one.digest("a"), 16) >= 0


def test_a_default_that_is_written_out_changes_nothing():
    config = parse(GOOD, "c")
    assert parse(msgspec.to_builtins(config, str_keys=False), "c").digest("vgg19") == config.digest("vgg19")


BESIDE_THE_POINT = {
    "models": {"vgg19": {}, "mobilenetv2": {"weights": "imagenet"}},
    "strategies": ["switch-b1", "switch-b2"],
    "tolerances": {"fps_pct": 6},
    "results": "elsewhere",
}
CHANGES = {
    "inventory": "hosts/lab.yaml",
    "seed": 2,
    "repeats": 6,
    "fps": [6],
    "network": {"delay_ms": 21},
    "windows": {"after_s": 1.6},
    "source": "video.mp4",
    "deadline_ms": 2001,
    "queue_limit": 5,
    "repartition_timeout_s": 61,
}
STRESS = ("cpu_pct", "mem_pct", "exclude")


def test_every_key_is_tried():
    assert {*BESIDE_THE_POINT, *CHANGES, *STRESS} == {field.name for field in msgspec.structs.fields(Config)}


@pytest.mark.parametrize("key", BESIDE_THE_POINT)
def test_what_leaves_a_models_blocks_as_they_are_leaves_the_digest(key):
    assert digest(**{key: BESIDE_THE_POINT[key]}) == digest()


@pytest.mark.parametrize("key", STRESS[:2])
def test_another_stress_level_leaves_the_digest(key):
    assert digest(**{key: [100, 50]}) == digest()


def test_leaving_out_other_blocks_leaves_the_digest():
    assert digest(cpu_pct=[100, 50], exclude=[{"cpu_pct": 50}]) == digest()


@pytest.mark.parametrize("key", CHANGES)
def test_what_shapes_the_measurement_changes_the_digest(key):
    assert digest(**{key: CHANGES[key]}) != digest()


def test_models_have_a_digest_each():
    config = parse({**GOOD, "models": {"vgg19": {}, "mobilenetv2": {}}}, "c")
    assert config.digest("vgg19") != config.digest("mobilenetv2")


@pytest.mark.parametrize("field", ["source", "weights", "partition"])
def test_every_key_of_a_model_changes_the_digest(field):
    values = {"source": "resnet50", "weights": "imagenet", "partition": {20.0: 1, 5.0: 2}}
    plain = parse(GOOD, "c")
    model = msgspec.structs.replace(ModelConfig(), **{field: values[field]})
    assert msgspec.structs.replace(plain, models={"vgg19": model}).digest("vgg19") != plain.digest("vgg19")


@pytest.mark.parametrize("name", ["../up", "a/b", ".hidden", "", "a b", "tests.models:make"])
def test_a_models_name_stays_a_folder_of_its_own(name):
    with pytest.raises(ConfigError, match="cannot name a folder"):
        parse({**GOOD, "models": {name: {"partition": {20: 1, 5: 2}}}}, "c")


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({"results": ""}, "results"),
        ({"results": "~/x"}, "results"),
        ({"results": "x{y}"}, "results"),
        ({"inventory": ""}, "inventory"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**32}, "seed"),
        ({"repeats": 10**30}, "repeats"),
        ({"tolerances": {"fps_pct": -1}}, "tolerances.fps_pct"),
        ({"fps": [5, 5]}, "fps"),
        ({"strategies": ["switch-b2", "switch-b2"]}, "strategies"),
    ],
)
def test_what_could_not_be_measured_or_would_land_elsewhere_is_refused(changed, key):
    with pytest.raises(ConfigError, match=key):
        parse({**GOOD, **changed}, "c")
