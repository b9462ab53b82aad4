from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from workers.errors import PartitionError
from workers.store import CONVERSION, META, WEIGHTS, Stored, StoredModel, check_stored, main, put
from workers.store_check import check_once

pytest.importorskip("workers.partition_keras", reason="TensorFlow is not installed", exc_type=ImportError)
from tests import models

pytestmark = [
    pytest.mark.tensorflow,
    # Keras's own saving of models, under NumPy 2.
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
]
keras = models.keras


@pytest.fixture
def model_file(tmp_path):
    path = tmp_path / "mine.keras"
    models.normalised().save(path)
    return path


def run(capsys, *arguments):
    status = main([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    return status, printed


def test_the_command_prints_digest_and_path(capsys, tmp_path):
    status, printed = run(capsys, "mobilenetv2", "--seed", 3, "--store", tmp_path)
    stored = msgspec.json.decode(printed.out, type=Stored)
    meta = StoredModel.read(tmp_path / stored.digest)
    assert status == 0
    assert stored.path == str(tmp_path / stored.digest)
    assert not stored.reused
    assert (meta.model, meta.weights, meta.seed, meta.preprocess) == ("mobilenetv2", "random", 3, "tf")
    assert (meta.input_shape, meta.input_dtype, meta.classes) == ((224, 224, 3), "uint8", 1000)
    assert (len(meta.points), len(meta.layers)) == (76, 156)
    assert meta.points[-1].flops_head == sum(layer.flops for layer in meta.layers)
    check_once(tmp_path / stored.digest)


def test_the_same_request_is_answered_without_tensorflow(tmp_path, model_file):
    made = put(str(model_file), "random", 0, tmp_path / "store")
    again = (
        "import sys; from workers.store import main; "
        f"status = main([{str(model_file)!r}, '--store', {str(tmp_path / 'store')!r}]); "
        "sys.exit(status or 'tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", again], capture_output=True, check=True)
    expected = Stored(made.digest, made.path, reused=True, conversion_s=made.conversion_s)
    assert msgspec.json.decode(done.stdout, type=Stored) == expected


def test_what_the_conversion_took_is_kept_beside_the_model_and_not_in_its_digest(tmp_path, model_file):
    made = put(str(model_file), "random", 0, tmp_path / "store")
    assert made.conversion_s > 0
    (Path(made.path) / CONVERSION).write_text('{"conversion_s": 99.5}')
    check_stored(Path(made.path), "Remove it.")
    assert put(str(model_file), "random", 0, tmp_path / "store").conversion_s == 99.5
    (Path(made.path) / CONVERSION).unlink()  # a store of before that was noted
    assert put(str(model_file), "random", 0, tmp_path / "store").conversion_s is None


def test_the_same_content_gets_the_same_digest_whatever_was_made_before(tmp_path):
    first = put("mobilenetv3small", "random", 7, tmp_path / "one")
    models.residual()
    second = put("mobilenetv3small", "random", 7, tmp_path / "two")
    other = put("mobilenetv3small", "random", 8, tmp_path / "two")
    assert first.digest == second.digest != other.digest


def test_content_that_is_there_is_used_even_where_the_request_is_forgotten(tmp_path, model_file):
    first = put(str(model_file), "random", 0, tmp_path / "store")
    for request in (tmp_path / "store" / "requests").iterdir():
        request.unlink()
    assert put(str(model_file), "random", 0, tmp_path / "store") == msgspec.structs.replace(first, reused=True)
    assert [path.name for path in (tmp_path / "store").glob(".*")] == []


def test_a_request_whose_model_was_removed_is_made_again(tmp_path, model_file):
    made = put(str(model_file), "random", 0, tmp_path / "store")
    for file in (tmp_path / "store" / made.digest).iterdir():
        file.unlink()
    (tmp_path / "store" / made.digest).rmdir()
    again = put(str(model_file), "random", 0, tmp_path / "store")
    assert (again.digest, again.reused) == (made.digest, False)


def test_a_file_is_known_by_its_content(tmp_path, model_file):
    before = put(str(model_file), "random", 0, tmp_path / "store")
    models.residual().save(model_file)
    after = put(str(model_file), "random", 0, tmp_path / "store")
    assert (before.reused, after.reused) == (False, False)
    assert before.digest != after.digest


def test_a_factory_is_asked_again_each_time_under_the_seed(tmp_path):
    made = [put("tests.models:residual", "random", seed, tmp_path).digest for seed in (1, 1, 2)]
    assert made[0] == made[1] != made[2]
    assert StoredModel.read(tmp_path / made[0]).weights == "own"


@pytest.mark.parametrize("ending", [".keras", ".weights.h5"])
def test_weights_from_a_file_are_those_of_the_file(tmp_path, ending):
    keras.utils.set_random_seed(1)
    original = models.residual()
    path = tmp_path / f"original{ending}"
    (original.save if ending == ".keras" else original.save_weights)(path)
    stored = put("tests.models:residual", str(path), 99, tmp_path / "store")
    meta = StoredModel.read(tmp_path / "store" / stored.digest)
    raw = (tmp_path / "store" / stored.digest / WEIGHTS).read_bytes()
    for variable, described in zip(original.variables, meta.variables, strict=True):
        expected = variable.numpy()
        assert raw[described.offset : described.offset + expected.nbytes] == expected.tobytes()
        assert described.offset % 64 == 0
    assert meta.seed is None
    assert meta.weights.startswith("sha256:")


def test_weights_of_another_model_are_refused(capsys, tmp_path):
    models.sequential().save_weights(tmp_path / "other.weights.h5")
    weights = tmp_path / "other.weights.h5"
    status, printed = run(capsys, "tests.models:residual", "--weights", weights, "--store", tmp_path / "store")
    assert status == 2
    assert "do not fit model 'residual'" in printed.err
    assert list((tmp_path / "store").glob(".making*")) == []


@pytest.mark.parametrize(
    ("model", "weights", "said"),
    [
        ("vgg19", "nowhere.h5", "there is no such file"),
        ("tests.models:residual", "imagenet", "has no imagenet weights"),
        ("tests.models:two_inputs", "random", "2 inputs"),
        ("tests.models:masked", "random", "takes int32 of shape (6,), but the device sends frames of shape (height, "),
        ("vgg20", "random", "nearest: vgg19"),
    ],
)
def test_what_cannot_be_stored_is_refused(capsys, tmp_path, model, weights, said):
    status, printed = run(capsys, model, "--weights", weights, "--store", tmp_path)
    assert (status, printed.out) == (2, "")
    assert said in printed.err


@pytest.mark.parametrize("seed", ["-1", str(2**32), "1.5"])
def test_a_seed_that_keras_refuses_is_refused_with_the_range(capsys, tmp_path, seed):
    with pytest.raises(SystemExit, match="2"):
        main(["vgg19", f"--seed={seed}", "--store", str(tmp_path)])
    assert f"{seed!r} is not a whole number from 0 to 4294967295" in capsys.readouterr().err


def test_pixels_go_as_they_are_into_a_model_that_takes_whole_numbers(tmp_path):
    stored = put("tests.models:whole_numbers", "random", 0, tmp_path)
    assert StoredModel.read(tmp_path / stored.digest).preprocess == "identity"


def test_a_model_with_loops_has_the_same_digest_in_every_process(tmp_path):
    command = [sys.executable, "-m", "workers.store", "tests.models:recurrent", "--store", str(tmp_path)]
    printed = [subprocess.run(command, capture_output=True, check=True).stdout for _ in range(2)]
    first, second = (msgspec.json.decode(line, type=Stored) for line in printed)
    assert (first.digest, second.reused) == (second.digest, True)


def test_a_weight_of_a_shared_layer_is_stored_once(tmp_path):
    meta = StoredModel.read(tmp_path / put("tests.models:shared_layer", "random", 0, tmp_path).digest)
    assert [variable.path for variable in meta.variables] == [
        *("twice/kernel", "twice/bias", "logits/kernel", "logits/bias")
    ]
    assert [layer.params for layer in meta.layers if layer.name.startswith("twice")] == [192 * 192 + 192] * 2


def test_weights_that_are_no_archive_are_refused(capsys, tmp_path):
    weights = tmp_path / "text.keras"
    weights.write_text("not a zip file")
    status, printed = run(capsys, "tests.models:residual", "--weights", weights, "--store", tmp_path / "store")
    assert (status, printed.out) == (2, "")
    assert f"weights {weights} do not fit" in printed.err


def test_a_store_that_cannot_be_made_is_refused(capsys, tmp_path):
    (tmp_path / "file").touch()
    for store in (tmp_path / "file", tmp_path / "file" / "below", "/proc/x"):
        status, printed = run(capsys, "vgg19", "--store", store)
        assert (status, printed.out) == (2, "")
        assert printed.err.startswith(f"workers.store: store {store} cannot be made")
        assert printed.err.count("\n") == 1


def test_a_failed_download_says_what_to_do(tmp_path):
    # A proxy on a port that nobody listens on: no network is needed, or used, to fail.
    away = {"KERAS_HOME": str(tmp_path), "https_proxy": "http://127.0.0.1:9", "no_proxy": ""}
    command = [sys.executable, "-m", "workers.store", "mobilenetv2", "--weights", "imagenet"]
    done = subprocess.run(
        [*command, "--store", str(tmp_path)],
        env={**os.environ, **away},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "--weights FILE" in done.stderr
    assert "Traceback" not in done.stderr


def test_random_weights_give_logits_that_depend_on_the_frame():
    model = models.application("mobilenetv2", 64)
    frames = np.stack([models.frame((64, 64, 3), seed) for seed in (1, 2)]) / 127.5 - 1
    one, two = model(frames.astype(np.float32)).numpy()
    assert one.std() > 0.1
    assert np.abs(one - two).max() > 0.01 * np.abs(one).max()
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert {layer.momentum for layer in norms} == {0.999}


def test_damage_is_found(tmp_path):
    stored = put("tests.models:residual", "random", 0, tmp_path)
    weights = tmp_path / stored.digest / WEIGHTS
    raw = bytearray(weights.read_bytes())
    raw[0] ^= 1
    weights.write_bytes(raw)
    with pytest.raises(PartitionError, match="is damaged"):
        check_once(tmp_path / stored.digest)


def test_a_folder_without_description_that_is_in_the_way_is_named_with_what_to_do(capsys, tmp_path):
    stored = put("tests.models:residual", "random", 0, tmp_path)
    (tmp_path / stored.digest / META).unlink()
    assert main(["tests.models:residual", "--store", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert f"{tmp_path / stored.digest} is in the way of the model that belongs there" in said
    assert "Remove the folder and run again" in said


def test_another_version_is_refused(tmp_path):
    stored = put("tests.models:residual", "random", 0, tmp_path)
    meta = tmp_path / stored.digest / META
    meta.write_text(meta.read_text().replace('"schema_version":3', '"schema_version":99'))
    with pytest.raises(PartitionError, match=r"version 99, this program reads 3.*workers.store"):
        StoredModel.read(tmp_path / stored.digest)


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(PartitionError, match="holds no stored model"):
        StoredModel.read(tmp_path)
