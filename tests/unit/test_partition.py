from __future__ import annotations

import os
import re
import subprocess
import sys

import numpy as np
import pytest

from workers.errors import PartitionError
from workers.partition import Call, Layer, PartitionPoint, main, make_layers, make_points, resolve
from workers.partition_graph import Cut
from workers.partition_models import APPLICATIONS, Application, Factory, ModelFile, parse_source, preprocess
from workers.stderr_notes import other_than_notes, without_notes


def point(index, name, block):
    return PartitionPoint(index, name, block, (2, 2), 16, index, 10 - index, 100 * index, 1000 - 100 * index)


POINTS = (point(1, "input", "1"), point(2, "conv", "2"), point(7, "block_1_add", "3-7"), point(8, "logits", "8"))


@pytest.mark.parametrize("spec", [7, "7", "block_1_add"])
def test_a_point_is_found_by_index_and_by_name(spec):
    assert resolve(POINTS, spec) == POINTS[2]


def test_the_output_is_the_last_even_where_another_layer_is_called_so():
    points = (POINTS[0], point(2, "output", "2"), point(3, "logits", "3"))
    assert [resolve(points, spec).index for spec in ("output", 2, "logits")] == [3, 2, 3]


def test_the_input_has_a_name():
    assert resolve(POINTS, "input").index == 1


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (5, r"inside the parallel region 3-7.*2 \(conv\) and 7 \(block_1_add\)"),
        (0, r"counted from 1 to 8.*1 \(input\)"),
        (9, r"counted from 1 to 8.*8 \(logits\)"),
        ("block_1_ad", "nearest names: block_1_add"),
        ("zzzzzzzz", "nearest names: input, logits"),
    ],
)
def test_what_is_no_point_is_refused_with_the_nearest(spec, said):
    with pytest.raises(PartitionError, match=said):
        resolve(POINTS, spec)


def test_sources_are_told_apart(tmp_path):
    file = tmp_path / "mine.keras"
    file.touch()
    assert parse_source("vgg19") == Application("VGG19", "caffe")
    assert parse_source(str(file)) == ModelFile(file)
    assert parse_source("pkg.mod:make") == Factory("pkg.mod", "make")
    assert parse_source(str(file)).model_id == "mine"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("vgg20", "nearest: vgg19"),
        ("MobileNetV2", "write it in lower case, mobilenetv2."),
        ("no.keras", "does not exist"),
        ("func.h5", "under a name that ends in .keras"),
        ("pyproject.toml", "under a name that ends in .keras"),
        ("facts.ok", "named after a colon, facts:ok."),
        ("a.b.c", "named after a colon, a.b:c."),
        ("facts:", "name is missing after the colon"),
        (":f", "package.module:factory"),
    ],
)
def test_an_unknown_model_ends_with_status_2_and_no_traceback(capsys, text, said):
    assert main([text]) == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert printed.out == ""


@pytest.mark.parametrize("text", ["", "../x", "tests", ":f"])
def test_nonsense_is_near_no_model(text):
    with pytest.raises(PartitionError, match=re.escape(f"model {text!r} is not known. Give a name")):
        parse_source(text)


def test_a_folder_is_called_a_folder(capsys, tmp_path):
    (tmp_path / "saved.keras").mkdir()
    assert main([str(tmp_path / "saved.keras")]) == 2
    assert "saved.keras is a folder" in capsys.readouterr().err


@pytest.mark.parametrize("module", ["workers.partition", "workers.inference", "workers.store"])
def test_importing_imports_no_tensorflow(module):
    check = f"import sys, {module}; sys.exit(bool({{'tensorflow', 'keras'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


CALLS = [
    Call("input", "InputLayer", ((8, 8, 3),), {}, 10),
    Call("dense", "Dense", ((4,),), {1: 100, 2: 4}, 200),
    Call("state", "LSTM", ((4,), (2, 3), (-1, 5)), {3: 50}, 30),
    Call("dense@2", "Dense", ((4,),), {1: 100, 2: 4}, 200),
]
CUTS = [Cut(1, 1, "a"), Cut(2, 2, "b"), Cut(4, 3, "c")]


def test_layers_know_their_block_and_the_bytes_of_all_their_outputs():
    layers = make_layers(CALLS, CUTS)
    assert [layer.index for layer in layers] == [1, 2, 3, 4]
    assert [layer.block for layer in layers] == ["1", "2", "3-4", "3-4"]
    assert layers[2] == Layer(3, "state", "LSTM", "3-4", (4,), 4 * (4 + 2 * 3), 50, 30)


def test_points_count_a_shared_layer_s_weights_on_every_side_and_its_flops_by_call():
    points = make_points(CALLS, CUTS, [(8, 8, 3), (4,), (4,)])
    assert [point.name for point in points] == ["input", "dense", "dense@2"]
    assert [(point.params_head, point.params_tail) for point in points] == [(0, 154), (104, 154), (154, 0)]
    assert [(point.flops_head, point.flops_tail) for point in points] == [(10, 430), (210, 230), (440, 0)]
    assert [point.output_bytes for point in points] == [768, 16, 16]


def test_what_is_not_known_of_a_layer_is_not_known_of_the_side_it_lies_on():
    calls = [*CALLS[:2], CALLS[2]._replace(flops=None), CALLS[3]]
    points = make_points(calls, CUTS, [(8, 8, 3), (4,), (4,)])
    assert [(point.flops_head, point.flops_tail) for point in points] == [(10, None), (210, None), (None, 0)]
    assert make_layers(calls, CUTS)[2].flops is None


def test_notes_of_tensorflow_are_told_from_what_else_is_said():
    said = [b"WARNING: All log messages before absl::InitializeLog() is called are\n", b"I0000 00:00:17 port.cc] on\n"]
    assert list(other_than_notes([*said, b"WARNING: mine\n", b"E0000 00:00:17 bad\n"])) == [
        b"WARNING: mine\n",
        b"E0000 00:00:17 bad\n",
    ]


def test_what_a_process_says_of_its_own_comes_out_whatever_happens(capfd):
    def speak():
        with without_notes():
            os.write(2, b"I0000 00:00:17 port.cc] on\nmine\n")
            raise PartitionError("no")

    with pytest.raises(PartitionError):
        speak()
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "mine\nafter\n"


PIXELS = np.array([[[0.0, 127.5, 255.0]]], np.float32)  # R, G, B


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("caffe", [255 - 103.939, 127.5 - 116.779, 0 - 123.68]),
        ("tf", [-1, 0, 1]),
        ("torch", [-0.485 / 0.229, 0.044 / 0.224, 0.594 / 0.225]),
        ("unit", [0, 0.5, 1]),
        ("identity", [0, 127.5, 255]),
    ],
)
def test_preprocessing(how, expected):
    np.testing.assert_allclose(preprocess(PIXELS, how)[0, 0], expected, rtol=1e-5)


def test_the_paper_s_models_are_preprocessed_as_they_were_trained():
    assert (APPLICATIONS["vgg19"].preprocess, APPLICATIONS["mobilenetv2"].preprocess) == ("caffe", "tf")
