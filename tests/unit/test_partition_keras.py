from __future__ import annotations

import inspect
import json
import re
import sys
import zipfile

import numpy as np
import pytest

from workers.errors import PartitionError
from workers.partition import Layer, list_points, main, resolve
from workers.partition_models import APPLICATIONS, build_model, outline_model, parse_source, preprocess
from workers.store import FRAME, layer_scope, point_node

pytest.importorskip("workers.partition_keras", reason="TensorFlow is not installed", exc_type=ImportError)
import tensorflow as tf
from tensorflow.core.framework import graph_pb2

from tests import models
from workers.graph_export import export_graph
from workers.graph_flops import einsum_flops

pytestmark = [
    pytest.mark.tensorflow,
    # Keras's own saving of models, under NumPy 2.
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
]
keras = models.keras


def read(model):
    return export_graph(model, "unit")


def indices(model):
    return [point.index for point in read(model).points]


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (models.sequential, [1, 2, 3, 4]),
        (models.residual, [1, 2, 4, 5, 6]),
        (models.operators, [1, 2, 5, 6, 7]),
        (models.one_region, [1, 4]),
        (models.branches, [1, 2, 7, 8, 9]),
        (models.nested, [1, 2, 4, 5, 6, 7]),
        (models.nested_twice_over, [1, 2, 3, 4, 5]),
        (models.nested_with_several_ends, [1, 2, 3, 7, 8]),
        (models.nested_that_does_nothing, [1, 2, 3, 4]),
        (models.nested_of_another_type, [1, 2, 3, 4, 5]),
        (models.siamese, [1, 2, 8, 9]),
        (models.shared_layer, [1, 2, 3, 4, 5]),
        (models.custom_layers, [1, 2, 6, 7, 8]),
        (models.recurrent, [1, 2, 3, 5, 6]),
        (models.windows, [1, 2, 5, 6]),
        (models.masked, [1, 4, 5]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_points_of_small_models(make, expected):
    assert indices(make()) == expected


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (
            models.nested,
            ["input", "residual/a", "residual/b", "residual/add", "residual/pool", "residual/logits", "logits"],
        ),
        (models.nested_twice_over, ["input", "backbone/stem/conv", "backbone/stem/norm", "flatten", "logits"]),
        (models.shared_layer, ["input", "flatten", "twice", "twice@2", "logits"]),
        (
            models.siamese,
            [
                "input",
                "relu",
                "split",
                "encoder/conv",
                "encoder/flatten",
                "encoder/conv@2",
                "encoder/flatten@2",
                "minus",
                "logits",
            ],
        ),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_layers_of_nested_and_shared_models_are_named_by_path_and_call(make, expected):
    keras.utils.clear_session()  # names that Keras makes up count from the start
    assert [layer.name for layer in read(make()).layers] == expected


def test_layers_that_nobody_reads_are_left_out():
    layers = read(models.nested_with_several_ends()).layers
    assert "pair/unread" not in {layer.name for layer in layers}
    assert [layer.index for layer in layers] == list(range(1, len(layers) + 1))


def test_a_point_s_facts():
    point = resolve(read(models.residual()).points, "add")
    assert (point.index, point.block, point.output_shape) == (4, "3-4", (8, 8, 4))
    assert point.output_bytes == 8 * 8 * 4 * 4
    assert (point.params_head, point.params_tail) == (3 * 36 + 4 + 4 * 36 + 4, 4 * 5 + 5)


def test_a_layer_s_facts():
    layer = read(models.residual()).layers[2]
    convolution, bias = 2 * 8 * 8 * 4 * 3 * 3 * 4, 8 * 8 * 4
    assert layer == Layer(3, "b", "Conv2D", "3-4", (8, 8, 4), 8 * 8 * 4 * 4, 4 * 36 + 4, convolution + bias)


def test_a_layer_with_several_outputs_says_the_bytes_of_all():
    layer = next(layer for layer in read(models.recurrent()).layers if layer.name == "memory")
    assert (layer.output_shape, layer.output_bytes) == ((6,), 3 * 6 * 4)


def test_flops_on_both_sides_of_a_point_are_those_of_the_layers():
    exported = read(models.branches())
    for point in exported.points:
        before = sum(layer.flops for layer in exported.layers[: point.index])
        after = sum(layer.flops for layer in exported.layers[point.index :])
        assert (point.flops_head, point.flops_tail) == (before, after)
    assert exported.points[-1].flops_head > exported.points[0].flops_head > 0


@pytest.mark.parametrize(
    ("equation", "shapes", "made", "expected"),
    [
        ("ij,jk->ik", [(2, 3), (3, 4)], (2, 4), 2 * 2 * 3 * 4),
        ("BTNH,BSNH->BNTS", [(1, 12, 2, 4), (1, 12, 2, 4)], (1, 2, 12, 12), 2 * 2 * 12 * 12 * 4),
        ("...ij,jk->...ik", [(5, 7, 2, 3), (3, 4)], (5, 7, 2, 4), 2 * 5 * 7 * 2 * 3 * 4),
        ("i,i->i", [(6,), (6,)], (6,), 6),
        ("ij->i", [(2, 3)], (2,), 6),
        ("ij->ji", [(2, 3)], (3, 2), 0),
    ],
)
def test_the_flops_of_an_einsum(equation, shapes, made, expected):
    assert einsum_flops(equation, shapes, made) == expected


def test_the_flops_of_attention_have_its_einsums():
    inputs = keras.Input((12, 8))
    model = keras.Model(inputs, keras.layers.MultiHeadAttention(2, 4, name="attention")(inputs, inputs))
    projections = 4 * 2 * 12 * 8 * 8 + 4 * 12 * 8  # query, key, value, output; with their biases
    scores = 2 * 2 * 12 * 12 * 4  # and as many to weigh the values
    flops = {layer.name: layer.flops for layer in read(model).layers}
    # Scaling is 1 a score; the registry takes softmax for 5.
    assert flops["attention"] == projections + 2 * scores + (1 + 5) * 2 * 12 * 12


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (lambda: keras.layers.LSTM(4), (6, 8)),
        (lambda: keras.layers.GRU(4), (6, 8)),
        (lambda: keras.layers.Conv3DTranspose(2, 2), (4, 4, 4, 1)),
        (lambda: keras.layers.Lambda(lambda x: keras.ops.fft((x, x))[0], output_shape=(8,)), (8,)),
    ],
)
def test_flops_that_a_graph_does_not_tell_are_not_known(layer, shape):
    inputs = keras.Input(shape)
    exported = read(keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(layer()(inputs)))))
    assert [point.flops_head is None for point in exported.points] == [False, True, True, True]
    assert [point.flops_tail is None for point in exported.points] == [True, False, False, False]


def test_weights_of_a_shared_layer_count_on_every_side_where_it_is_called():
    exported, shared, last = read(models.shared_layer()), 192 * 192 + 192, 192 * 5 + 5
    between, after = resolve(exported.points, "twice"), resolve(exported.points, "twice@2")
    assert (between.params_head, between.params_tail) == (shared, shared + last)
    assert (after.params_head, after.params_tail) == (shared, last)
    assert exported.points[-1].params_head == shared + last


class OwnCall(keras.Model):
    """Functional by its making, but it does something else."""

    def call(self, inputs, **_):
        return super().call(inputs) * 2


def functional(of, kind=keras.Model):
    inputs = keras.Input((4,), name="in")
    return kind(inputs=inputs, outputs=of(inputs), name="mine")


class Foreign(keras.layers.Layer):
    """Holds a variable that Keras does not know."""

    def build(self, _):
        self.held = tf.Variable(np.ones(4, np.float32))

    def call(self, inputs):
        return inputs * self.held.read_value()


class Broken(keras.layers.Layer):
    def call(self, inputs):
        if inputs.shape[0] == 1:
            raise RuntimeError("one frame is not enough")
        return inputs


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (models.two_inputs, "2 inputs"),
        (models.two_outputs, "2 outputs"),
        (models.open_size, "Give its keras.Input a full shape"),
        (lambda: keras.Sequential([keras.layers.Dense(1)], name="unbuilt"), "has no inputs yet"),
        (type("Mine", (keras.Model,), {}), "neither a functional nor a Sequential"),
        (lambda: functional(keras.layers.Dense(2), OwnCall), r"call\(\) of its own"),
        (lambda: functional(Foreign(name="foreign")), "reads a tf.Variable or a table .*no Keras weight"),
        (lambda: functional(Broken(name="broken")), r"layer 'broken' \(Broken\) cannot be run.*not enough"),
        (lambda: functional(keras.layers.Lambda(lambda x: x[:0], output_shape=(4,))), "is not one tensor of numbers"),
        (lambda: functional(keras.layers.Lambda(lambda _: np.ones((1, 4), "float32"))), "does not depend on its input"),
    ],
)
def test_models_that_cannot_be_partitioned_are_refused(make, said):
    with pytest.raises(PartitionError, match=said):
        read(make())


def test_a_functional_model_with_a_call_of_its_own_stays_one_layer_of_another():
    model = functional(functional(keras.layers.Dense(4), OwnCall))
    assert [(layer.name, layer.kind) for layer in read(model).layers] == [("input", "InputLayer"), ("mine", "OwnCall")]


def test_another_model_over_the_same_layers_does_not_disturb():
    model = models.residual()
    before = read(model)
    keras.Model(model.get_layer("a").output, model.output)
    keras.Model(model.input, model.get_layer("b").output)
    assert read(model) == before


def test_reading_leaves_no_trace_on_the_model():
    model = models.nested()
    calls = [len(layer._inbound_nodes) + len(layer._outbound_nodes) for layer in model._flatten_layers()]
    first, again = read(model), read(model)
    assert [len(layer._inbound_nodes) + len(layer._outbound_nodes) for layer in model._flatten_layers()] == calls
    assert first == again


def test_reading_an_outline_gives_its_weights_no_values(tmp_path):
    models.normalised().save(tmp_path / "mine.keras")
    outline = outline_model(parse_source(str(tmp_path / "mine.keras")))
    read(outline)
    assert [variable._value for variable in outline.variables] == [None] * len(outline.variables)
    keras.utils.clear_session()  # or the next scope would fail on them


def test_a_model_that_does_nothing_has_its_input_as_its_only_point():
    assert [point.name for point in read(functional(lambda inputs: inputs)).points] == ["input"]


def test_a_sequential_model_without_an_input_layer_can_be_read_once_it_is_built():
    model = keras.Sequential([keras.layers.Flatten(name="flatten"), keras.layers.Dense(2, name="logits")])
    model.build((None, 4, 4))
    assert [layer.name for layer in read(model).layers] == ["input", "flatten", "logits"]


def test_where_a_size_is_known_only_when_it_runs_there_is_no_cut():
    def count_bright(inputs):
        bright = keras.layers.Lambda(lambda t: tf.boolean_mask(t, t > 0.5), output_shape=(None,), name="bright")(inputs)
        return keras.layers.Lambda(lambda t: tf.reshape(tf.reduce_sum(t), (1, 1)), output_shape=(1,), name="sum")(
            bright
        )

    exported = read(functional(count_bright))
    assert [(layer.name, layer.output_shape, layer.output_bytes) for layer in exported.layers[1:]] == [
        ("bright", (-1,), 0),
        ("sum", (1,), 4),
    ]
    assert [point.index for point in exported.points] == [1, 3]


@pytest.mark.parametrize("make", models.STRUCTURES, ids=lambda make: make.__name__)
def test_every_node_lies_in_its_layer_s_scope_and_every_point_has_one(make):
    exported = read(make())
    graph = graph_pb2.GraphDef()
    graph.ParseFromString(exported.graph)
    names = {node.name for node in graph.node}
    scopes = tuple(layer_scope(layer.index) for layer in exported.layers)
    outside = {name for name in names if not name.startswith(scopes)}
    assert {name for name in outside if name != FRAME and not name.startswith("weight_")} == set()
    assert {point_node(point.index) for point in exported.points} <= names
    assert len(names) == len(graph.node)


@pytest.mark.parametrize(
    ("model", "count", "gflops", "paper"),
    [
        ("vgg19", 26, 39.3, {"block4_pool": (17, 401_408), "block5_pool": (22, 100_352), "input": (1, 602_112)}),
        ("mobilenetv2", 76, 0.6, {"block_3_project": (35, 100_352), "input": (1, 602_112)}),
        ("resnet50", 41, 7.7, {}),
    ],
)
def test_the_paper_s_numbers_are_today_s(capsys, model, count, gflops, paper):
    assert main([model, "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    by_name = {point["name"]: point for point in listed["points"]}
    assert len(listed["points"]) == count
    assert {name: (by_name[name]["index"], by_name[name]["output_bytes"]) for name in paper} == paper
    # The literature's: 19.6, 0.3 and 3.86 G multiply-accumulates.
    assert listed["points"][-1]["flops_head"] / 1e9 == pytest.approx(gflops, rel=0.04)
    assert listed["points"][-1]["flops_head"] == sum(layer["flops"] for layer in listed["layers"])


def test_the_table_has_a_line_for_each_point(capsys):
    assert main(["mobilenetv2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 77
    assert re.split(r"\s{2,}", lines[0].strip())[-4:] == ["params tail", "FLOPs head", "FLOPs tail", "shape"]
    assert any(line.split()[:3] == ["27", "block_2_add", "19-27"] for line in lines)


def test_a_model_without_inner_point_is_listed_as_whole_only(capsys):
    assert main(["tests.models:one_region"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines[1:3]] == ["input", "sum"]
    assert "can only run whole, on the edge (cut at output) or in the cloud (cut at input)" in lines[3]


def test_flops_that_are_not_known_are_listed_as_such(capsys):
    assert main(["tests.models:recurrent"]) == 0
    printed = capsys.readouterr().out
    first, *_, last = printed.splitlines()[1:-1]
    assert (first.split()[6:8], last.split()[6:8]) == (["192", "?"], ["?", "0"])
    assert printed.endswith(
        "?  not known: the FLOPs of both_ways (Bidirectional), memory (LSTM) cannot be told from the graph.\n"
    )
    assert main(["tests.models:recurrent", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert (listed["points"][0]["flops_tail"], listed["points"][-1]["flops_head"]) == (None, None)
    assert {layer["name"] for layer in listed["layers"] if layer["flops"] is None} == {"both_ways", "memory"}


def save(folder, layer):
    inputs = keras.Input((4,))
    keras.Model(inputs, layer(inputs)).save(folder / "mine.keras")
    return str(folder / "mine.keras")


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (lambda: Foreign(name="foreign"), "it has a class of your own, Foreign"),
        (lambda: keras.layers.Lambda(lambda x: x * 2, name="twice"), "it has a Lambda layer"),
    ],
)
@pytest.mark.parametrize("build", [list_points, lambda text: build_model(parse_source(text))])
def test_a_file_that_lacks_code_names_what_to_give_instead(tmp_path, layer, said, build):
    text = save(tmp_path, layer())
    with pytest.raises(PartitionError, match=f"{said}.*instead, package.module:factory") as refused:
        build(text)
    assert "\n" not in str(refused.value)


def test_a_layer_that_is_called_output_is_told_from_the_last(capsys, tmp_path):
    text = save(
        tmp_path, lambda inputs: keras.layers.Dense(2, name="last")(keras.layers.Dense(3, name="output")(inputs))
    )
    assert main([text]) == 0
    printed = capsys.readouterr().out
    assert "output means the last point; give the layer of that name by its index, 2." in printed


def test_a_model_that_takes_no_picture_is_listed(capsys):
    assert main(["tests.models:masked"]) == 0
    assert "6 x 4" not in capsys.readouterr().out  # the mask goes beside it
    assert [point.output_shape for point in list_points("tests.models:masked").points] == [(6,), (4,), (2,)]


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
    assert build_model(parse_source("mobilenetv3small")).inputs[0].shape == (None, 224, 224, 3)
