"""A model is stored, and what it is and where it is to be cut is checked, before any host sees it."""

import shutil

import pytest

from hosts.config import parse
from hosts.errors import ConfigError, HostsError
from hosts.job import read_model
from hosts.models import store_model
from hosts.named_points import named_points
from tests.unit.stored_models import points_of, store_as
from workers.errors import PartitionError
from workers.store import META, WEIGHTS

POINTS = points_of(input=9, block_1=5, block_3_project=3)


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A store in which mobilenetv2 is known, so that the command answers without TensorFlow."""
    monkeypatch.setattr("hosts.models.MODEL_STORE", tmp_path / "store")
    return tmp_path / "store"


def config_of(**model):
    return parse({"models": {"mobilenetv2": model}, "strategies": ["pause-resume", "switch-hot"], "seed": 1}, "c")


def test_what_is_stored_can_be_read_by_a_job(tmp_path, store):
    folder = store_as(store, "mobilenetv2", POINTS)
    stored = store_model(config_of(hot=["block_1"]), "mobilenetv2", tmp_path / "models")
    there, model = read_model(stored)
    assert (there, model.points) == (folder, POINTS)


def test_points_to_keep_hot_are_checked_when_the_model_is_stored(tmp_path, store):
    store_as(store, "mobilenetv2", POINTS)
    with pytest.raises(ConfigError, match=r"^models\.mobilenetv2\.hot\[0\]: .*'blok_1'; nearest names: block_1"):
        store_model(config_of(hot=["blok_1"]), "mobilenetv2", tmp_path / "models")
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize("weights", [b"\1\2\3\5", b"", None])
def test_a_damaged_model_is_refused_by_its_folder_here(tmp_path, store, weights):
    folder = store_as(store, "mobilenetv2", POINTS)
    (folder / WEIGHTS).unlink()
    if weights is not None:
        (folder / WEIGHTS).write_bytes(weights)
    said = rf"^stored model {folder} is damaged: .*Remove the folder; the next run makes it again$"
    with pytest.raises(PartitionError, match=said):
        store_model(config_of(), "mobilenetv2", tmp_path / "models")


def test_a_description_that_is_damaged_is_mended_as_the_line_says(tmp_path, store):
    folder = store_as(store, "mobilenetv2", POINTS)
    (folder / META).write_bytes(b"")
    with pytest.raises(HostsError, match=f"stored model {folder} is damaged: .*Remove the folder; the next run makes"):
        store_model(config_of(), "mobilenetv2", tmp_path / "models")
    shutil.rmtree(folder)
    assert store_as(store, "mobilenetv2", POINTS) == folder
    assert read_model(store_model(config_of(), "mobilenetv2", tmp_path / "models"))[0] == folder


def test_cuts_come_in_the_order_of_the_grid_s_speeds_before_what_is_kept_hot():
    config = config_of(partition={1: "x", 5: "y", 20: "z"}, hot=["h", 3])
    assert named_points(config, "mobilenetv2") == [
        ("models.mobilenetv2.partition.20", "z"),
        ("models.mobilenetv2.partition.5", "y"),
        ("models.mobilenetv2.partition.1", "x"),
        ("models.mobilenetv2.hot[0]", "h"),
        ("models.mobilenetv2.hot[1]", 3),
    ]


def test_the_best_cuts_have_no_names_yet():
    assert named_points(config_of(partition="optimal"), "mobilenetv2") == []
