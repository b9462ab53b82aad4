"""The config that measures suspects again holds them and nothing else, and measures them as the night did."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosts.config import load, parse
from hosts.grid import blocks
from report.watch.errors import GridError
from report.watch.grids import only, read_grid, whole

NIGHTLY = Path(__file__).parents[2] / "config/nightly.yaml"
GRID = read_grid(NIGHTLY)
CONFIG = load(NIGHTLY)
BLOCKS = [block.folder for block in blocks(CONFIG)]


@given(st.sets(st.sampled_from(BLOCKS), min_size=1))
def test_just_the_blocks_asked_for_are_measured_again_and_as_before(chosen):
    config = parse(only(GRID, chosen, Path("again")), "again")
    assert {block.folder for block in blocks(config)} == chosen
    assert config.results == "again"
    assert all(config.digest(model) == CONFIG.digest(model) for model in config.models)


def test_exclusions_of_the_night_are_not_needed_any_more():
    grid = GRID | {"exclude": [{"model": "mobilenetv2"}, {"cpu_pct": 50, "strategy": "switch-b1"}]}
    config = parse(only(grid, ["vgg19/switch-b2/cpu50-mem100"], Path("again")), "again")
    assert [block.folder for block in blocks(config)] == ["vgg19/switch-b2/cpu50-mem100"]


def test_a_whole_night_differs_in_its_folder_alone():
    assert whole(GRID, Path("n/grid")) == GRID | {"results": "n/grid"}


def test_models_are_profiled_again_only_where_the_profile_says_where_they_are_cut():
    assert only(GRID, BLOCKS[:1], Path("again"))["profile"] == {"levels": "none"}
    model = BLOCKS[0].split("/")[0]
    optimal = GRID | {"models": {model: {"partition": "optimal"}}}
    optimal.pop("profile", None)
    assert "profile" not in only(optimal, BLOCKS[:1], Path("again"))


@pytest.mark.parametrize(
    ("content", "said"), [(None, "cannot be read"), ("models: [", "is no YAML"), ("repeats: 3", "has no `models`")]
)
def test_a_config_that_is_none_is_one_sentence(tmp_path, content, said):
    path = tmp_path / "nightly.yaml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(GridError, match=said):
        read_grid(path)
