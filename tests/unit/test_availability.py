"""What is left over for pipelines, worked out from the kernel's accounts."""

import os

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers import availability
from workers.availability import Accounts, cpu_left_pct

SECOND = 10**9
TIMES = st.integers(0, 10**12)


def test_the_stressors_share_is_not_left_over():
    before = Accounts(at_ns=0, budget_ns=0, stress_ns=0, machine_ns=None)
    after = Accounts(at_ns=2 * SECOND, budget_ns=2 * SECOND, stress_ns=SECOND // 2, machine_ns=None)
    assert cpu_left_pct(before, after, cpus=1) == 75.0
    assert cpu_left_pct(before, after, cpus=2) == 87.5


def test_what_strangers_use_on_the_same_cpus_is_not_left_over_either():
    before = Accounts(at_ns=5, budget_ns=10, stress_ns=7, machine_ns=100)
    # In one second on one CPU: the stressor 0.25 s, the pipelines 0.4 s, somebody else 0.1 s.
    after = Accounts(5 + SECOND, 10 + 65 * SECOND // 100, 7 + SECOND // 4, 100 + 75 * SECOND // 100)
    assert cpu_left_pct(before, after, cpus=1) == pytest.approx(65.0)


def test_accounts_read_a_moment_apart_never_hide_the_stressor():
    before = Accounts(0, 0, 0, 0)
    after = Accounts(SECOND, SECOND, SECOND // 2, SECOND - 1000)  # the machine's was read before the budget's
    assert cpu_left_pct(before, after, cpus=1) == 50.0


@given(
    before=st.builds(Accounts, TIMES, TIMES, TIMES, st.none() | TIMES),
    after=st.builds(Accounts, TIMES, TIMES, TIMES, st.none() | TIMES),
    cpus=st.integers(1, 64),
)
def test_no_accounts_make_more_than_everything_or_less_than_nothing(before, after, cpus):
    later = Accounts(*(None if value is None else value + 10**12 for value in after))
    budget_ns = max(later.budget_ns, before.budget_ns + later.stress_ns - before.stress_ns)  # it holds the stressor
    assert 0.0 <= cpu_left_pct(before, later._replace(budget_ns=budget_ns), cpus) <= 100.0


def test_a_spin_gets_its_share_of_a_cpu_and_leaves_no_child(capsys):
    cpu = min(os.sched_getaffinity(0))
    before = psutil.Process().children()
    assert availability.main(["--seconds", "0.05", str(cpu)]) == 0
    assert 0.0 < float(capsys.readouterr().out) <= 101.0
    assert psutil.Process().children() == before
