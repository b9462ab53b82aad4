"""The order of runs in a block: each starts where the last ended, and no frame rate is always first."""

import itertools
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from hosts.config import parse
from hosts.order import Step, run_order


def config(fps=(5, 10, 15, 20), repeats=5, seed=1, speeds=(20, 5)):
    return parse(
        {
            "models": {"vgg19": {}},
            "strategies": ["switch-b2"],
            "fps": list(fps),
            "repeats": repeats,
            "seed": seed,
            "network": {"speeds_mbps": list(speeds)},
        },
        "c",
    )


configs = st.builds(
    config,
    fps=st.lists(st.integers(1, 60), min_size=1, max_size=5, unique=True),
    repeats=st.integers(1, 6),
    seed=st.integers(0, 2**32 - 1),
    speeds=st.permutations([20, 5]),
)


@given(configs)
def test_every_scenario_has_each_repeat_once(some):
    steps = Counter(run_order(some))
    first, second = some.network.speeds_mbps
    assert steps == Counter(
        Step(repeat, fps, *ends)
        for repeat in range(1, some.repeats + 1)
        for fps in some.fps
        for ends in ((first, second), (second, first))
    )


@given(configs)
def test_each_run_starts_at_the_speed_where_the_last_one_ended(some):
    steps = run_order(some)
    assert steps[0].from_mbps == some.network.speeds_mbps[0]
    assert all(before.to_mbps == after.from_mbps for before, after in itertools.pairwise(steps))


@given(configs)
def test_there_and_back_are_next_to_each_other_and_repeats_follow_each_other(some):
    steps = run_order(some)
    assert all(there[:2] == back[:2] for there, back in zip(steps[::2], steps[1::2], strict=True))
    assert [step.repeat for step in steps] == sorted(step.repeat for step in steps)


@given(configs)
def test_the_order_depends_on_the_seed_and_not_on_how_frame_rates_are_listed(some):
    turned = config(reversed(some.fps), some.repeats, some.seed, some.network.speeds_mbps)
    assert run_order(turned) == run_order(some)


def test_repeats_go_through_the_frame_rates_in_different_orders():
    steps = run_order(config())
    rounds = {tuple(step.fps for step in steps[start : start + 8 : 2]) for start in range(0, 40, 8)}
    assert len(rounds) > 1
    assert run_order(config(seed=2)) != steps
