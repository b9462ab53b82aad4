"""Small stored models whose files are those of their digest, as `workers.store` leaves them."""

import hashlib

import msgspec

from workers.partition import PartitionPoint
from workers.partition_models import parse_source
from workers.store import GRAPH, META, SCHEMA_VERSION, WEIGHTS, StoredModel, compute_digest, make_request


def points_of(**output_bytes):
    """Return points by the names of their layers, which stand one after another."""
    return tuple(
        PartitionPoint(index, name, str(index), (1,), size, 0, 0, 0, 0)
        for index, (name, size) in enumerate(output_bytes.items(), start=1)
    )


def write_stored(store, points=()):
    """Put a model with these points into a store, and return its folder."""
    graph, weights = b"a graph", b"\1\2\3\4"
    meta = StoredModel(
        schema_version=SCHEMA_VERSION,
        digest="",
        model="own",
        weights="own",
        seed=None,
        keras="3",
        preprocess="identity",
        input_shape=(8, 8, 3),
        input_dtype="uint8",
        classes=3,
        weights_bytes=len(weights),
        points=points,
        layers=(),
        variables=(),
    )
    digest = compute_digest(meta, *(hashlib.sha256(data).hexdigest() for data in (graph, weights)))
    folder = store / digest
    folder.mkdir(parents=True)
    (folder / GRAPH).write_bytes(graph)
    (folder / WEIGHTS).write_bytes(weights)
    (folder / META).write_bytes(msgspec.json.encode(msgspec.structs.replace(meta, digest=digest)))
    return folder


def store_as(store, name, points, seed=1):
    """Put a model into a store as if it were one of keras.applications with random weights; return its folder."""
    folder = write_stored(store, points)
    index = store / "requests" / make_request(parse_source(name), "random", seed).key
    index.parent.mkdir(exist_ok=True)
    index.write_text(folder.name)
    return folder
