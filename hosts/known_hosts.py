"""Who a host is: the known_hosts file, read strictly. Pure; the format is in sshd(8)."""

from __future__ import annotations

import base64
import binascii
import fnmatch
import hashlib
import hmac
from typing import TYPE_CHECKING, Literal, NamedTuple

from hosts.inventory import SSH_PORT

if TYPE_CHECKING:
    from collections.abc import Iterator

_PLAIN_FIELDS = 3


class HostKey(NamedTuple):
    """A public host key: its type (``ssh-ed25519``) and its blob in base64."""

    kind: str
    blob: str

    @property
    def fingerprint(self) -> str:
        """As OpenSSH prints it: ``SHA256:…``."""
        digest = hashlib.sha256(base64.b64decode(self.blob)).digest()
        return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


class Verdict(NamedTuple):
    """Whether a host's key is the known one; `known` are the keys that the file has for this host."""

    state: Literal["same", "unknown", "changed", "revoked"]
    known: tuple[HostKey, ...]


def host_name(address: str, port: int) -> str:
    """Return how known_hosts names a host: ``[address]:port`` where the port is not SSH's own."""
    return address if port == SSH_PORT else f"[{address}]:{port}"


def known_line(name: str, key: HostKey) -> str:
    """Return the line that makes a key known."""
    return f"{name} {key.kind} {key.blob}"


def keys_of(text: str, name: str) -> list[HostKey]:
    """Return the keys that a known_hosts file has for a host, in its order; revoked ones are left out."""
    return [key for marker, key in _entries(text, name) if not marker]


def judge(text: str, name: str, key: HostKey) -> Verdict:
    """Compare the key that a host showed with the file's. Certificate authorities do not count."""
    entries = list(_entries(text, name))
    known = tuple(each for marker, each in entries if not marker)
    if ("@revoked", key) in entries:
        return Verdict("revoked", known)
    if key in known:
        return Verdict("same", known)
    return Verdict("changed" if known else "unknown", known)


def _entries(text: str, name: str) -> Iterator[tuple[str, HostKey]]:
    """Yield marker (``""``, ``@revoked`` or ``@cert-authority``) and key of each line about `name`."""
    for line in text.splitlines():
        fields = line.split()
        if not fields or fields[0].startswith("#"):
            continue
        marker = fields.pop(0) if fields[0].startswith("@") else ""
        if len(fields) >= _PLAIN_FIELDS and _is_about(fields[0], name) and _is_base64(fields[2]):
            yield marker, HostKey(fields[1], fields[2])


def _is_about(patterns: str, name: str) -> bool:
    if patterns.startswith("|1|"):
        return _is_hash_of(patterns, name)
    matched = False
    for pattern in patterns.split(","):
        # Brackets are part of the name here, not a set of characters.
        glob = pattern.removeprefix("!").replace("[", "[[]").lower()
        if fnmatch.fnmatchcase(name.lower(), glob):
            if pattern.startswith("!"):
                return False
            matched = True
    return matched


def _is_hash_of(entry: str, name: str) -> bool:
    try:
        salt, digest = (base64.b64decode(part) for part in entry.removeprefix("|1|").split("|"))
    except (ValueError, binascii.Error):
        return False
    return hmac.compare_digest(hmac.digest(salt, name.encode(), "sha1"), digest)


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return False
    return True
