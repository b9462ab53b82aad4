from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from workers.errors import PartitionError
from workers.partition import PartitionPoint, main, resolve
from workers.partition_models import APPLICATIONS, Application, Factory, ModelFile, parse_source, preprocess


def point(index, name, block):
    return PartitionPoint(index, name, block, (2, 2), 16, index, 10 - index)


POINTS = (point(1, "input", "1"), point(2, "conv", "2"), point(7, "block_1_add", "3-7"), point(8, "logits", "8"))


@pytest.mark.parametrize("spec", [7, "7", "block_1_add"])
def test_a_point_is_found_by_index_and_by_name(spec):
    assert resolve(POINTS, spec) == POINTS[2]


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
    [("vgg20", "nearest: vgg19"), ("MobileNetV2", "nearest: mobilenetv2"), ("no.keras", "does not exist"), (":f", "")],
)
def test_an_unknown_model_ends_with_status_2_and_no_traceback(capsys, text, said):
    assert main([text]) == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert printed.out == ""


def test_a_folder_is_called_a_folder(capsys, tmp_path):
    (tmp_path / "saved.keras").mkdir()
    assert main([str(tmp_path / "saved.keras")]) == 2
    assert "saved.keras is a folder" in capsys.readouterr().err


@pytest.mark.parametrize("module", ["workers.partition", "workers.inference", "workers.store"])
def test_importing_imports_no_tensorflow(module):
    check = f"import sys, {module}; sys.exit(bool({{'tensorflow', 'keras'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


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
