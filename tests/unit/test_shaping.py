import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers import shaping
from workers.errors import ShapingError
from workers.shaping import QUEUE_BYTES, Link, LinkShaper, change, foreign_root, set_up, undo_commands

LINK = Link("to-cloud", 1500, "198.18.2.13")
NOQUEUE = [{"kind": "noqueue", "handle": "0:", "root": True, "refcnt": 2, "options": {}}]
MQ = [
    {"kind": "mq", "handle": "0:", "root": True, "options": {}},
    {"kind": "fq_codel", "handle": "0:", "parent": ":1", "options": {}},
]
OURS = [
    {"kind": "htb", "handle": "4e4b:", "root": True, "options": {}},
    {"kind": "tbf", "handle": "4e4c:", "parent": "4e4b:1", "options": {}},
]
THEIRS = [{"kind": "fq", "handle": "8001:", "root": True, "options": {}}]
RATES = st.floats(min_value=0.01, max_value=10_000)
DELAYS = st.one_of(st.none(), st.floats(min_value=0, max_value=1000))


class TestCommands:
    def test_set_up_without_netem(self):
        assert set_up(LINK, 20, None) == [
            "qdisc add dev to-cloud root handle 4e4b: htb",
            "class add dev to-cloud parent 4e4b: classid 4e4b:1 htb rate 100gbit quantum 1514",
            "qdisc add dev to-cloud parent 4e4b:1 handle 4e4c: tbf rate 20000000bit burst 5120 limit 131072",
            "filter add dev to-cloud parent 4e4b: protocol ip prio 1 u32 match ip dst 198.18.2.13/32 flowid 4e4b:1",
        ]

    def test_set_up_with_netem(self):
        commands = set_up(LINK, 20, 20)
        # 20 Mbit/s for 20 ms are 50,000 bytes on the way, and the 128 KiB that wait: 121 packets of 1500 bytes
        assert commands[3] == "qdisc add dev to-cloud parent 4e4c:1 handle 4e4d: netem delay 20000us limit 121"
        assert commands[-1].startswith("filter add")

    def test_change(self):
        assert change(LINK, 5, 20) == [
            "qdisc change dev to-cloud parent 4e4b:1 handle 4e4c: tbf rate 5000000bit burst 5120 limit 131072",
            "qdisc change dev to-cloud parent 4e4c:1 handle 4e4d: netem delay 20000us limit 96",
        ]

    @given(RATES, DELAYS)
    def test_a_change_never_deletes_or_adds(self, rate, delay):
        assert all(command.startswith("qdisc change ") for command in change(LINK, rate, delay))

    @given(RATES, DELAYS)
    def test_the_flow_is_sorted_last(self, rate, delay):
        kinds = [command.split()[0] for command in set_up(LINK, rate, delay)]
        assert kinds.index("filter") == len(kinds) - 1

    @given(RATES)
    def test_a_full_packet_fits_the_burst_and_the_burst_the_queue(self, rate):
        words = change(LINK, rate, None)[0].split()
        burst, limit = int(words[words.index("burst") + 1]), int(words[words.index("limit") + 1])
        assert burst >= 2 * LINK.mtu_bytes
        assert limit == QUEUE_BYTES

    def test_jumbo_packets_fit_the_burst(self):
        assert "burst 18000" in change(LINK._replace(mtu_bytes=9000), 20, None)[0]

    @pytest.mark.parametrize("rate", [0, -1, float("nan")])
    def test_impossible_rates_are_refused(self, rate):
        with pytest.raises(ShapingError, match="above 0"):
            set_up(LINK, rate, None)

    def test_ipv6(self):
        command = set_up(LINK._replace(address="fd00::1"), 20, None)[-1]
        assert "protocol ipv6 prio 1 u32 match ip6 dst fd00::1/128" in command

    def test_undoing_names_our_own_handle(self):
        assert undo_commands("eth0") == [["tc", "qdisc", "del", "dev", "eth0", "root", "handle", "4e4b:"]]


@pytest.mark.parametrize(("qdiscs", "kind"), [(NOQUEUE, None), (MQ, None), (OURS, None), (THEIRS, "fq"), ([], None)])
def test_only_a_configured_root_is_foreign(qdiscs, kind):
    assert foreign_root(qdiscs) == kind


class Host:
    """Answers ip and tc as a host with the given qdiscs would, and remembers what was asked."""

    def __init__(self, qdiscs):
        self.qdiscs = qdiscs
        self.batches = []
        self.others = []
        self.undo = {}

    def run(self, argv, stdin):
        match argv[:4]:
            case ["ip", "-j", "route", "get"]:
                return json.dumps([{"dst": argv[4], "dev": "eth0", "prefsrc": "198.18.2.12"}])
            case ["ip", "-j", "link", "show"]:
                return json.dumps([{"ifname": argv[-1], "mtu": 1500}])
            case ["tc", "-j", "qdisc", "show"]:
                return json.dumps(self.qdiscs)
            case ["tc", "-batch", "-", *_]:
                assert self.undo, "a change was made before its undoing was registered"
                self.batches.append(stdin.splitlines())
            case _:
                self.others.append(list(argv))
        return ""

    def add(self, name, argv):
        self.undo[name] = list(argv)

    def shaper(self):
        return LinkShaper(self, "198.18.2.13", delay=False, run=self.run)


class TestLinkShaper:
    def test_sets_up_once_and_then_changes(self):
        host = Host(NOQUEUE)
        shaper = host.shaper()
        for rate in (20, 5, 20):
            shaper.set(rate, 20)
        link = Link("eth0", 1500, "198.18.2.13")
        assert host.batches == [set_up(link, 20, None), change(link, 5, None), change(link, 20, None)]
        assert host.undo == {"link shaping 0": undo_commands("eth0")[0]}

    def test_the_delay_line_leaves_the_delay_to_the_cloud(self):
        host = Host(NOQUEUE)
        shaper = host.shaper()
        shaper.set(20, 20)
        assert shaper.method == "delay line"
        assert not any("netem" in command for command in host.batches[0])

    def test_netem_delays_on_the_edge(self, monkeypatch):
        monkeypatch.setattr(shaping, "has_netem", lambda: True)
        host = Host(NOQUEUE)
        shaper = LinkShaper(host, "198.18.2.13", delay=True, run=host.run)
        shaper.set(20, 20)
        assert shaper.method == "netem"
        assert any("netem delay 20000us" in command for command in host.batches[0])

    def test_a_kernel_without_netem_says_what_to_do(self, monkeypatch):
        monkeypatch.setattr(shaping, "has_netem", lambda: False)
        with pytest.raises(ShapingError, match="modprobe sch_netem"):
            LinkShaper(Host(NOQUEUE), "198.18.2.13", delay=True)

    def test_foreign_rules_are_refused_untouched(self):
        host = Host(THEIRS)
        with pytest.raises(ShapingError, match=r"eth0 has traffic control rules .* \(root qdisc fq\)"):
            host.shaper()
        assert (host.batches, host.others, host.undo) == ([], [], {})

    def test_leftovers_of_our_own_are_removed_first(self):
        host = Host(OURS)
        host.shaper()
        assert host.others == undo_commands("eth0")

    def test_a_refused_rate_leaves_nothing_behind(self):
        host = Host(NOQUEUE)
        with pytest.raises(ShapingError):
            host.shaper().set(0, 0)
        assert (host.batches, host.undo) == ([], {})


class TestRunCommand:
    def test_returns_the_output(self):
        assert shaping.run_command(["cat"], "hello") == "hello"

    def test_a_failure_carries_the_commands_own_words(self):
        with pytest.raises(ShapingError, match="File exists"):
            shaping.run_command(["sh", "-c", "echo RTNETLINK answers: File exists >&2; exit 2"])

    def test_a_missing_program_is_named_with_its_package(self):
        with pytest.raises(ShapingError, match=r"no-such-tc is missing .*apt-get install iproute2"):
            shaping.run_command(["no-such-tc"])
