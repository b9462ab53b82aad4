from __future__ import annotations

import inspect
import json
import sys
import zipfile

import numpy as np
import pytest

from workers.errors import PartitionError
from workers.partition import find_points, list_points, main, resolve, split
from workers.partition_models import APPLICATIONS, build_model, parse_source, preprocess

pytest.importorskip("workers.partition_keras", reason="TensorFlow is not installed", exc_type=ImportError)
from tests import models

pytestmark = [
    pytest.mark.tensorflow,
    # Keras's own saving of models, under NumPy 2.
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
]
keras = models.keras


def indices(model):
    return [point.index for point in find_points(model)]


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (models.sequential, [1, 2, 3, 4]),
        (models.residual, [1, 2, 4, 5, 6]),
        (models.operators, [1, 2, 5, 6, 7]),
        (models.one_region, [1, 4]),
        (models.nested, [1, 2, 3]),
        (models.masked, [1, 4, 5]),
    ],
)
def test_points_of_small_models(make, expected):
    assert indices(make()) == expected


def test_a_point_s_facts():
    point = resolve(find_points(models.residual()), "add")
    assert (point.index, point.block, point.output_shape) == (4, "3-4", (8, 8, 4))
    assert point.output_bytes == 8 * 8 * 4 * 4
    assert (point.params_head, point.params_tail) == (3 * 36 + 4 + 4 * 36 + 4, 4 * 5 + 5)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (models.shared_layer, "'twice' more than once"),
        (models.two_inputs, "2 inputs"),
        (models.two_outputs, "2 outputs"),
        (models.open_size, "Give its keras.Input a full shape"),
        (lambda: keras.Sequential([keras.layers.Dense(1)], name="unbuilt"), "has no inputs yet"),
        (type("Mine", (keras.Model,), {}), "neither a functional nor a Sequential"),
    ],
)
def test_models_that_cannot_be_partitioned_are_refused(make, said):
    with pytest.raises(PartitionError, match=said):
        find_points(make())


def test_another_model_over_the_same_layers_does_not_disturb():
    model = models.residual()
    before = find_points(model)
    keras.Model(model.get_layer("a").output, model.output)
    keras.Model(model.input, model.get_layer("b").output)
    assert find_points(model) == before


@pytest.mark.parametrize(
    "make",
    [models.sequential, models.residual, models.operators, models.one_region, models.nested, models.normalised],
)
def test_head_and_tail_make_the_whole(make):
    model = make()
    inputs = np.random.default_rng(0).normal(size=(2, *model.inputs[0].shape[1:])).astype(np.float32)
    expected = model(inputs).numpy()
    for point in find_points(model):
        head, tail = split(model, point)
        cut = head(inputs)
        assert tuple(cut.shape[1:]) == point.output_shape
        assert models.same_logits(tail(cut), expected)


def test_head_and_tail_hold_the_model_s_own_weights():
    model = models.residual()
    head, tail = split(model, resolve(find_points(model), "a"))
    assert [id(w) for w in head.weights + tail.weights] == [id(w) for w in model.weights]


def test_splitting_leaves_no_trace_on_the_model():
    model = models.residual()
    points = find_points(model)
    calls = [len(layer._inbound_nodes) + len(layer._outbound_nodes) for layer in model.layers]
    inputs = np.ones((1, 8, 8, 3), np.float32)
    expected = model(inputs)
    for _ in range(20):
        for point in points:
            head, tail = split(model, point)
            assert models.same_logits(tail(head(inputs)), expected)
    assert [len(layer._inbound_nodes) + len(layer._outbound_nodes) for layer in model.layers] == calls
    assert find_points(model) == points


def test_a_point_of_another_model_is_refused():
    points = find_points(models.sequential())
    with pytest.raises(PartitionError, match="has no partition point 3"):
        split(models.residual(), points[2])


@pytest.mark.parametrize(
    ("model", "count", "paper"),
    [
        ("vgg19", 26, {"block4_pool": (17, 401_408), "block5_pool": (22, 100_352), "input": (1, 602_112)}),
        ("mobilenetv2", 76, {"block_3_project": (35, 100_352), "input": (1, 602_112)}),
        ("resnet50", 41, {}),
    ],
)
def test_the_paper_s_numbers_are_today_s(capsys, model, count, paper):
    assert main([model, "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    by_name = {point["name"]: point for point in listed["points"]}
    assert len(listed["points"]) == count
    assert {name: (by_name[name]["index"], by_name[name]["output_bytes"]) for name in paper} == paper


def test_the_table_has_a_line_for_each_point(capsys):
    assert main(["mobilenetv2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 77
    assert any(line.split()[:3] == ["27", "block_2_add", "19-27"] for line in lines)


def test_listing_leaves_nothing_behind_and_gives_the_same_names_again(tmp_path):
    models.keras.layers.Dropout(0.5)  # Keras counts the names that it makes up
    models.normalised().save(tmp_path / "mine.keras")
    first = list_points(str(tmp_path / "mine.keras"))
    assert first == list_points(str(tmp_path / "mine.keras"))
    assert [point.name for point in first.points] == ["input", "conv", "norm", "flatten", "drop", "logits"]
    with keras.StatelessScope():
        pass  # leaving it would fail on variables that an outline left without values


@pytest.mark.parametrize(
    "text", ["tests.models:nowhere", "nosuch.module:make", "tests.models:same_logits", "json:loads", "os:getpid"]
)
def test_a_factory_that_makes_no_model_is_refused(capsys, text):
    assert main([text]) == 2
    assert capsys.readouterr().err.startswith(f"workers.partition: model {text}")


def test_a_file_that_is_no_model_is_refused(capsys, tmp_path):
    (tmp_path / "broken.keras").write_bytes(b"not a zip file")
    assert main([str(tmp_path / "broken.keras")]) == 2
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("build", [list_points, lambda text: build_model(parse_source(text))])
def test_an_archive_without_a_model_is_called_no_keras_model(tmp_path, build):
    with zipfile.ZipFile(tmp_path / "junk.keras", "w") as archive:
        archive.writestr("notes.txt", "nothing")
    with pytest.raises(PartitionError, match="it is no Keras model"):
        build(str(tmp_path / "junk.keras"))


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("unparsable", "\nx = (", "SyntaxError: '(' was never closed (in {file} line 2)"),
        ("raises_at_import", "\n1 / 0", "ZeroDivisionError: division by zero (in {file} line 2)"),
        ("raises", "def make():\n    raise OSError('no\\ndisk')", "OSError: no disk (in {file} line 2)"),
        ("exits", "import sys\ndef make():\n    sys.exit(3)", "SystemExit: 3 (in {file} line 3)"),
        ("deep", "import json\ndef make():\n    json.loads('x')", "(char 0) (in {file} line 3)"),
    ],
)
def test_a_factory_that_fails_is_named_with_its_line(capsys, monkeypatch, tmp_path, name, code, said):
    file = tmp_path / f"factory_{name}.py"
    file.write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    assert main([f"factory_{name}:make"]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith(f"workers.partition: model factory_{name}:make cannot be made: ")
    assert printed.endswith(said.format(file=file) + "\n")
    assert printed.count("\n") == 1


def test_a_factory_s_points_are_listed():
    assert [point.name for point in list_points("tests.models:residual").points] == [
        *("input", "a", "add", "pool", "logits")
    ]


def test_every_application_is_known_with_its_own_preprocessing():
    found = {name.lower(): made for name, made in inspect.getmembers(keras.applications, inspect.isfunction)}
    assert set(APPLICATIONS) == set(found)
    pixels = models.frame((1, 4, 4, 3)).astype(np.float32)
    for name, source in APPLICATIONS.items():
        keras_s_own = sys.modules[found[name].__module__].preprocess_input
        np.testing.assert_allclose(
            preprocess(pixels, source.preprocess), keras_s_own(pixels.copy()), atol=1e-4, err_msg=name
        )


def test_mobilenetv3_has_a_size():
    assert find_points(build_model(parse_source("mobilenetv3small")))[0].output_shape == (224, 224, 3)
