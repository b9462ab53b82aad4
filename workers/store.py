"""The content-addressed store of models: what the hosts load, made once and never changed.

``python -m workers.store MODEL --weights random|imagenet|PATH --seed N --store DIR`` makes ``DIR/<digest>/``:

- ``graph.pb``     the TensorFlow graph from frame to logits; its nodes have the names that `FRAME`,
                   `layer_scope`, `point_node` and `weight_node` give
- ``weights.bin``  the variables' raw bytes, each at a multiple of 64, so that TensorFlow can use the
                   memory that the file is read into as it stands
- ``meta.json``    a `StoredModel`
- ``conversion.json``  a `Conversion`: what making it took; not part of the digest

``DIR/requests/`` remembers which request gave which digest, so that the same request again is answered
without TensorFlow. Folders appear under their name by a rename: one that is there is complete.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib.metadata
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from workers.errors import PartitionError
from workers.partition import Layer, PartitionPoint, resolve
from workers.partition_models import Application, Factory, ModelFile, ModelSource, Preprocess, parse_source

if TYPE_CHECKING:
    from collections.abc import Sequence

SCHEMA_VERSION = 3
GRAPH, WEIGHTS, META = "graph.pb", "weights.bin", "meta.json"
CONVERSION = "conversion.json"
FRAME = "frame"
ALIGNMENT_BYTES = 64
_MAX_SEED = 2**32 - 1  # Keras's own limit


def layer_scope(index: int) -> str:
    """Return the name scope in which all of the graph's nodes of a layer (`workers.partition.Layer`) lie."""
    return f"layer_{index}/"


def point_node(index: int) -> str:
    """Return the name of the graph's node that holds the tensor at a partition point."""
    return f"{layer_scope(index)}point"


def weight_node(number: int) -> str:
    """Return the name of the graph's node that stands for the variable of this number."""
    return f"weight_{number}"


class StoredVariable(msgspec.Struct, frozen=True):
    """Where a variable's bytes lie in ``weights.bin``."""

    path: str
    shape: tuple[int, ...]
    dtype: str
    offset: int


class StoredModel(msgspec.Struct, frozen=True):
    """Contents of ``meta.json``.

    `weights` is ``random``, ``imagenet``, ``own`` (of a ``.keras`` file or a factory) or ``sha256:...`` of
    the file they came from; `seed` is None where nothing was drawn. `input_shape` is (height, width,
    channels) of the frames, of type `input_dtype`; `classes` the length of the result.
    """

    schema_version: int
    digest: str
    model: str
    weights: str
    seed: int | None
    keras: str
    preprocess: Preprocess
    input_shape: tuple[int, ...]
    input_dtype: str
    classes: int
    weights_bytes: int
    points: tuple[PartitionPoint, ...]
    layers: tuple[Layer, ...]
    variables: tuple[StoredVariable, ...]

    @staticmethod
    def read(folder: Path) -> StoredModel:
        """Read the description of a stored model.

        Raises:
            PartitionError: no stored model, or one of another version.
        """
        try:
            raw = (folder / META).read_bytes()
            version = msgspec.json.decode(raw, type=_Version).schema_version
            if version != SCHEMA_VERSION:
                raise PartitionError(
                    f"stored model {folder} has version {version}, this program reads {SCHEMA_VERSION}; "
                    "remove the folder and make it again with: python -m workers.store"
                )
            return msgspec.json.decode(raw, type=StoredModel)
        except OSError as error:
            raise PartitionError(
                f"{folder} holds no stored model ({error}); make it with: python -m workers.store"
            ) from error
        except msgspec.DecodeError as error:
            raise PartitionError(
                f"stored model {folder} is damaged: {META}: {error}. "
                "Remove the folder; the next run makes or copies it again"
            ) from error


class _Version(msgspec.Struct):
    schema_version: int


class Request(msgspec.Struct, frozen=True):
    """What was asked for, with files by their contents: equal requests give the same stored model."""

    model: str
    weights: str
    seed: int | None
    keras: str
    schema_version: int = SCHEMA_VERSION

    @property
    def key(self) -> str:
        """Name of the request's file in the index."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()


class Conversion(msgspec.Struct, frozen=True):
    """Contents of ``conversion.json``: from the request to the three files (s), TensorFlow's import included."""

    conversion_s: float


class Stored(msgspec.Struct, frozen=True):
    """What the command prints. `reused`: the model was there already.

    `conversion_s` is what making it took when it was made (s), None where that was not noted.
    """

    digest: str
    path: str
    reused: bool
    conversion_s: float | None = None


def make_request(source: ModelSource, weights: str, seed: int) -> Request:
    """Return the request for `source` with `weights` (``random``, ``imagenet`` or a file's path).

    A ``.keras`` file or a factory brings its own weights unless a file is given; a factory runs under `seed`.

    Raises:
        PartitionError: the weights' file does not exist, or imagenet weights of something that has none.
    """
    model = f"sha256:{hash_file(source.path)}" if isinstance(source, ModelFile) else source.model_id
    drawn = seed
    if weights not in {"random", "imagenet"}:
        if not Path(weights).is_file():
            raise PartitionError(
                f"weights {weights!r}: there is no such file. Give random, imagenet, or the path of a "
                ".keras, .weights.h5 or .h5 file."
            )
        return Request(model, f"sha256:{hash_file(Path(weights))}", None, _keras_version())
    if isinstance(source, Application):
        return Request(model, weights, drawn if weights == "random" else None, _keras_version())
    if weights == "imagenet":
        raise PartitionError(
            f"model {source.model_id} has no imagenet weights; only models of keras.applications have. "
            "Leave --weights out for its own, or give a file."
        )
    return Request(model, "own", drawn if isinstance(source, Factory) else None, _keras_version())


def _keras_version() -> str:
    try:
        return importlib.metadata.version("keras")  # without the seconds that its import takes
    except importlib.metadata.PackageNotFoundError as error:
        raise PartitionError("TensorFlow is not installed here. Install it with: hosts/setup.sh --role edge") from error


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def find_stored(store: Path, request: Request) -> Path | None:
    """Return the folder of the model that this request gave before, None where it has to be made."""
    try:
        digest = (store / "requests" / request.key).read_text()
    except OSError:
        return None
    folder = store / digest
    return folder if (folder / META).is_file() else None


def put(text: str, weights: str, seed: int, store: Path) -> Stored:
    """Return the stored model that `text` names, made where it is not there.

    Raises:
        PartitionError: a model or weights that cannot be used, or a store that cannot be made.
    """
    source = parse_source(text)
    request = make_request(source, weights, seed)
    # A factory is code that may have changed since; only its result can tell.
    folder = None if isinstance(source, Factory) else find_stored(store, request)
    if folder is not None:
        return Stored(folder.name, str(folder), reused=True, conversion_s=_read_conversion_s(folder))
    scratch = _make_scratch(store)
    try:
        began = time.monotonic()
        from workers.store_making import make_model  # noqa: PLC0415 - imports TensorFlow

        digest = make_model(source, request, weights, scratch)
        took = Conversion(round(time.monotonic() - began, 3))
        (scratch / CONVERSION).write_bytes(msgspec.json.encode(took))
        scratch.chmod(0o755)  # a container's user reads it too
        reused = _publish(scratch, store / digest)
        index = scratch.with_suffix(".request")
        index.write_text(digest)
        index.replace(store / "requests" / request.key)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    folder = store / digest
    return Stored(digest, str(folder), reused=reused, conversion_s=_read_conversion_s(folder))


def _read_conversion_s(folder: Path) -> float | None:
    """Return what making a stored model took (s); None of one that was made before that was noted."""
    try:
        return msgspec.json.decode((folder / CONVERSION).read_bytes(), type=Conversion).conversion_s
    except (OSError, msgspec.DecodeError):
        return None


def _make_scratch(store: Path) -> Path:
    try:
        (store / "requests").mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=".making-", dir=store))
    except OSError as error:
        raise PartitionError(
            f"store {store} cannot be made or written to: {error.strerror}. Give a folder that can: --store DIR"
        ) from error


def _publish(scratch: Path, folder: Path) -> bool:
    """Rename `scratch` to `folder`; True where the same content is there already."""
    try:
        scratch.rename(folder)
    except OSError as error:
        if not (folder / META).is_file():
            raise PartitionError(
                f"{folder} is in the way of the model that belongs there: it holds no {META} ({error.strerror}). "
                "Remove the folder and run again"
            ) from error
        return True
    return False


def check_stored(folder: Path, remedy: str) -> None:
    """Compare a stored model with its digest, byte by byte (a second for VGG-19).

    Raises:
        PartitionError: it differs, for example after an interrupted copy; ends with `remedy`.
        OSError: a file is missing or cannot be read.
    """
    meta = StoredModel.read(folder)
    found = compute_digest(meta, hash_file(folder / GRAPH), hash_file(folder / WEIGHTS))
    if found != meta.digest:
        raise PartitionError(
            f"stored model {folder} is damaged: its contents give {found[:12]}, not {meta.digest[:12]}. {remedy}"
        )


def compute_digest(meta: StoredModel, graph_sha256: str, weights_sha256: str) -> str:
    """Return the digest of a stored model: of its description but the digest, and of its two files."""
    described = msgspec.json.encode(msgspec.structs.replace(meta, digest=""))
    parts = (hashlib.sha256(described).hexdigest(), graph_sha256, weights_sha256)
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()


def _parse_seed(text: str) -> int:
    if not (text.isdecimal() and int(text) <= _MAX_SEED):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to {_MAX_SEED}")
    return int(text)


def main(argv: Sequence[str] | None = None) -> int:
    """Make a stored model, or find it, and print its digest and path as one line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m workers.store", description=main.__doc__)
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="a name of keras.applications in lower case, a .keras file, or package.module:factory",
    )
    parser.add_argument("--weights", default="random", help="random (seeded; the default), imagenet, or a weights file")
    parser.add_argument("--seed", type=_parse_seed, default=0, help="of random weights (default 0)")
    parser.add_argument("--store", type=Path, required=True, help="the store's folder")
    parser.add_argument(
        "--cut", action="append", default=[], metavar="POINT", help="a partition point that the model must have"
    )
    arguments = parser.parse_args(argv)
    try:
        # Keras reports its downloads on stdout, which is for the result.
        with contextlib.redirect_stdout(sys.stderr):
            stored = put(arguments.model, arguments.weights, arguments.seed, arguments.store.absolute())
        points = StoredModel.read(Path(stored.path)).points
        for cut in arguments.cut:
            resolve(points, cut)
    except PartitionError as error:
        print(f"workers.store: {error}", file=sys.stderr)
        return 2
    print(msgspec.json.encode(stored).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
