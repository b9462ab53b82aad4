"""Reads Keras models as graphs of calls and runs them call by call.

Importing this module imports Keras and all of TensorFlow, which takes seconds: import it inside functions. It is the
one place where that happens, because the environment has to be set before.
"""

from __future__ import annotations

import inspect
import os
import sys
from typing import TYPE_CHECKING, Any, Protocol

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # errors only: a runner's stderr is fetched and read
os.environ["KERAS_BACKEND"] = "tensorflow"  # whatever ~/.keras/keras.json says

# Keras imports these where it finds them, 3 s of an import of 9, and needs them for nothing that is done here.
_HIDDEN = [name for name in ("matplotlib", "pandas", "scipy") if name not in sys.modules]
for _name in _HIDDEN:
    sys.modules[_name] = None  # type: ignore[assignment]

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402
from tensorflow.python.framework import ops  # noqa: E402
from tensorflow.python.profiler.internal import flops_registry  # noqa: E402, F401 - fills TensorFlow's registry
from tensorflow.python.util import deprecation  # noqa: E402

for _name in _HIDDEN:  # whoever else in this process wants them shall have them
    del sys.modules[_name]

from workers.errors import PartitionError  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Visit", "deprecation", "keep", "keras", "ops", "read_model", "run_calls", "tf"]


class Visit(Protocol):
    """What `run_calls` does with each call of a layer or operation."""

    def __call__(self, path: str, operation: Any, *args: Any, **kwargs: Any) -> Sequence[Any]:
        """Return the tensors that the call gives, flat. `path` names the layer: ``backbone/conv1``."""


def read_model(model: Any) -> Any:
    """Return the graph of calls (a ``keras.Function``) of a functional or Sequential model.

    Raises:
        PartitionError: neither of both, several inputs or outputs, or an input without a fixed size.
    """
    function = _open(model)
    if function is None:
        raise PartitionError(_why_closed(model))
    for side in ("inputs", "outputs"):
        count = len(getattr(function, side))
        if count != 1:
            raise PartitionError(
                f"model {model.name!r} has {count} {side}; a pipeline sends one tensor from tier to tier, "
                "so only models with one input and one output can be partitioned."
            )
    shape = function.inputs[0].shape[1:]
    if None in shape:
        raise PartitionError(
            f"model {model.name!r}: the size of its input is open ({shape}), so the bytes that a cut sends are "
            "unknown. Give its keras.Input a full shape."
        )
    return function


def _open(operation: Any) -> Any:
    """Return the graph of calls inside a functional or Sequential model, None for what cannot be looked into."""
    if not isinstance(operation, keras.Sequential | keras.Function) or not hasattr(operation, "layers"):
        return None
    if not type(operation).call.__module__.startswith("keras."):
        return None  # a class of the user's that does something else than its graph says
    return operation._functional if isinstance(operation, keras.Sequential) else operation  # noqa: SLF001 - no public way


def _why_closed(model: Any) -> str:
    name, kind = getattr(model, "name", model), type(model).__name__
    if not isinstance(model, keras.Sequential | keras.Function):
        return (
            f"model {name!r} ({kind}) is neither a functional nor a Sequential Keras model, so its layers' "
            "connections cannot be read. Rebuild it with keras.Model(inputs, outputs)."
        )
    if type(model).call.__module__.startswith("keras."):
        return f"model {name!r} has no inputs yet; start it with keras.Input(shape)."
    return (
        f"model {name!r} ({kind}) has a call() of its own, so its layers' connections cannot be read. Rebuild it "
        "with keras.Model(inputs, outputs)."
    )


def run_calls(function: Any, inputs: Sequence[Any], visit: Visit, prefix: str = "") -> list[Any]:
    """Run a graph of calls in Keras's order, as in inference, and return its outputs, flat.

    A functional or Sequential model that is called as a layer is opened up: its calls are visited in its place.
    Masks go along as Keras sends them, on the tensors.
    """
    made = dict(zip(map(id, function.inputs), inputs, strict=True))
    for call in _ordered_calls(function):
        arguments, options = call.arguments.fill_in(made)
        inner, path = _open(call.operation), f"{prefix}{call.operation.name}"
        if inner is None:
            if getattr(call.operation, "_call_has_training_arg", False):
                options["training"] = False  # whatever was said when the model was made: so does model.predict
            outputs = visit(path, call.operation, *arguments, **options)
        else:
            given = _enter(call.operation, inner, arguments, options)
            outputs = run_calls(inner, given, visit, f"{path}/")
            _hand_on_masks(call.operation, given, outputs)
        made.update(zip(map(id, call.output_tensors), outputs, strict=True))
    return [made[id(tensor)] for tensor in function.outputs]


def _ordered_calls(function: Any) -> list[Any]:
    """Return the calls (Keras's ``Node``) but those of input layers, in the order that layer numbers follow."""
    place = {id(operation): position for position, operation in enumerate(function.operations)}
    by_depth = function._nodes_by_depth  # noqa: SLF001 - no public way
    ordered = []
    for depth in sorted(by_depth, reverse=True):
        ordered += sorted(by_depth[depth], key=lambda call: place[id(call.operation)])
    return [call for call in ordered if not call.is_input]


def _enter(model: Any, function: Any, arguments: Sequence[Any], options: dict[str, Any]) -> list[Any]:
    """Return the tensors that go into a model called as a layer, as its own call would make them."""
    given = inspect.signature(model.call).bind(*arguments, **options).arguments
    as_they_are = {id(tensor) for tensor in keras.tree.flatten(given["inputs"])}
    standardized = function._standardize_inputs(given["inputs"])  # noqa: SLF001 - casts them, adds or drops axes
    entering = [tensor if id(tensor) in as_they_are else keep(tensor) for tensor in standardized]
    for tensor, mask in zip(entering, keras.tree.flatten(given.get("mask")), strict=False):
        if mask is not None:
            tensor._keras_mask = mask  # noqa: SLF001 - where Keras looks for it
    return entering


def _hand_on_masks(model: Any, given: Sequence[Any], outputs: Sequence[Any]) -> None:
    """Give outputs that have no mask those that the model, called as a layer, would give them."""
    if model.supports_masking:
        inputs = given[0] if len(given) == 1 else given
        masks = keras.tree.map_structure(lambda tensor: getattr(tensor, "_keras_mask", None), inputs)
        model._set_mask_metadata(inputs, outputs, masks)  # noqa: SLF001


def keep(tensor: Any, name: str | None = None) -> Any:
    """Return the tensor, with its mask, as a node of its own in the graph that is being traced."""
    kept, mask = tf.identity(tensor, name), getattr(tensor, "_keras_mask", None)
    if mask is not None:
        kept._keras_mask = mask  # noqa: SLF001
    return kept
