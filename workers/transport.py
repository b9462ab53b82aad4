"""The data plane's ZeroMQ sockets: bounded, authenticated, strangers counted."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from typing import TYPE_CHECKING

import zmq
from zmq.auth.thread import ThreadAuthenticator
from zmq.utils.monitor import parse_monitor_message

from workers.errors import WorkerError
from workers.frames import MAX_TENSOR_BYTES
from workers.loop_socket import LoopSocket
from workers.messages import KeyPair

if TYPE_CHECKING:
    from collections.abc import Collection

DEALER, ROUTER, PUSH, PULL = zmq.DEALER, zmq.ROUTER, zmq.PUSH, zmq.PULL
Again = zmq.Again
SendFailed = zmq.ZMQError

QUEUE_FRAMES = 16  # of every socket, each way; the edge's credit (queue_limit) is far below
CURVE_BYTES = 33  # what encryption adds to a message, which the limit of its size counts
RECONNECT_MS = 20
_REFUSALS = {
    zmq.Event.HANDSHAKE_FAILED_NO_DETAIL: "handshake",
    zmq.Event.HANDSHAKE_FAILED_PROTOCOL: "protocol",
    zmq.Event.HANDSHAKE_FAILED_AUTH: "key",
}


def new_keys() -> KeyPair:
    """Return a fresh CURVE key pair."""
    public, secret = zmq.curve_keypair()
    return KeyPair(public.decode(), secret.decode())


class _Allowed:
    """Credentials provider for ZAP: a set of public keys (Z85)."""

    def __init__(self, keys: Collection[str]) -> None:
        self._keys = {key.encode() for key in keys}

    def callback(self, domain: str, key: bytes) -> bool:
        del domain
        return key in self._keys


class DataPlane:
    """All sockets of one process. `refusals` counts refused peers and frames by ``<socket>_<reason>``."""

    def __init__(self, keys: KeyPair) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._keys = keys
        self._authenticator: ThreadAuthenticator | None = None
        self._monitors: list[tuple[str, zmq.Socket[bytes]]] = []
        self._sockets: list[zmq.Socket[bytes]] = []
        self.refusals: Counter[str] = Counter()

    def server(self, name: str, kind: int, endpoint: str, allowed: Collection[str]) -> zmq.Socket[bytes]:
        """Bind a socket that speaks only with holders of the `allowed` public keys.

        Raises:
            WorkerError: the address is in use or not of this host.
        """
        if self._authenticator is None:
            self._authenticator = ThreadAuthenticator(self._context)
            self._authenticator.start()
        self._authenticator.configure_curve_callback(domain=name, credentials_provider=_Allowed(allowed))
        socket = self._socket(kind)
        socket.zap_domain = name.encode()
        socket.curve_server = True
        socket.curve_publickey = self._keys.public.encode()
        socket.curve_secretkey = self._keys.secret.encode()
        self._monitor(name, socket, zmq.Event(sum(_REFUSALS) | zmq.Event.DISCONNECTED))
        self._bind(socket, endpoint)
        return socket

    def client(self, kind: int, endpoint: str, server_public: str) -> zmq.Socket[bytes]:
        """Connect to a server whose public key is known."""
        socket = self._socket(kind)
        socket.curve_serverkey = server_public.encode()
        socket.curve_publickey = self._keys.public.encode()
        socket.curve_secretkey = self._keys.secret.encode()
        socket.connect(endpoint)
        return socket

    def connected(self, kind: int, endpoint: str, server_public: str, timeout_s: float) -> zmq.Socket[bytes]:
        """Like `client`, but return only once the peer has answered the handshake.

        Raises:
            TimeoutError: nobody did within `timeout_s`.
        """
        socket = self._socket(kind)
        monitor = socket.get_monitor_socket(zmq.Event.HANDSHAKE_SUCCEEDED)
        socket.curve_serverkey = server_public.encode()
        socket.curve_publickey = self._keys.public.encode()
        socket.curve_secretkey = self._keys.secret.encode()
        socket.connect(endpoint)
        try:
            if not monitor.poll(int(timeout_s * 1000)):
                raise TimeoutError(f"{endpoint} did not answer within {timeout_s:g} s")
        finally:
            socket.disable_monitor()
            monitor.close(linger=0)
        return socket

    def bind_local(self, kind: int, path: str) -> zmq.Socket[bytes]:
        """Bind a socket that only processes of this host can reach, by a path only its user can enter."""
        socket = self._socket(kind)
        if kind == zmq.ROUTER:
            socket.router_mandatory = True
            socket.setsockopt(zmq.ROUTER_HANDOVER, 1)
        self._bind(socket, f"ipc://{path}")
        return socket

    def connect_local(self, kind: int, path: str, identity: str) -> zmq.Socket[bytes]:
        """Connect to `bind_local`'s socket under a name."""
        socket = self._socket(kind)
        socket.setsockopt(zmq.IDENTITY, identity.encode())
        socket.connect(f"ipc://{path}")
        return socket

    @staticmethod
    def in_loop(socket: zmq.Socket[bytes]) -> LoopSocket:
        """Return the socket for use in an event loop."""
        return LoopSocket(socket)

    def count(self, name: str, reason: str) -> None:
        """Count something refused above the transport, such as a malformed frame."""
        self.refusals[f"{name}_{reason}"] += 1

    def collect_refusals(self) -> dict[str, int]:
        """Read what the monitors saw and return all counts so far."""
        for name, monitor in self._monitors:
            with contextlib.suppress(zmq.Again):
                while True:
                    message = parse_monitor_message(monitor.recv_multipart(zmq.NOBLOCK))
                    event = zmq.Event(message["event"])
                    if event in _REFUSALS:
                        self.count(name, _REFUSALS[event])
                    elif event == zmq.Event.DISCONNECTED:
                        self.count(name, "disconnected")
        return dict(self.refusals)

    def close(self) -> None:
        """Close every socket without waiting for unsent frames."""
        for socket in self._sockets:
            with contextlib.suppress(zmq.ZMQError):
                socket.disable_monitor()
            socket.close(linger=0)
        for _, monitor in self._monitors:
            monitor.close(linger=0)
        if self._authenticator is not None:
            self._authenticator.stop()
        self._context.destroy(linger=0)

    def _socket(self, kind: int) -> zmq.Socket[bytes]:
        socket = self._context.socket(kind)
        socket.linger = 0
        socket.sndhwm = socket.rcvhwm = QUEUE_FRAMES
        socket.maxmsgsize = MAX_TENSOR_BYTES + CURVE_BYTES
        socket.reconnect_ivl = RECONNECT_MS
        self._sockets.append(socket)
        return socket

    def _monitor(self, name: str, socket: zmq.Socket[bytes], events: zmq.Event) -> None:
        self._monitors.append((name, socket.get_monitor_socket(events)))

    @staticmethod
    def _bind(socket: zmq.Socket[bytes], endpoint: str) -> None:
        try:
            socket.bind(endpoint)
        except zmq.ZMQError as error:
            raise WorkerError(
                f"cannot listen on {endpoint}: {error.strerror or error}. "
                "End what holds the port (`ss -ltnp` names it) or set `data_ports` in the inventory"
            ) from error


def receive(socket: zmq.Socket[bytes]) -> tuple[int, list[bytes]] | None:
    """Wait for a message as long as the socket's ``rcvtimeo`` says; None where none came.

    Returns when it came (ns, monotonic) and its parts. That moment is before a tensor, which is no first part, is
    copied: that is work of whoever takes it.
    """
    try:
        parts = [socket.recv()]
    except zmq.Again:
        return None
    received_ns = time.monotonic_ns()
    while socket.get(zmq.RCVMORE):
        parts.append(socket.recv())
    return received_ns, parts
