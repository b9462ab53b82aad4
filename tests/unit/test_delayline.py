import errno
import struct
import sys
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers import delayline, nfqueue
from workers.delayline import Line, rule, undo_commands
from workers.errors import ShapingError

MS = 1_000_000


def announcement(packet_id, *, payload=b""):
    """A packet announced by the kernel: its header among other attributes."""
    header = nfqueue.attribute(1, struct.pack(">IHBB", packet_id, 0x0800, 0, 0))
    other = nfqueue.attribute(10, payload)
    body = struct.pack(">BBH", 2, 0, 0) + other + header
    length = 16 + len(body)
    return struct.pack("=IHHII", length, 3 << 8, 0, 0, 0) + body + b"\0" * (-length % 4)


def error(code):
    return struct.pack("=IHHIIi", 36, 2, 0, 0, 0, -code) + bytes(16)


class TestMessages:
    @given(st.lists(st.integers(0, 2**32 - 1), max_size=20), st.binary(max_size=9))
    def test_ids_come_out_as_announced(self, ids, payload):
        datagram = b"".join(announcement(packet_id, payload=payload) for packet_id in ids)
        assert list(nfqueue.packet_ids(datagram)) == ids

    @given(st.binary(max_size=200))
    def test_rubbish_never_hangs(self, datagram):
        with suppress(ShapingError, struct.error, ValueError, OverflowError):
            list(nfqueue.packet_ids(datagram))

    def test_an_acknowledgement_is_no_error(self):
        assert list(nfqueue.packet_ids(error(0))) == []

    def test_a_refusal_says_what_may_be_wrong(self):
        with pytest.raises(ShapingError, match="another delay line"):
            list(nfqueue.packet_ids(error(errno.EPERM)))

    def test_a_verdict_is_laid_out_as_the_kernel_reads_it(self):
        text = nfqueue.verdict_up_to(7, 1000)
        length, kind, flags, _, _ = struct.unpack_from("=IHHII", text)
        assert (length, kind, flags) == (len(text), 0x0303, 1)
        assert struct.unpack_from(">BBH", text, 16) == (0, 0, 7)
        assert struct.unpack_from("=HH", text, 20) == (12, 2)
        assert struct.unpack_from(">II", text, 24) == (1, 1000)

    @given(st.binary(max_size=50))
    def test_attributes_are_padded_to_four_bytes(self, payload):
        packed = nfqueue.attribute(3, payload)
        assert len(packed) % 4 == 0
        assert struct.unpack_from("=HH", packed) == (4 + len(payload), 3)


class TestLine:
    def test_holds_each_packet_for_the_delay(self):
        line = Line(20 * MS)
        line.take(1, 0)
        assert line.release(20 * MS - 1) is None
        assert line.wait_ns(5 * MS) == 15 * MS
        assert line.release(20 * MS) == 1
        assert line.wait_ns(20 * MS) is None

    def test_one_release_lets_all_that_are_due_go(self):
        line = Line(20 * MS)
        for packet_id, at in ((1, 0), (2, 1 * MS), (3, 10 * MS)):
            line.take(packet_id, at)
        assert line.release(21 * MS) == 2
        assert line.release(29 * MS) is None
        assert line.release(30 * MS) == 3

    def test_the_wait_is_never_negative(self):
        line = Line(1)
        line.take(1, 0)
        assert line.wait_ns(100) == 0

    @given(st.lists(st.integers(0, 50 * MS), min_size=1), st.integers(0, 100 * MS))
    def test_order_is_kept_and_nothing_is_early_or_forgotten(self, gaps, delay_ns):
        line, now_ns, due, released = Line(delay_ns), 0, {}, 0
        for packet_id, gap in enumerate(gaps, start=1):
            now_ns += gap
            last = line.release(now_ns)
            if last is not None:
                assert last > released
                assert due[last] <= now_ns
                released = last
            line.take(packet_id, now_ns)
            due[packet_id] = now_ns + delay_ns
        final = line.release(now_ns + delay_ns)
        assert (final or released) == len(gaps)


class TestRule:
    def test_there_is_no_bypass(self):
        words = rule("iptables-legacy", "-A", "198.18.2.12", 3)
        assert words[:5] == ["iptables-legacy", "-w", "-t", "raw", "-A"]
        assert words[-4:] == ["-j", "NFQUEUE", "--queue-num", "3"]
        assert "--queue-bypass" not in words

    def test_adding_and_removing_name_the_same_rule(self):
        add, remove = (rule("iptables", verb, "198.18.2.12", 0) for verb in ("-A", "-D"))
        assert [word for word in add if word != "-A"] == [word for word in remove if word != "-D"]

    def test_undoing_runs_in_another_process(self):
        assert undo_commands("198.18.2.12", 1) == [
            [sys.executable, "-m", "workers.delayline", "--from", "198.18.2.12", "--queue", "1", "--remove"]
        ]

    def test_the_legacy_program_is_preferred(self, monkeypatch):
        monkeypatch.setattr(delayline.shutil, "which", lambda name: f"/usr/sbin/{name}")
        assert delayline.iptables() == "/usr/sbin/iptables-legacy"

    def test_none_at_all_says_what_to_install(self, monkeypatch):
        monkeypatch.setattr(delayline.shutil, "which", lambda _: None)
        with pytest.raises(ShapingError, match="apt-get install iptables"):
            delayline.iptables()


def test_a_line_that_does_not_start_says_why(monkeypatch, tmp_path):
    class Guard:
        def __init__(self):
            self.names = []

        def add(self, name, argv):
            assert argv
            self.names.append(name)

        def withdraw(self, name):
            self.names.remove(name)

    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho 'no such queue' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(delayline.sys, "executable", str(broken))
    guard = Guard()
    with pytest.raises(ShapingError, match="did not start: no such queue"):
        delayline.DelayLine(guard, "198.18.2.12", 20).start()
    assert guard.names == ["delay line"], "what it may have changed is still to be undone"
