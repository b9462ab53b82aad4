"""Rate and delay of the edge-to-cloud flow, by Linux traffic control; the same rules on any host.

On the edge's interface towards the cloud::

    htb 4e4b: --(destination is the cloud's data address)--> class 4e4b:1 --> tbf 4e4c: rate, 128 KiB
              --(everything else)--> sent as it comes                           `--> netem 4e4d: delay

So on a shared network card only the data flow is slowed down. htb only sorts: tbf keeps the rate, because it cuts
large GSO packets to size, which htb's own rate does not. Rate and delay change in place (``change``): the queue
and what is in it stay. Where the kernel has no netem, `workers.delayline` delays on the cloud instead.

Rates count bytes on the wire, headers included; TCP's goodput is 4-5 % below.
"""

from __future__ import annotations

import ipaddress
import json
import math
import subprocess
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Protocol

from workers.errors import ShapingError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Method = Literal["netem", "delay line"]

QUEUE_BYTES: Final = 128 * 1024
ROOT: Final = "4e4b:"  # "NK": a handle of our own tells our rules from anybody else's
CLASS: Final = "4e4b:1"
RATE: Final = "4e4c:"
DELAY: Final = "4e4d:"
_LEAST_BURST_BYTES: Final = 5 * 1024
_BURST_MS: Final = 1.0


class Link(NamedTuple):
    """The edge's way to the cloud: network interface, its MTU, and the cloud's data address."""

    interface: str
    mtu_bytes: int
    address: str


class Undoing(Protocol):
    """What the shaper needs of `workers.guard.Guard`."""

    def add(self, name: str, argv: Sequence[str]) -> None:
        """Register the command that undoes the change `name`."""


def set_up(link: Link, rate_mbps: float, delay_ms: float | None) -> list[str]:
    """Return the ``tc`` commands that shape the flow for the first time; no netem where `delay_ms` is None."""
    device = f"dev {link.interface}"
    commands = [
        f"qdisc add {device} root handle {ROOT} htb",
        # Faster than any card: the class is there to sort, not to slow down.
        f"class add {device} parent {ROOT} classid {CLASS} htb rate 100gbit quantum {link.mtu_bytes + 14}",
        f"qdisc add {device} parent {CLASS} handle {RATE} {_rate(link, rate_mbps)}",
    ]
    if delay_ms is not None:
        commands.append(f"qdisc add {device} parent {RATE}1 handle {DELAY} {_delay(link, rate_mbps, delay_ms)}")
    # Last, so that the flow is never sent into a class without its rate.
    return [*commands, f"filter add {device} parent {ROOT} {_match(link.address)} flowid {CLASS}"]


def change(link: Link, rate_mbps: float, delay_ms: float | None) -> list[str]:
    """Return the ``tc`` commands that change rate and delay in place."""
    device = f"dev {link.interface}"
    commands = [f"qdisc change {device} parent {CLASS} handle {RATE} {_rate(link, rate_mbps)}"]
    if delay_ms is not None:
        delay = _delay(link, rate_mbps, delay_ms)
        commands.append(f"qdisc change {device} parent {RATE}1 handle {DELAY} {delay}")
    return commands


def undo_commands(interface: str) -> list[list[str]]:
    """Return what takes the shaping off; it touches nothing but our own rules."""
    return [["tc", "qdisc", "del", "dev", interface, "root", "handle", ROOT]]


def foreign_root(qdiscs: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the kind of a root qdisc that somebody configured, of ``tc -j qdisc show dev X``; None if none did.

    What the kernel put there by itself has the handle ``0:``; ours has `ROOT`.
    """
    for qdisc in qdiscs:
        if qdisc.get("root") and qdisc["handle"] not in {"0:", ROOT}:
            return str(qdisc["kind"])
    return None


def has_netem() -> bool:
    """Say whether this kernel can delay packets by itself; tried in a network namespace of its own."""
    probe = ["unshare", "--net", "tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


def run_command(argv: Sequence[str], stdin: str = "") -> str:
    """Run a command and return its output.

    Raises:
        ShapingError: it failed; the message holds its own words.

    """
    try:
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise ShapingError(
            f"The link cannot be shaped: {argv[0]} is missing on the edge: apt-get install iproute2"
        ) from None
    if done.returncode:
        words = done.stderr.strip() or done.stdout.strip()
        asked = f"{' '.join(argv)}{': ' if stdin else ''}{stdin.strip()}"
        raise ShapingError(f"The link could not be shaped: {words} (on the edge, {asked}). It needs root there")
    return done.stdout


class LinkShaper:
    """The edge's shaper of its flow to `address`; the guard takes the shaping off again.

    With `delay` the edge delays, too, and needs netem for it. Not thread-safe.

    Raises:
        ShapingError: the interface has traffic control rules of somebody else, or the kernel lacks netem.

    """

    def __init__(
        self,
        guard: Undoing,
        address: str,
        *,
        delay: bool,
        run: Callable[[Sequence[str], str], str] = run_command,
    ) -> None:
        self.method: Method = "netem" if delay else "delay line"
        self._guard = guard
        self._run = run
        self._is_set_up = False
        if delay and not has_netem():
            raise ShapingError(
                "The edge's kernel has no netem, so it cannot delay packets: load it (modprobe sch_netem), or let the "
                "cloud's delay line do it"
            )
        self._link = self._find_link(address)
        self._refuse_foreign_rules()

    def set(self, rate_mbps: float, delay_ms: float) -> None:
        """Set the flow's rate and one-way delay; without netem the delay is the cloud's business.

        Raises:
            ShapingError: tc refused.

        """
        delay = delay_ms if self.method == "netem" else None
        if self._is_set_up:
            commands = change(self._link, rate_mbps, delay)
        else:
            commands = set_up(self._link, rate_mbps, delay)
            for number, argv in enumerate(undo_commands(self._link.interface)):
                self._guard.add(f"link shaping {number}", argv)
        self._run(["tc", "-batch", "-"], "".join(f"{command}\n" for command in commands))
        self._is_set_up = True

    def _find_link(self, address: str) -> Link:
        route = json.loads(self._run(["ip", "-j", "route", "get", address], ""))[0]
        interface = str(route["dev"])
        device = json.loads(self._run(["ip", "-j", "link", "show", "dev", interface], ""))[0]
        return Link(interface, int(device["mtu"]), address)

    def _refuse_foreign_rules(self) -> None:
        interface = self._link.interface
        qdiscs = json.loads(self._run(["tc", "-j", "qdisc", "show", "dev", interface], ""))
        kind = foreign_root(qdiscs)
        if kind is not None:
            raise ShapingError(
                f"The edge's interface {interface} has traffic control rules that this project did not make "
                f"(root qdisc {kind}); they are left alone. Remove them (tc qdisc del dev {interface} root) or "
                "switch shaping off in the config"
            )
        if any(qdisc["handle"] == ROOT for qdisc in qdiscs):  # left by a run whose guard was killed, too
            for argv in undo_commands(interface):
                self._run(argv, "")


def _rate(link: Link, rate_mbps: float) -> str:
    rate = f"{_bits(rate_mbps)}bit"
    burst_bytes = max(_LEAST_BURST_BYTES, 2 * link.mtu_bytes, math.ceil(rate_mbps * 125 * _BURST_MS))
    # A limit in bytes: as a latency it would shrink with the rate and drop what is queued.
    return f"tbf rate {rate} burst {burst_bytes} limit {QUEUE_BYTES}"


def _delay(link: Link, rate_mbps: float, delay_ms: float) -> str:
    # netem counts packets: those on the way, and those that wait for the rate behind it.
    flight_bytes = rate_mbps * 125 * delay_ms
    packets = math.ceil((flight_bytes + QUEUE_BYTES) / link.mtu_bytes)
    return f"netem delay {round(delay_ms * 1000)}us limit {packets}"


def _bits(rate_mbps: float) -> int:
    if not rate_mbps > 0:
        raise ShapingError(f"A rate of {rate_mbps} Mbit/s cannot be set; it must be above 0")
    return round(rate_mbps * 1e6)


def _match(address: str) -> str:
    if ipaddress.ip_address(address).version == 4:  # noqa: PLR2004 - IPv4
        return f"protocol ip prio 1 u32 match ip dst {address}/32"
    return f"protocol ipv6 prio 1 u32 match ip6 dst {address}/128"
