"""Logs are fetched from hosts, and where they cannot be, what broke before is not forgotten."""

import io
import tarfile
from types import SimpleNamespace

import pytest

from hosts.connection import Completed
from hosts.errors import ConnectError, RemoteError
from hosts.setup_orders import Site
from hosts.stage import fetch_logs

GONE = "edge: the SSH connection is gone"


def packed(**files):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"./../{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def site(answer):
    host = SimpleNamespace(sudo=False, label="edge (192.0.2.1)")
    return Site(host, SimpleNamespace(run=answer), "/code", "/logs", None)


def answering(stdout, status=0, stderr=b""):
    return site(lambda argv: Completed(status, stdout, stderr) if argv[0] == "tar" else Completed(0, b"", b""))


def hung_up(_argv):
    raise ConnectError(GONE)


def test_logs_are_written_by_their_bare_names(tmp_path):
    fetch_logs({"edge": answering(packed(events=b"one\n"))}, tmp_path)
    assert (tmp_path / "events").read_bytes() == b"one\n"


def test_logs_that_cannot_be_read_are_an_error(tmp_path):
    with pytest.raises(RemoteError, match=r"the logs in /logs could not be read: no room. Run again"):
        fetch_logs({"edge": answering(b"", 2, b"no room\n")}, tmp_path)


def test_what_broke_before_comes_first(tmp_path):
    with pytest.raises(ConnectError, match=f"^{GONE}$"):
        fetch_logs({"edge": site(hung_up)}, tmp_path)
    with pytest.raises(RemoteError, match=f"^the router died. After that {GONE}$"):
        fetch_logs({"edge": site(hung_up)}, tmp_path, "the router died")
