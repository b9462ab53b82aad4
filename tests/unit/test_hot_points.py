"""Which points are kept hot, and what is said of one that the model does not have."""

import pytest

from hosts.config import parse
from hosts.errors import ConfigError
from hosts.hot import hot_in_a_soak, hot_points, pareto
from workers.partition import PartitionPoint

SIZES = [600, 3200, 800, 400, 400, 100, 200, 4]
POINTS = tuple(
    PartitionPoint(index, f"layer{index}", str(index), (size // 4,), size, 0, 0, 0, 0)
    for index, size in enumerate(SIZES, start=1)
)


def configured(wanted):
    model = {"partition": {20: "layer2", 5: "layer6"}} | ({} if wanted is None else {"hot": wanted})
    return parse({"models": {"own": {"source": "some.package:own"} | model}, "strategies": ["switch-hot"]}, "c")


def hot(wanted, cut_at=(2, 6)):
    return hot_points(configured(wanted), "own", POINTS, cut_at)


def test_by_default_those_that_send_less_than_all_before_and_those_that_are_cut_at():
    assert pareto(POINTS) == (1, 4, 6, 8)
    assert hot(None) == hot("pareto") == {1: "layer1", 2: "layer2", 4: "layer4", 6: "layer6", 8: "layer8"}


def test_all_points():
    assert list(hot("all")) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_points_by_name_and_index():
    assert list(hot(["layer3", 8])) == [2, 3, 6, 8]
    assert list(hot([])) == [2, 6]


@pytest.mark.parametrize(
    ("wanted", "found"), [(None, {3: "layer3", 7: "layer7"}), (["layer3", 8], {3: "layer3", 8: "layer8"}), ([], {})]
)
def test_in_a_soak_all_that_is_ordered_unless_the_config_says_which(wanted, found):
    assert hot_in_a_soak(configured(wanted), "own", POINTS, (3, 7)) == found


def test_a_point_that_does_not_exist_is_refused_with_path_and_suggestion():
    with pytest.raises(ConfigError, match=r"^models\.own\.hot: .*'laier3'; nearest names: layer3"):
        hot(["laier3"])
    with pytest.raises(ConfigError, match=r"^models\.own\.hot: .*cut at 9.* Nearest points: 8 \(layer8\)"):
        hot([9])


@pytest.mark.parametrize(("wrong", "said"), [("paretto", "did you mean `pareto`"), ([1.5], "models.own.hot")])
def test_what_is_no_choice_of_points_is_refused_with_its_path(wrong, said):
    with pytest.raises(ConfigError, match=r"models\.own\.hot") as refused:
        hot(wrong)
    assert said in str(refused.value)
