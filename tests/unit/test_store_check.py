"""A stored model is compared with its digest once a host, and again whenever its files have changed."""

import hashlib
import os

import msgspec
import pytest

from workers import store_check
from workers.errors import PartitionError
from workers.store import GRAPH, META, SCHEMA_VERSION, WEIGHTS, StoredModel, compute_digest
from workers.store_check import CHECKED, check_once


@pytest.fixture
def stored(tmp_path):
    graph, weights = b"a graph", b"\1\2\3\4"
    meta = StoredModel(
        schema_version=SCHEMA_VERSION,
        digest="",
        model="own",
        weights="own",
        seed=None,
        keras="3",
        preprocess="identity",
        input_shape=(8, 8, 3),
        input_dtype="uint8",
        classes=3,
        weights_bytes=len(weights),
        points=(),
        layers=(),
        variables=(),
    )
    digest = compute_digest(meta, *(hashlib.sha256(data).hexdigest() for data in (graph, weights)))
    folder = tmp_path / digest
    folder.mkdir()
    (folder / GRAPH).write_bytes(graph)
    (folder / WEIGHTS).write_bytes(weights)
    (folder / META).write_bytes(msgspec.json.encode(msgspec.structs.replace(meta, digest=digest)))
    return folder


@pytest.fixture
def readings(monkeypatch):
    """Count how often a model is read from end to end."""
    counted, check = [], store_check.check_stored
    monkeypatch.setattr(store_check, "check_stored", lambda folder: (counted.append(folder), check(folder)))
    return counted


def test_a_model_is_read_once(stored, readings):
    assert check_once(stored).digest == stored.name
    assert check_once(stored).digest == stored.name
    assert readings == [stored]


def test_weights_that_do_not_match_are_noticed_with_what_to_do(stored, readings):
    check_once(stored)
    (stored / WEIGHTS).write_bytes(b"\1\2\3\5")
    with pytest.raises(PartitionError, match=r"is damaged: .*Remove the folder and make or copy it again"):
        check_once(stored)
    with pytest.raises(PartitionError, match="is damaged"):
        check_once(stored)
    assert len(readings) == 3


def test_a_change_that_leaves_size_and_time_is_noticed(stored, readings):
    check_once(stored)
    before = (stored / WEIGHTS).stat()
    (stored / WEIGHTS).write_bytes(b"\1\2\3\5")
    os.utime(stored / WEIGHTS, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(PartitionError, match="is damaged"):
        check_once(stored)
    assert len(readings) == 2


def test_another_model_under_this_name_is_refused(stored):
    other = stored.rename(stored.with_name("0" * 64))
    with pytest.raises(PartitionError, match=r"is another one: .*Remove the folder"):
        check_once(other)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_to_is_read_each_time(stored, readings):
    stored.chmod(0o555)
    check_once(stored)
    check_once(stored)
    assert len(readings) == 2
    assert not (stored / CHECKED).exists()
