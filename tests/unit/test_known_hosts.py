"""Reading known_hosts as sshd(8) describes it."""

import base64
import hmac
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosts.known_hosts import HostKey, host_name, judge, keys_of, known_line

KEY = HostKey("ssh-ed25519", base64.b64encode(b"one key").decode())
OTHER = HostKey("ssh-ed25519", base64.b64encode(b"another key").decode())
ECDSA = HostKey("ecdsa-sha2-nistp256", base64.b64encode(b"third key").decode())
NAME = "192.0.2.1"


def line(pattern: str, key: HostKey = KEY, marker: str = "") -> str:
    return f"{marker} {pattern} {key.kind} {key.blob} comment\n".lstrip()


def hashed(name: str) -> str:
    salt = os.urandom(20)
    parts = (salt, hmac.digest(salt, name.encode(), "sha1"))
    return "|1|" + "|".join(base64.b64encode(part).decode() for part in parts)


def test_names():
    assert host_name("a.example", 22) == "a.example"
    assert host_name("a.example", 2222) == "[a.example]:2222"


def test_the_fingerprint_is_openssh_s():
    public = "AAAAC3NzaC1lZDI1NTE5AAAAIKZs3O1PHhvahe90jUPqWmTisb/PN+oeLKSfO9nxeIdf"
    shown = "SHA256:nVkrWc1W0jfZkffgLSBkapJbKrVdGTPpi+c3bQDBNe0"  # ssh-keygen -lf
    assert HostKey("ssh-ed25519", public).fingerprint == shown


@pytest.mark.parametrize(
    "pattern",
    [NAME, f"a.example,{NAME}", "192.0.2.*", "192.0.2.?", "*", f"{NAME},!192.0.2.2", hashed(NAME)],
)
def test_patterns_that_match(pattern):
    assert judge(line(pattern), NAME, KEY).state == "same"


@pytest.mark.parametrize(
    "pattern",
    ["192.0.2.11", "192.0.2", f"[{NAME}]:2222", f"*,!{NAME}", "!*", hashed("192.0.2.2"), "|1|broken", "|1||"],
)
def test_patterns_that_do_not(pattern):
    assert judge(line(pattern), NAME, KEY).state == "unknown"


def test_brackets_are_part_of_the_name():
    name = host_name(NAME, 2222)
    assert judge(line(name), name, KEY).state == "same"
    assert judge(line("[1]*"), NAME, KEY).state == "unknown"


def test_names_match_in_any_case():
    assert judge(line("Pi.Example"), "pi.example", KEY).state == "same"


def test_another_key_is_a_changed_one():
    assert judge(line(NAME, OTHER), NAME, KEY) == ("changed", (OTHER,))


def test_another_type_of_key_is_a_changed_one_too():
    """Otherwise whoever answers in the host's place would only need a key of another type."""
    assert judge(line(NAME, ECDSA), NAME, KEY).state == "changed"


def test_one_of_several_keys_suffices():
    text = line(NAME, OTHER) + line(NAME, ECDSA) + line(NAME, KEY)
    assert judge(text, NAME, KEY).state == "same"
    assert keys_of(text, NAME) == [OTHER, ECDSA, KEY]


def test_revoked_wins():
    text = line(NAME) + line(NAME, marker="@revoked")
    assert judge(text, NAME, KEY).state == "revoked"
    assert judge(line(NAME, marker="@revoked"), NAME, OTHER).state == "unknown"
    assert keys_of(line(NAME, marker="@revoked"), NAME) == []


def test_authorities_are_no_host_keys():
    assert judge(line("*", marker="@cert-authority"), NAME, KEY).state == "unknown"


@pytest.mark.parametrize("text", ["", "# comment\n", "\n\n", NAME, f"{NAME} ssh-ed25519", f"{NAME} x $$$$"])
def test_lines_that_say_nothing(text):
    assert judge(text, NAME, KEY) == ("unknown", ())


def test_the_line_to_add_makes_the_key_known():
    name = host_name(NAME, 2222)
    assert judge(known_line(name, KEY), name, KEY).state == "same"


@given(st.text())
def test_no_file_breaks_it_or_makes_a_key_known(text):
    assert judge(text, NAME, KEY).state in ("unknown", "changed")


@given(st.text())
def test_whatever_else_is_in_the_file_the_known_line_counts(text):
    assert judge(f"{text}\n{known_line(NAME, KEY)}\n", NAME, KEY).state == "same"
