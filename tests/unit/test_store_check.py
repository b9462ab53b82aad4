"""A stored model is compared with its digest once a host, and again whenever its files have changed."""

import os

import pytest

from tests.unit.stored_models import write_stored
from workers import store_check
from workers.errors import PartitionError
from workers.store import GRAPH, META, WEIGHTS
from workers.store_check import CHECKED, check_once


@pytest.fixture
def stored(tmp_path):
    return write_stored(tmp_path)


@pytest.fixture
def readings(monkeypatch):
    """Count how often a model is read from end to end."""
    counted, check = [], store_check.check_stored
    monkeypatch.setattr(
        store_check, "check_stored", lambda folder, remedy: (counted.append(folder), check(folder, remedy))
    )
    return counted


def test_a_model_is_read_once(stored, readings):
    assert check_once(stored).digest == stored.name
    assert check_once(stored).digest == stored.name
    assert readings == [stored]


def test_weights_that_do_not_match_are_noticed_with_what_to_do(stored, readings):
    check_once(stored)
    (stored / WEIGHTS).write_bytes(b"\1\2\3\5")
    with pytest.raises(PartitionError, match=r"is damaged: .*Remove the folder; the next run copies it again"):
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


@pytest.mark.parametrize("name", [GRAPH, WEIGHTS])
def test_a_file_that_is_missing_is_damage_not_a_bare_error(stored, name):
    (stored / name).unlink()
    said = rf"^stored model {stored} is damaged: {name}: No such file or directory\. Make it again$"
    with pytest.raises(PartitionError, match=said):
        check_once(stored, "Make it again")


def test_a_description_that_cannot_be_read_is_damage_with_what_to_do(stored):
    (stored / META).write_bytes(b"")
    with pytest.raises(PartitionError, match=rf"^stored model {stored} is damaged: {META}: .*Remove the folder"):
        check_once(stored)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_to_is_read_each_time(stored, readings):
    stored.chmod(0o555)
    check_once(stored)
    check_once(stored)
    assert len(readings) == 2
    assert not (stored / CHECKED).exists()
