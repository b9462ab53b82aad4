"""The experiment's config: every problem is a line with the path of its key, and the digest tells configs apart."""

import math
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosts.config import Config, ModelConfig, completed, load, parse
from hosts.errors import ConfigError
from hosts.grid import Block, blocks, grid_size, highest_level, profiled_levels
from hosts.points import PAPER_POINTS, points_by_speed
from workers.detection import Rule
from workers.speed_map import SpeedMap
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
                "write `optimal`, or map each speed to a layer, for example {20: input, 5: output}"
            ),
        ),
        (
            {"network": {"speeds_mbps": [20, 10]}},
            (
                "models.vgg19.partition: the paper names points for 20 and 5 Mbit/s only; "
                "write `optimal`, or map each of your speeds to a layer"
            ),
        ),
        (
            {"models": {"vgg19": {"partition": {20: "input"}}}},
            (
                "models.vgg19.partition: no point for 5 Mbit/s; add `5: LAYER`: "
                "`python -m workers.partition vgg19` lists the layers"
            ),
        ),
        (
            {"models": {"vgg19": {"partition": "optmal"}}},
            "models.vgg19.partition: cannot be 'optmal'; did you mean `optimal`?",
        ),
        (
            {"models": {"vgg19": {"partition": "optimal"}}, "profile": {"levels": "none"}},
            (
                "models.vgg19.partition: `optimal` takes the points from a profile: "
                "set `profile.levels` to `full` or `all`; or, for a bench, which makes no profile, "
                "map each speed to a layer: `python -m workers.partition vgg19` lists them"
            ),
        ),
        ({"detection": "estimate"}, "detection: cannot be 'estimate'; did you mean `estimated`?"),
        ({"detection": "guessed"}, "detection: cannot be 'guessed'; known: notified, estimated"),
        ({"profile": {"levels": "al"}}, "profile.levels: cannot be 'al'; did you mean `all`?"),
        ({"profile": {"level": "all"}}, "profile.level: unknown key; did you mean `levels`?"),
        ({"profile": {"repetitions": 0}}, "profile.repetitions: must lie between 1 and 100000, found 0"),
        ({"profile": {"repetitions": 10**6}}, "profile.repetitions: must lie between 1 and 100000, found 1000000"),
        ({"profile": {"repetitions": -3}}, "profile.repetitions: must lie between 1 and 100000, found -3"),
        ({"profile": {"frames": 0}}, "profile.frames: must lie between 1 and 100000, found 0"),
        ({"network": {"speeds_mpbs": [20, 5]}}, "network.speeds_mpbs: unknown key; did you mean `speeds_mbps`?"),
        ({"network": {"delay_ms": -1}}, "network.delay_ms: must be finite and not negative, found -1"),
        ({"windows": {"before_s": -0.5}}, "windows.before_s: must be finite and not negative, found -0.5"),
        ({"windows": {"warmup_frames": -1}}, "windows.warmup_frames: must lie between 0 and 100000, found -1"),
        ({"fps": [5, 0]}, "fps: must lie above 0 and be finite, found 0"),
        ({"fps": []}, "fps: must hold at least one value"),
        ({"fps": [math.nan]}, "fps: must lie above 0 and be finite, found nan"),
        ({"fps": [math.inf]}, "fps: must lie above 0 and be finite, found inf"),
        ({"fps": ["5"]}, "fps[0]: expected `float`, got `str`, found '5', which YAML takes for text; write 5"),
        ({"repeats": 0}, "repeats: must lie between 1 and 100000, found 0"),
        ({"repeats": "3"}, "repeats: expected `int`, got `str`, found '3', which YAML takes for text; write 3"),
        ({"queue_limit": -4}, "queue_limit: must lie between 1 and 100000, found -4"),
        ({"deadline_ms": 0}, "deadline_ms: must lie above 0 and be finite, found 0"),
        ({"repartition_timeout_s": -1}, "repartition_timeout_s: must lie above 0 and be finite, found -1"),
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


@pytest.mark.parametrize(
    ("speeds", "problem"),
    [
        ([5, 5], "the two speeds must differ"),
        ([0, 5], "must lie above 0 and be finite, found 0"),
        ([-20, 5], "must lie above 0 and be finite, found -20"),
        ([math.nan, 5], "must lie above 0 and be finite, found nan"),
    ],
)
@pytest.mark.parametrize("partition", ["paper", {20: 1, 7: 2}])
def test_speeds_that_cannot_be_are_one_problem_and_nothing_that_rests_on_them_another(speeds, problem, partition):
    found = problems(network={"speeds_mbps": speeds}, models={"vgg19": {"partition": partition}})
    assert found == [f"c.yaml: network.speeds_mbps: {problem}"]


@pytest.mark.parametrize("key", ["models", "strategies"])
def test_a_key_that_is_needed(key):
    with pytest.raises(ConfigError, match=f"^c.yaml: {key}: is missing$"):
        parse({name: value for name, value in GOOD.items() if name != key}, "c.yaml")


def test_an_empty_config_is_told_what_it_needs(tmp_path):
    for text in ("", "# nothing yet\n"):
        (tmp_path / "c.yaml").write_text(text)
        with pytest.raises(ConfigError, match=r"c.yaml: holds nothing; write a mapping with `models`, `strategies`$"):
            load(tmp_path / "c.yaml")


@pytest.mark.parametrize("data", [[], "vgg19", 5])
def test_what_is_no_config_at_all(data):
    with pytest.raises(ConfigError, match=r"^c.yaml: expected a mapping"):
        parse(data, "c.yaml")


def test_all_problems_are_said_at_once():
    lines = problems(
        strategies=["pause-resum", "switch-b2", "swich-a1"],
        models={"resnet50": {}, "vgg19": {"partition": {7: 1}}},
        fps=[-1],
        network={"speeds_mbps": [3, 2], "delay_ms": -2},
        mem_pct=[110],
    )
    paths = [line.split(": ")[1] for line in lines]
    assert paths == [
        "strategies",
        "strategies",
        "fps",
        "network.delay_ms",
        "mem_pct",
        "models.resnet50.partition",
        "models.vgg19.partition",
        "models.vgg19.partition",
    ]


def test_every_registered_strategy_can_be_named():
    assert parse({**GOOD, "strategies": list(STRATEGIES)}, "c").strategies == tuple(STRATEGIES)


def test_the_best_points_need_no_speeds_that_the_paper_knows():
    config = parse({**GOOD, "models": {"resnet50": {"partition": "optimal"}}, "network": {"speeds_mbps": [7, 3]}}, "c")
    assert config.models["resnet50"].partition == "optimal"


@pytest.mark.parametrize("levels", ["none", "full", "all"])
def test_models_can_be_profiled_at_any_of_their_levels(levels):
    assert parse({**GOOD, "profile": {"levels": levels}}, "c").profile.levels == levels


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


# --- a file that is laid over the default one ---------------------------------------------------------------


def test_a_file_without_models_is_laid_over_the_default_one(tmp_path):
    (tmp_path / "c.yaml").write_text(
        "repeats: 2\nnetwork: {delay_ms: 7}\nstrategies: [switch-b2, pause-resume]\nexclude: []\n"
    )
    over, default = load(tmp_path / "c.yaml"), load(CONFIGS / "default.yaml")
    assert (over.repeats, over.strategies, over.exclude) == (2, ("switch-b2", "pause-resume"), ())
    assert over.network == msgspec.structs.replace(default.network, delay_ms=7.0)
    changed = {key: getattr(default, key) for key in ("repeats", "strategies", "exclude", "network")}
    assert msgspec.structs.replace(over, **changed) == default


def test_a_file_with_models_stands_alone(tmp_path):
    (tmp_path / "c.yaml").write_text("models: {vgg19: {}}\nstrategies: [switch-b2]\n")
    assert load(tmp_path / "c.yaml") == parse(GOOD, "c")


def test_a_mistake_says_what_it_was_laid_over(tmp_path):
    (tmp_path / "c.yaml").write_text("cpu_pct: [100]\n")
    with pytest.raises(ConfigError, match=r"c.yaml \(laid over config/default.yaml\): exclude\[0\].cpu_pct: 50 is not"):
        load(tmp_path / "c.yaml")


def test_the_default_itself_changes_nothing_where_nothing_is_given():
    assert parse(*completed({}, "config")) == load(CONFIGS / "default.yaml")


def test_the_workflow_lays_a_config_over_the_default_one_by_the_same_function():
    rules = (CONFIGS.parent / "rules/common.smk").read_text()
    assert 'parse_config(*completed(config, "config"))' in rules
    assert "configfile:" not in rules + (CONFIGS.parent / "Snakefile").read_text()


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
    one = parse({"models": {"vgg19": model}, "strategies": ["switch-b2"], "fps": [5]}, "one")
    turned = {"weights": "imagenet", "partition": {5.0: "output", 20.0: "input"}}
    other = parse({"fps": [5.0], "strategies": ["switch-b2"], "models": {"vgg19": turned}}, "other")
    assert one.digest("vgg19") == other.digest("vgg19")
    assert len(one.digest("vgg19")) == 12
    assert int(one.digest("vgg19"), 16) >= 0


def test_a_default_that_is_written_out_changes_nothing():
    config = parse(GOOD, "c")
    assert parse(msgspec.to_builtins(config, str_keys=False), "c").digest("vgg19") == config.digest("vgg19")


BESIDE_THE_POINT = {
    "models": {"vgg19": {}, "mobilenetv2": {"weights": "imagenet"}},
    "strategies": ["switch-b1", "switch-b2"],
    "tolerances": {"fps_pct": 6},
    "profile": {"levels": "all", "repetitions": 30, "frames": 12},
    "results": "elsewhere",
    "bench": {"rounds": 9, "baseline": "switch-b2", "burst_s": 1, "burst_changes": 3, "plane": False},
}
CHANGES = {
    "inventory": "hosts/lab.yaml",
    "seed": 2,
    "repeats": 6,
    "fps": [6],
    "network": {"delay_ms": 21},
    "detection": "estimated",
    "weights_memory": "private",
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


def test_the_best_points_have_another_digest_than_the_papers():
    assert digest(models={"vgg19": {"partition": "optimal"}}) != digest()


def test_models_have_a_digest_each():
    config = parse({**GOOD, "models": {"vgg19": {}, "mobilenetv2": {}}}, "c")
    assert config.digest("vgg19") != config.digest("mobilenetv2")


def test_a_grid_without_hot_points_is_one_with_the_pareto_points():
    bare, named = (
        parse({"models": {"vgg19": one}, "strategies": ["switch-hot"]}, "c") for one in ({}, {"hot": "pareto"})
    )
    assert bare.models["vgg19"].hot is None
    assert bare.digest("vgg19") == named.digest("vgg19")


@pytest.mark.parametrize("field", ["source", "weights", "partition", "hot"])
def test_every_key_of_a_model_changes_the_digest(field):
    values = {"source": "resnet50", "weights": "imagenet", "partition": {20.0: 1, 5.0: 2}, "hot": "all"}
    plain = parse(GOOD, "c")
    model = msgspec.structs.replace(ModelConfig(), **{field: values[field]})
    assert msgspec.structs.replace(plain, models={"vgg19": model}).digest("vgg19") != plain.digest("vgg19")


@pytest.mark.parametrize("name", ["..", "../up", "a/b", ".hidden", "", "a b", "tests.models:make"])
def test_a_models_name_stays_a_folder_of_its_own(name):
    (line,) = problems(models={name: {"partition": {20: 1}}})
    assert "cannot name a folder" in line


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({"results": ""}, "results"),
        ({"results": "~/x"}, "results"),
        ({"results": "x{y}"}, "results"),
        ({"results": "/"}, "results"),
        ({"results": "."}, "results"),
        ({"results": "../.."}, "results"),
        ({"results": "a/../.."}, "results"),
        ({"results": str(Path.home())}, "results"),
        ({"results": str(CONFIGS.parent)}, "results"),
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


@pytest.mark.parametrize("results", ["results", "a/../b", "../elsewhere", "/srv/results"])
def test_a_folder_of_its_own_can_hold_results(results):
    assert parse({**GOOD, "results": results}, "c").results == results


# --- mistakes that show before a model is built -------------------------------------------------------------


def model_problems(model, name="vgg19", **changed):
    """Return what is said about a model, without the path that all of it begins with."""
    return [line.removeprefix(f"c.yaml: models.{name}.") for line in problems(models={name: model}, **changed)]


@pytest.mark.parametrize("model", [{}, {"partition": {20: 1, 5: 2}}, {"partition": "optimal"}])
def test_a_model_that_nobody_knows_is_one_problem(model):
    (line,) = model_problems(model, name="foonet")
    assert line.startswith("source: model 'foonet' is not known")


def test_a_source_that_nobody_knows():
    (line,) = model_problems({"source": "resnet51", "partition": {20: 1, 5: 2}}, name="mine")
    assert line.startswith("source: model 'resnet51' is not known")
    assert "resnet50" in line


@pytest.mark.parametrize("source", ["resnet50", "some.package:make", "folder/mine.keras"])
def test_what_a_model_can_come_from(source):
    model = {"source": source, "partition": {20: 1, 5: 2}}
    assert parse({**GOOD, "models": {"mine": model}}, "c").models["mine"].source == source


@pytest.mark.parametrize("point", [0, -1, "0"])
def test_points_are_counted_from_one(point):
    said = f"points are counted from 1, found {point}; `python -m workers.partition vgg19` lists them"
    assert model_problems({"partition": {20: point, 5: 2}}) == [f"partition.20: {said}"]
    assert model_problems({"hot": [3, point]}) == [f"hot[1]: {said}"]


@pytest.mark.parametrize(("fast", "slow"), [(1, 1), ("avg_pool", "avg_pool"), ("input", 1), ("7", 7)])
@pytest.mark.parametrize("detection", ["notified", "estimated"])
def test_one_point_for_both_speeds_is_nothing_to_repartition(fast, slow, detection):
    (line,) = model_problems({"partition": {20: fast, 5: slow}}, detection=detection)
    assert line.startswith(f"partition: {fast!r} at 20 Mbit/s is {slow!r} at 5, so there is nothing to repartition; ")


def test_a_point_that_is_no_speeds_of_the_grid_may_be_that_of_another():
    assert parse({**GOOD, "models": {"vgg19": {"partition": {20: 1, 10: 1, 5: 2}}}}, "c")


def test_a_mapping_holds_speeds():
    (line,) = model_problems({"partition": {20: 1, 5: 2, -3: 4}}, detection="estimated")
    assert line == "partition: a speed must lie above 0 Mbit/s and be finite, found -3"


# --- speeds that an edge can tell apart ---------------------------------------------------------------------


def estimated(speeds, partition):
    """Return the keys of a config whose edge finds its cuts by itself."""
    return {
        "network": {"speeds_mbps": speeds},
        "models": {"vgg19": {"partition": partition}},
        "detection": "estimated",
    }


@pytest.mark.parametrize("slow", [9.5, 9, 8.3, 8.2])
def test_speeds_too_near_each_other_to_be_noticed_are_refused(slow):
    changed = estimated([10, slow], {10: 1, slow: 27})
    (line,) = problems(**changed)
    assert line.startswith("c.yaml: models.vgg19.partition: with `detection: estimated`, ")
    assert line.endswith(
        "within 10.5% of a bound; let neighbouring speeds differ by a factor above 1.22, or write `detection: notified`"
    )
    assert parse({**GOOD, **changed, "detection": "notified"}, "c").network.speeds_mbps == (10.0, slow)


@pytest.mark.parametrize("slow", [8.1, 5, 0.1])
def test_speeds_that_an_edge_can_tell_apart_are_taken(slow):
    assert parse({**GOOD, **estimated([slow, 10], {10: 1, slow: 27})}, "c").detection == "estimated"


def test_what_is_refused_is_what_the_rule_never_notices():
    """The bound is the geometric mean: a ratio just above the one refused adds evidence, one just below none."""
    margin = Rule().margin
    for ratio, noticed in ((math.exp(2 * margin) * 1.001, True), (math.exp(2 * margin) * 0.999, False)):
        bound = SpeedMap.from_points({10.0: 1, 10.0 / ratio: 2}).bounds_mbps[0]
        assert (math.log(10.0 / bound) > margin) is noticed
        changed = {**GOOD, **estimated([10, 10 / ratio], {10: 1, 10 / ratio: 2})}
        if noticed:
            parse(changed, "c")
        else:
            with pytest.raises(ConfigError, match="cannot be told from"):
                parse(changed, "c")


def test_a_speed_near_the_bound_of_another_point_is_refused_too():
    (line,) = problems(**estimated([20, 5], {20: 1, 18: 2, 5: 27}))
    assert "20 Mbit/s cannot be told from 18.97, the bound between two points" in line


def test_a_bound_between_equal_points_is_none():
    assert parse({**GOOD, **estimated([20, 5], {20: "input", 18: 1, 5: 27})}, "c")


# --- the size of a grid -------------------------------------------------------------------------------------


def test_a_grid_that_no_one_could_measure_is_refused_by_arithmetic():
    everything = {"fps": list(range(1, 60)), "cpu_pct": list(range(1, 101)), "mem_pct": list(range(1, 101))}
    (line,) = problems(**everything, repeats=1000, strategies=["switch-b2", "switch-a2"], exclude=[{"cpu_pct": 1}])
    assert line.startswith(
        "c.yaml: models × strategies × cpu_pct × mem_pct: 1 × 2 × 100 × 100 = 20000 blocks; a grid may have 10000"
    )
    (line,) = problems(fps=list(range(1, 60)), repeats=100_000)
    assert line.startswith(
        "c.yaml: fps × repeats: 1 blocks × 59 frame rates × 2 directions × 100000 repeats = 11800000 runs; a grid may"
    )


def test_the_largest_grid_is_counted_without_its_runs():
    levels = list(range(1, 101))
    config = parse({**GOOD, "cpu_pct": levels, "mem_pct": levels, "repeats": 50}, "c")
    assert grid_size(config) == len(blocks(config)) == 10_000
    assert profiled_levels(config) == [highest_level(config, "vgg19")]
