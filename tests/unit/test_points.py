"""Where a model is cut at each speed: named by the paper or the config, or chosen from a profile."""

import msgspec
import pytest

from hosts.config import parse
from hosts.errors import ConfigError
from hosts.points import needs_profile, points_by_speed, speed_map
from workers.errors import PartitionError
from workers.latency import LOW_MBPS, Link, best, profile_costs
from workers.records import ProfileRecord, Status, TierTimings
from workers.speed_map import SpeedMap

INDICES = {"input": 1, "block4_pool": 17, "block5_pool": 22, "output": 26}


def config(partition, speeds=(20, 5)):
    return parse(
        {
            "models": {"vgg19": {"partition": partition}},
            "strategies": ["switch-b2"],
            "network": {"speeds_mbps": list(speeds)},
        },
        "c",
    )


def index_of(point):
    return INDICES.get(point, point)


def never(point):
    raise AssertionError(f"{point} is an index already")


def timings(*layers):
    return TierTimings(threads=(1, 1), whole_ms=(1.0,), layers_ms=layers, parts_ms={})


def profile(edge, cloud, output_bytes, **changed):
    """Return a profile with a sample of each layer on either tier (ms), each of which can be cut after."""
    points = [{"index": n, "name": f"layer-{n}", "output_bytes": size} for n, size in enumerate(output_bytes, 1)]
    record = ProfileRecord(
        schema_version=1,
        protocol_version=1,
        model="vgg19",
        cpu_pct=100.0,
        mem_pct=100.0,
        delay_ms=20.0,
        status=Status.OK,
        reason=None,
        tiers={"edge": timings(*([ms] for ms in edge)), "cloud": timings(*([ms] for ms in cloud))},
        measured=(),
        model_facts={"points": points},
        config_hash="",
        commit="",
        dirty=False,
        hosts={},
        choices={},
        started_utc="",
        duration_s=1.0,
    )
    return msgspec.structs.replace(record, **changed)


# The deeper the cut, the less is sent and the more the slow edge computes: each is the best somewhere.
MOVING = profile([0.0, 100.0, 300.0], [0.0, 10.0, 20.0], [1_448_000, 144_800, 14_480])
# Edge and cloud are equally fast: what sends least is the best at any speed.
STILL = profile([0.0, 10.0, 20.0], [0.0, 10.0, 20.0], [1_448_000, 144_800, 14_480])


# --- points by speed ----------------------------------------------------------------------------------------


def test_only_the_best_points_wait_for_a_profile():
    assert needs_profile(config("optimal"), "vgg19")
    assert not needs_profile(config("paper"), "vgg19")
    assert not needs_profile(config({20: 1, 5: 2}), "vgg19")


def test_the_best_points_are_those_of_the_profile_in_the_order_of_the_speeds():
    assert list(
        points_by_speed(
            config(
                "optimal",
                [
                    1,
                    20,
                ],
            ),
            "vgg19",
            MOVING,
        ).items()
    ) == [(1.0, 3), (20.0, 2)]
    assert list(points_by_speed(config("optimal", [200, 1]), "vgg19", MOVING).items()) == [(200.0, 1), (1.0, 3)]


def test_one_point_may_be_the_best_at_both_speeds():
    assert points_by_speed(config("optimal"), "vgg19", STILL) == {20.0: 3, 5.0: 3}


def test_what_is_named_stays_with_a_profile_or_without():
    for given in (None, STILL, MOVING):
        assert points_by_speed(config("paper"), "vgg19", given) == {20.0: "block4_pool", 5.0: "block5_pool"}
        assert points_by_speed(config({20: "input", 5: 7}), "vgg19", given) == {20.0: "input", 5.0: 7}


def test_the_best_points_without_a_profile_are_refused():
    with pytest.raises(ConfigError, match=r"^models.vgg19.partition: `optimal` .* there is none\. Profile the model"):
        points_by_speed(config("optimal"), "vgg19")
    with pytest.raises(ConfigError, match="there is none"):
        speed_map(config("optimal"), "vgg19", None, never)


def test_a_profile_that_timed_nothing_is_refused():
    killed = msgspec.structs.replace(MOVING, tiers={}, status=Status.INFEASIBLE, reason="killed")
    with pytest.raises(PartitionError, match="holds no times"):
        points_by_speed(config("optimal"), "vgg19", killed)


def test_a_profile_read_from_its_file_gives_the_same_points():
    again = msgspec.json.decode(msgspec.json.encode(MOVING), type=ProfileRecord)
    assert points_by_speed(config("optimal"), "vgg19", again) == points_by_speed(config("optimal"), "vgg19", MOVING)


# --- the map of all speeds ----------------------------------------------------------------------------------


def test_the_papers_points_are_for_the_speeds_around_them():
    found = speed_map(config("paper"), "vgg19", None, index_of)
    assert found.points == (22, 17)
    assert found.bounds_mbps == pytest.approx((10.0,))


def test_every_speed_of_a_mapping_counts():
    found = speed_map(config({20: "input", 5: 7, 1.25: "output"}), "vgg19", None, index_of)
    assert found.points == (26, 7, 1)
    assert found.bounds_mbps == pytest.approx((2.5, 10.0))


def test_the_best_points_have_exact_bounds():
    found = speed_map(config("optimal"), "vgg19", MOVING, never)
    costs = profile_costs(MOVING)
    assert found.points == (3, 2, 1)
    for mbps in (0.1, 1.0, 4.0, 5.0, 19.0, 20.0, 100.0, 150.0, 1000.0):
        assert found.point_for(mbps) == best(costs, Link(mbps, 20.0)).index


def test_the_map_gives_each_speed_of_the_grid_its_point_also_beyond_the_usual_range():
    slow, fast = LOW_MBPS / 100, 20_000.0
    small = profile([0.0, 100.0, 300.0], [0.0, 99.99, 260.0], [14_480, 1448, 148])
    asked = config("optimal", [slow, fast])
    found = speed_map(asked, "vgg19", small, never)
    assert {mbps: found.point_for(mbps) for mbps in (slow, fast)} == points_by_speed(asked, "vgg19", small)


def test_a_best_point_that_never_moves_is_for_all_speeds():
    assert speed_map(config("optimal"), "vgg19", STILL, never) == SpeedMap((), (3,))
