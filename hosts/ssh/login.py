"""Dial, make sure who the host is, log in. Each refusal is one line: which host, what is wrong, what to do."""

from __future__ import annotations

import errno
import logging
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Final

import paramiko

from hosts import known_hosts
from hosts.errors import ConnectError
from hosts.known_hosts import HostKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from hosts.inventory import Host

CONNECT_TIMEOUT_S: Final = 10.0
KEEPALIVE_S: Final = 5
# A keepalive that nobody acknowledges for this long ends the connection: a dead host is seen within 15 s.
UNACKNOWLEDGED_MS: Final = 9_000
_AUTH_TIMEOUT_S: Final = 30.0
_GREETING_BYTES: Final = 255
_CIPHERS: Final = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes192-ctr", "aes256-ctr")
_DEFAULT_KEYS: Final = ("id_ed25519", "id_ecdsa", "id_rsa")
# RSA keys sign with SHA-2 only; known_hosts still calls them ssh-rsa.
_SIGNATURES: Final = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256")}

# paramiko logs every failure with its traceback; ours say it in a line.
_LOG_NAME = "hosts.ssh.paramiko"
logging.getLogger(_LOG_NAME).setLevel(logging.CRITICAL)


def log_in(host: Host) -> paramiko.Transport:
    """Return a transport that is connected, verified and logged in.

    Raises:
        ConnectError: one line: which host, what is wrong and what to do.
    """
    own_key = _load_key(host, host.key) if host.key else None
    transport = paramiko.Transport(_dial(host))
    try:
        known = _read_known(host)
        _negotiate(host, transport, known)
        _verify(host, transport.get_remote_server_key(), known)
        _authenticate(host, transport, own_key)
    except BaseException:
        transport.packetizer.complete_handshake()  # ends its timer thread
        transport.close()
        transport.sock.close()
        transport.join(1.0)
        raise
    transport.set_keepalive(KEEPALIVE_S)
    return transport


def _dial(host: Host) -> socket.socket:
    try:
        sock = socket.create_connection((host.address, host.port), timeout=CONNECT_TIMEOUT_S)
    except OSError as error:
        raise ConnectError(f"{host.endpoint}: {_unreachable(host, error)}") from error
    try:
        # Without it, Nagle's algorithm and delayed acknowledgements cost every command 40 ms.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS)
        _check_greeting(host, sock)
    except BaseException:
        sock.close()
        raise
    return sock


def _check_greeting(host: Host, sock: socket.socket) -> None:
    """Look at what the server says first, and leave it for paramiko to read."""
    try:
        greeting = sock.recv(_GREETING_BYTES, socket.MSG_PEEK)
    except TimeoutError as error:
        raise ConnectError(
            f"{host.endpoint}: it accepts connections but said nothing within {CONNECT_TIMEOUT_S:g} s. "
            "Check that `port` is an SSH server's and that the host is not overloaded"
        ) from error
    except OSError as error:
        raise ConnectError(f"{host.endpoint}: {_unreachable(host, error)}") from error
    if not greeting:
        raise ConnectError(
            f"{host.endpoint}: it closed the connection at once. See sshd's log there: MaxStartups, or a rule "
            "against this machine's address"
        )
    if b"SSH-" not in greeting:
        said = greeting.split(b"\n")[0].strip().decode(errors="replace")
        raise ConnectError(f"{host.endpoint}: what answers is no SSH server (it said {said!r}). Set `port` to sshd's")


def _unreachable(host: Host, error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return f"the name {host.address} is not known ({error.strerror}). Check `address`, or give an IP address"
    if isinstance(error, ConnectionRefusedError):
        return f"nothing listens on port {host.port}. Start sshd there, or set `port`"
    if isinstance(error, TimeoutError):
        return f"no answer within {CONNECT_TIMEOUT_S:g} s. Check `address`, that the host is up, and firewalls"
    if error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH):
        return f"there is no way to it ({error.strerror}). Check `address`, cables and routes"
    return f"the connection failed ({error.strerror or error}). Check the host, its sshd's log and firewalls"


def _read_known(host: Host) -> str:
    try:
        return host.known_hosts.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise ConnectError(
            f"{host.endpoint}: its known_hosts file {host.known_hosts} cannot be read ({error.strerror}). "
            "Mend its owner or mode, or set `known_hosts`"
        ) from error


def _negotiate(host: Host, transport: paramiko.Transport, known: str) -> None:
    """Agree on keys; the host's types of key that are already known come first."""
    transport.set_log_channel(_LOG_NAME)
    transport.banner_timeout = CONNECT_TIMEOUT_S
    transport.handshake_timeout = CONNECT_TIMEOUT_S
    transport.auth_timeout = _AUTH_TIMEOUT_S
    options = transport.get_security_options()
    options.ciphers = tuple(cipher for cipher in _CIPHERS if cipher in options.ciphers)
    kinds = [key.kind for key in known_hosts.keys_of(known, _name(host))]
    options.key_types = _preferring(kinds, options.key_types)
    try:
        transport.start_client(timeout=2 * CONNECT_TIMEOUT_S)
        transport.get_remote_server_key()  # start_client returns without a word when its time is up
    except (paramiko.SSHException, EOFError, OSError) as error:
        why = str(error) or "it closed the connection"
        raise ConnectError(
            f"{host.endpoint}: no secure connection could be agreed on ({why}). See sshd's log on the host"
        ) from error


def _preferring(kinds: Sequence[str], offered: Iterable[str]) -> tuple[str, ...]:
    wanted = [name for kind in kinds for name in _SIGNATURES.get(kind, (kind,))]
    return tuple(sorted(offered, key=lambda name: wanted.index(name) if name in wanted else len(wanted)))


def _verify(host: Host, shown: paramiko.PKey, known: str) -> None:
    key = HostKey(shown.get_name(), shown.get_base64())
    state, known_keys = known_hosts.judge(known, _name(host), key)
    if state == "same":
        return
    look = f"on the host `ssh-keygen -lf /etc/ssh/ssh_host_{_family(key.kind)}_key.pub` shows it"
    line = known_hosts.known_line(_name(host), key)
    if state == "revoked":
        raise ConnectError(
            f"{host.endpoint}: its host key {key.fingerprint} is marked @revoked in {host.known_hosts}. "
            "Give the host a new key"
        )
    if state == "unknown":
        raise ConnectError(
            f"{host.endpoint}: its host key {key.fingerprint} ({key.kind}) is not in {host.known_hosts}. "
            f"If that is the host's fingerprint ({look}), add this line to {host.known_hosts}: {line}"
        )
    old = ", ".join(each.fingerprint for each in known_keys)
    raise ConnectError(
        f"{host.endpoint}: its host key has CHANGED: {host.known_hosts} has {old}, the host shows {key.fingerprint} "
        f"({key.kind}). Either it was set up anew or something else answers in its place. Only if that is the host's "
        f"fingerprint ({look}): run `ssh-keygen -f {host.known_hosts} -R '{_name(host)}'` and add this line to the "
        f"file: {line}"
    )


def _name(host: Host) -> str:
    return known_hosts.host_name(host.address, host.port)


def _family(kind: str) -> str:
    return next((family for family in ("ed25519", "ecdsa", "rsa") if family in kind), "*")


def _authenticate(host: Host, transport: paramiko.Transport, own_key: paramiko.PKey | None) -> None:
    agent = None if own_key else paramiko.Agent()
    tried = 0
    try:
        for key in [own_key] if own_key else _ambient_keys(agent):
            tried += 1
            try:
                more = transport.auth_publickey(host.user, key)
            except paramiko.BadAuthenticationType as error:
                raise ConnectError(
                    f"{host.endpoint}: it accepts no keys, only {', '.join(error.allowed_types)}. "
                    "Set `PubkeyAuthentication yes` in its sshd_config"
                ) from error
            except paramiko.AuthenticationException:
                continue
            if more:
                raise ConnectError(
                    f"{host.endpoint}: besides the key it wants {', '.join(more)}, which a workflow cannot give. "
                    f"Let {host.user} log in there with a key alone"
                )
            return
    except (paramiko.SSHException, EOFError, OSError) as error:
        raise ConnectError(
            f"{host.endpoint}: it broke off the login of {host.user} ({error or 'closed'}). "
            "See sshd's log there; with many keys in ssh-agent, set `key`"
        ) from error
    finally:
        if agent:
            agent.close()
    raise ConnectError(f"{host.endpoint}: {_refusal(host, tried)}")


def _refusal(host: Host, tried: int) -> str:
    if host.key:
        return (
            f"it does not let {host.user} in with the key {host.key}. Add the line in {host.key}.pub to "
            f"~{host.user}/.ssh/authorized_keys there, or set `user` or `key`"
        )
    if not tried:
        return "there is no key to log in with: none in ssh-agent, none in ~/.ssh. Set `key`, or run ssh-add"
    return (
        f"it let {host.user} in with none of {tried} keys (ssh-agent's and those in ~/.ssh). Add one to "
        f"~{host.user}/.ssh/authorized_keys there, or set `user` or `key`"
    )


def _ambient_keys(agent: paramiko.Agent | None) -> Iterator[paramiko.PKey]:
    if agent:
        yield from agent.get_keys()
    for name in _DEFAULT_KEYS:
        try:
            yield paramiko.PKey.from_path(Path("~/.ssh").expanduser() / name)
        except (OSError, ValueError, TypeError, paramiko.SSHException, paramiko.pkey.UnknownKeyType):
            continue  # missing, unreadable, or encrypted and then ssh-agent's business


def _load_key(host: Host, path: Path) -> paramiko.PKey:
    try:
        return paramiko.PKey.from_path(path)
    except FileNotFoundError as error:
        why = "does not exist. Set `key`; that of a local testbed exists while the testbed runs"
        cause: Exception = error
    except OSError as error:
        why, cause = f"cannot be read ({error.strerror}). Mend its owner or mode (chmod 600)", error
    except (TypeError, paramiko.PasswordRequiredException) as error:
        why, cause = "has a passphrase. Run ssh-add with it and leave `key` out of the inventory", error
    except (ValueError, paramiko.SSHException, paramiko.pkey.UnknownKeyType) as error:
        why, cause = "is no private key that can be used. Make one with `ssh-keygen -t ed25519`", error
    raise ConnectError(f"{host.endpoint}: its key {path} {why}") from cause
