import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hosts.testbed.sizes import pin, size_memory

PAPER = {"device": 1, "edge": 4, "cloud": 8}
WANTED = st.fixed_dictionaries({role: st.integers(1, 64) for role in PAPER})
CPUS = st.lists(st.integers(0, 255), min_size=1, max_size=64, unique=True)


class TestPin:
    def test_with_enough_everybody_has_their_own(self):
        pinning = pin(PAPER, range(16))
        assert pinning.cpus == {"device": (0,), "edge": (1, 2, 3, 4), "cloud": (5, 6, 7, 8, 9, 10, 11, 12)}
        assert pinning.reason is None

    def test_two_the_edge_has_one_to_itself(self):
        pinning = pin(PAPER, [0, 1])
        assert pinning.cpus == {"device": (1,), "edge": (0,), "cloud": (1,)}
        assert pinning.reason == (
            "2 CPUs here, 13 wanted (device 1, edge 4, cloud 8): edge alone on one, the others share the second"
        )

    def test_one_is_shared_by_all(self):
        assert set(pin(PAPER, [5]).cpus.values()) == {(5,)}

    def test_eight_are_given_in_proportion(self):
        counts = {role: len(cpus) for role, cpus in pin(PAPER, range(8)).cpus.items()}
        assert counts == {"device": 1, "edge": 3, "cloud": 4}

    def test_sharing_what_would_have_been_enough_is_said_too(self):
        assert pin({"device": 1, "edge": 1, "cloud": 1}, [0, 1]).reason is not None

    def test_no_cpus_is_a_mistake(self):
        with pytest.raises(ValueError, match="at least one"):
            pin(PAPER, [])

    @given(WANTED, CPUS)
    def test_nobody_goes_without_or_gets_more_than_wanted_or_there_is(self, wanted, available):
        pinning = pin(wanted, available)
        for role, cpus in pinning.cpus.items():
            assert 1 <= len(cpus) <= wanted[role]
            assert set(cpus) <= set(available)

    @given(WANTED, CPUS)
    def test_the_edge_never_shares_if_there_are_two(self, wanted, available):
        assume(len(available) > 1)
        cpus = pin(wanted, available).cpus
        assert not set(cpus["edge"]) & (set(cpus["device"]) | set(cpus["cloud"]))

    @given(WANTED, CPUS)
    def test_less_than_wanted_is_always_explained(self, wanted, available):
        pinning = pin(wanted, available)
        fulfilled = {role: len(cpus) for role, cpus in pinning.cpus.items()} == wanted
        assert fulfilled or pinning.reason is not None


class TestMemory:
    def test_enough(self):
        wanted = {"device": 1024, "edge": 8192, "cloud": 16384}
        assert size_memory(wanted, 65536) == (wanted, None)

    def test_scaled_in_proportion_with_the_reason(self):
        sizes = size_memory({"device": 1000, "edge": 4000, "cloud": 5000}, 6024)
        assert sizes.memory_mb == {"device": 500, "edge": 2000, "cloud": 2500}
        assert sizes.reason == (
            "6024 MB of memory here, 10000 MB wanted: scaled to device 500, edge 2000, cloud 2500 (MB)"
        )

    @given(st.fixed_dictionaries({role: st.integers(128, 1 << 20) for role in PAPER}), st.integers(1024, 1 << 20))
    def test_never_more_than_wanted(self, wanted, machine_mb):
        sizes = size_memory(wanted, machine_mb)
        assert all(sizes.memory_mb[role] <= wanted[role] for role in wanted)
