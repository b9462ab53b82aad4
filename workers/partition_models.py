"""The models that a user can name: ``vgg19``, ``model.keras``, ``package.module:factory``."""

from __future__ import annotations

import difflib
import importlib
import inspect
import json
import re
import traceback
import zipfile
from pathlib import Path
from typing import Any, Literal

import msgspec

from workers.errors import PartitionError

Preprocess = Literal["caffe", "tf", "torch", "identity", "unit"]

_APPLICATION_CLASSES: dict[Preprocess, str] = {
    "caffe": "ResNet50 ResNet101 ResNet152 VGG16 VGG19",
    "tf": "InceptionResNetV2 InceptionV3 MobileNet MobileNetV2 NASNetLarge NASNetMobile ResNet50V2 "
    "ResNet101V2 ResNet152V2 Xception",
    "torch": "DenseNet121 DenseNet169 DenseNet201",
    "identity": "ConvNeXtTiny ConvNeXtSmall ConvNeXtBase ConvNeXtLarge ConvNeXtXLarge EfficientNetB0 "
    "EfficientNetB1 EfficientNetB2 EfficientNetB3 EfficientNetB4 EfficientNetB5 EfficientNetB6 "
    "EfficientNetB7 EfficientNetV2B0 EfficientNetV2B1 EfficientNetV2B2 EfficientNetV2B3 "
    "EfficientNetV2S EfficientNetV2M EfficientNetV2L MobileNetV3Large MobileNetV3Small",
}


class Application(msgspec.Struct, frozen=True):
    """A model of ``keras.applications``, by its class name, and how its input is preprocessed."""

    class_name: str
    preprocess: Preprocess

    @property
    def model_id(self) -> str:
        """The name in lower case, as users write it."""
        return self.class_name.lower()


class ModelFile(msgspec.Struct, frozen=True):
    """A ``.keras`` file."""

    path: Path
    preprocess: Preprocess = "unit"

    @property
    def model_id(self) -> str:
        """The file's name without its ending."""
        return self.path.stem


class Factory(msgspec.Struct, frozen=True):
    """A function without arguments that returns a Keras model."""

    module: str
    function: str
    preprocess: Preprocess = "unit"

    @property
    def model_id(self) -> str:
        """The function as users write it."""
        return f"{self.module}:{self.function}"


_OTHER_FILES = (".h5", ".hdf5", ".onnx", ".pb", ".pt", ".pth", ".tflite")
_NOT_KERAS_S = re.compile(r"Could not locate (class|function) '([^']*)'")
_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")

ModelSource = Application | ModelFile | Factory

APPLICATIONS = {
    class_name.lower(): Application(class_name, preprocess)
    for preprocess, class_names in _APPLICATION_CLASSES.items()
    for class_name in class_names.split()
}


def parse_source(text: str) -> ModelSource:
    """Return what `text` names; nothing is built or imported.

    Raises:
        PartitionError: no such application (with the nearest names) or no such file.
    """
    if text in APPLICATIONS:
        return APPLICATIONS[text]
    if text.endswith(".keras"):
        if Path(text).is_dir():
            raise PartitionError(f"model file {text} is a folder. Give the file that Keras's model.save() wrote.")
        if not Path(text).is_file():
            raise PartitionError(f"model file {text} does not exist.")
        return ModelFile(Path(text))
    module, colon, function = text.partition(":")
    if colon and module and function:
        return Factory(module, function)
    raise PartitionError(
        f"model {text!r} is not known{_hint(text)}. Give a name of keras.applications in lower case, a .keras file, or "
        "package.module:factory."
    )


def check_file(source: ModelFile) -> None:
    """Look whether a file holds the description of a Keras model, without TensorFlow; its layers may still be unknown.

    Raises:
        PartitionError: it does not.
    """
    _read_config(source.path)


def _hint(text: str) -> str:
    """Return what was probably meant by the name of no model; empty where that cannot be told."""
    if text.lower() in APPLICATIONS:
        return f": write it in lower case, {text.lower()}"
    if Path(text).is_file() or text.endswith(_OTHER_FILES):
        return ": a model file has to be one that Keras's model.save() wrote under a name that ends in .keras"
    if text.endswith(":"):
        return ": the function's name is missing after the colon"
    if _DOTTED.fullmatch(text):
        return f": a function is named after a colon, {':'.join(text.rsplit('.', 1))}"
    near = difflib.get_close_matches(text.lower(), APPLICATIONS, n=3)
    return f" (nearest: {', '.join(near)})" if near else ""


def build_model(source: ModelSource, *, weights: str | None = None) -> Any:
    """Return the Keras model; applications end in logits and get `weights` (None or ``imagenet``).

    Raises:
        PartitionError: a file or factory that gives no Keras model.
    """
    from workers.partition_keras import keras  # noqa: PLC0415 - seconds

    match source:
        case Application(class_name):
            build = getattr(keras.applications, class_name)
            # MobileNetV3 alone leaves the size of its input open.
            sized = {"input_shape": (224, 224, 3)} if class_name.startswith("MobileNetV3") else {}
            return build(weights=weights, classifier_activation=None, **sized)
        case ModelFile(path):
            _read_config(path)
            try:
                return keras.saving.load_model(path, compile=False)
            except (ValueError, OSError, TypeError, KeyError) as error:
                raise PartitionError(f"model file {path} cannot be loaded: {_why_refused(error)}") from error
        case Factory():
            return _call_factory(source)


def outline_model(source: ModelSource) -> Any:
    """Return the model without values in its weights: enough to list its layers, in a fraction of the time.

    Keras keeps variables that never got a value on a global list, so clear its session
    (``keras.utils.clear_session``) once the outline has been read. A factory's model is built in full.
    """
    from workers.partition_keras import keras  # noqa: PLC0415

    if isinstance(source, Factory):
        return _call_factory(source)
    with keras.StatelessScope(initialize_variables=False):
        if isinstance(source, Application):
            return build_model(source)
        config = _read_config(source.path)
        try:
            config.pop("compile_config", None)
            return keras.models.model_from_json(json.dumps(config))
        except (ValueError, OSError, TypeError, KeyError) as error:
            raise PartitionError(f"model file {source.path} cannot be read: {_why_refused(error)}") from error


def _why_refused(error: Exception) -> str:
    """Return Keras's reason for not making a model from its file, in a line."""
    said = " ".join(str(error).split())
    if own := _NOT_KERAS_S.search(said):
        why = f"it has a {own[1]} of your own, {own[2]}, whose code is not in the file"
    elif "enable_unsafe_deserialization" in said:
        why = "it has a Lambda layer, whose code is not loaded from a file"
    else:
        return said.rpartition("Exception encountered: ")[2].partition(" Full object config: ")[0]
    return f"{why}. Give the function that makes the model instead, package.module:factory."


def choose_preprocess(source: ModelSource, model: Any) -> Preprocess:
    """Return how the model's input is preprocessed: not at all where it takes whole numbers, as pixels are."""
    whole_numbers = "int" in model.inputs[0].dtype if getattr(model, "inputs", None) else False
    return "identity" if whole_numbers else source.preprocess


def _read_config(path: Path) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(path) as archive:
            return msgspec.json.decode(archive.read("config.json"), type=dict[str, Any])
    except OSError as error:
        raise PartitionError(f"model file {path} cannot be read: {error.strerror}") from error
    except (KeyError, ValueError, zipfile.BadZipFile) as error:
        raise PartitionError(
            f"model file {path} cannot be read: it is no Keras model ({error}). "
            "Give the file that Keras's model.save() wrote."
        ) from error


def _call_factory(source: Factory) -> Any:
    from workers.partition_keras import keras  # noqa: PLC0415

    try:
        function = getattr(importlib.import_module(source.module), source.function)
        inspect.signature(function).bind()
        model = function()
    except (Exception, SystemExit) as error:  # a user's code may raise anything
        place = _find_place(error) or (
            ". It must name a function without arguments in a package that is installed or in this folder."
        )
        message = error.msg if isinstance(error, SyntaxError) else " ".join(str(error).split())
        raise PartitionError(
            f"model {source.model_id} cannot be made: {type(error).__name__}: {message}{place}"
        ) from error
    if not isinstance(model, keras.Model):
        raise PartitionError(f"model {source.model_id} returned {type(model).__name__}, not a keras.Model.")
    return model


def _find_place(error: BaseException) -> str:
    """Return the line of the user's module that failed; empty where it was not found or not run."""
    if isinstance(error, SyntaxError):
        return f" (in {error.filename} line {error.lineno})"
    ours = {__file__, importlib.__file__, inspect.__file__}
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename not in ours and not frame.filename.startswith("<frozen importlib")
    ]
    # Not the deepest frame of all: that may be Keras's.
    own = [frame for frame in frames if frame.filename == frames[0].filename]
    return f" (in {own[-1].filename} line {own[-1].lineno})" if own else ""


_TORCH_MEANS, _TORCH_DEVIATIONS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_CAFFE_BGR_MEANS = (103.939, 116.779, 123.68)


def preprocess(pixels: Any, how: Preprocess) -> Any:
    """Return what the model was trained on, from RGB `pixels` 0..255 (float32, NumPy or TensorFlow, ..., 3).

    `how` names the modes of ``keras.applications``; `unit` scales to 0..1.
    """
    match how:
        case "caffe":
            return pixels[..., ::-1] - _CAFFE_BGR_MEANS
        case "tf":
            return pixels / 127.5 - 1.0
        case "torch":
            return (pixels / 255.0 - _TORCH_MEANS) / _TORCH_DEVIATIONS
        case "unit":
            return pixels / 255.0
        case "identity":
            return pixels
