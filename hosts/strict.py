"""Strict decoding of config data into msgspec structs: every problem at once, each with the path of its key."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec
import yaml

from hosts.errors import ConfigError
from hosts.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator
    from pathlib import Path

T = TypeVar("T")
_SHOWN_CHARACTERS = 40
_PLAIN_WORDS = {"`object`": "a mapping", "`array`": "a list", "`null`": "nothing", " | null`": "`"}


def decode(data: object, kind: type[T], where: str) -> T:
    """Turn plain data (as YAML or JSON give it) into a struct, refusing unknown keys and wrong types.

    Args:
        data: dicts, lists and scalars.
        kind: the msgspec struct wanted.
        where: names the source in messages, for example the file.

    Raises:
        ConfigError: a line ``where: path.of.key: problem`` for every problem found.
    """
    found = list(problems(data, kind))
    if found:
        raise ConfigError("\n".join(f"{where}: {problem}" for problem in found))
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:  # a rule across fields, in a struct's __post_init__
        raise ConfigError(f"{where}: {_located('', error)}") from error


def read_yaml(path: Path, what: str) -> object:
    """Read a YAML file; `what` names its role in messages (``inventory``).

    Raises:
        ConfigError: it is missing, unreadable, no YAML (with line and column) or has a key twice.
    """
    try:
        return yaml.load(path.read_text(encoding="utf-8"), _UniqueKeyLoader)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}. Give the path of the {what} file") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text ({error.reason} at byte {error.start})") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise ConfigError(f"{path}{place}: not valid YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error


def problems(data: object, kind: Any, path: str = "") -> Iterator[str]:
    """Yield what is wrong with `data` as a `kind`, each ``path: problem``. Pure."""
    kind = _member_for(data, kind)
    if isinstance(data, dict) and _is_struct(kind):
        yield from _struct_problems(data, kind, path)
    elif isinstance(data, dict) and get_origin(kind) is dict:
        key_kind, value_kind = get_args(kind)
        for key, value in data.items():
            yield from _leaf_problems(key, key_kind, f"{_join(path, key)} (the key)")
            yield from problems(value, value_kind, _join(path, key))
    elif isinstance(data, list) and (items := _item_kinds(kind, len(data))) is not None:
        for index, (value, item_kind) in enumerate(zip(data, items, strict=True)):
            yield from problems(value, item_kind, f"{path}[{index}]")
    else:
        yield from _leaf_problems(data, kind, path)


def _struct_problems(data: dict[object, object], kind: type[msgspec.Struct], path: str) -> Iterator[str]:
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    for key, value in data.items():
        if key in fields:
            yield from problems(value, fields[str(key)].type, _join(path, key))
        else:
            yield f"{_join(path, key)}: unknown key{did_you_mean(str(key), fields)}"
    for name, field in fields.items():
        if field.required and name not in data:
            yield f"{_join(path, name)}: is missing"


def _leaf_problems(data: object, kind: Any, path: str) -> Iterator[str]:
    try:
        msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        choices = _choices(kind)
        if choices and isinstance(data, str):
            yield f"{path}: cannot be {data!r}{did_you_mean(data, choices)}"
        else:
            yield f"{_located(path, error)}, found {_shown(data)}"


def _choices(kind: Any) -> list[str]:
    """Return the words that a Literal, or a union with one, allows."""
    if get_origin(kind) is Literal:
        return [choice for choice in get_args(kind) if isinstance(choice, str)]
    if get_origin(kind) in (Union, types.UnionType):
        return [choice for member in get_args(kind) for choice in _choices(member)]
    return []


def _member_for(data: object, kind: Any) -> Any:
    """Return the member of a union that could hold nested `data`; other types, and leaves, as they are."""
    if get_origin(kind) not in (Union, types.UnionType):
        return kind
    for member in get_args(kind):
        if isinstance(data, dict) and (_is_struct(member) or get_origin(member) is dict):
            return member
        if isinstance(data, list) and get_origin(member) in (list, tuple):
            return member
    return kind


def _item_kinds(kind: Any, length: int) -> tuple[Any, ...] | None:
    """Return the type of each item of a list; None where the length is wrong or `kind` holds no list."""
    arguments = get_args(kind)
    if get_origin(kind) is list or (get_origin(kind) is tuple and arguments[-1] is Ellipsis):
        return (arguments[0],) * length
    if get_origin(kind) is tuple and len(arguments) == length:
        return arguments
    return None


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _join(path: str, key: object) -> str:
    return f"{path}.{key}" if path else str(key)


def _located(path: str, error: msgspec.ValidationError) -> str:
    """Return msgspec's message with the path in front: ``Expected `int` - at `$.a``` is ``a: expected `int```."""
    text, _, inner = str(error).partition(" - at `")
    inner = inner.removesuffix("`").removeprefix("key in ").removeprefix("$")
    place = f"{path}{inner}".lstrip(".")
    for word, plain in _PLAIN_WORDS.items():
        text = text.replace(word, plain)
    message = text[:1].lower() + text[1:]
    return f"{place}: {message}" if place else message


def _shown(data: object) -> str:
    if data is None:
        return "nothing"
    text = repr(data)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


class _UniqueKeyLoader(yaml.SafeLoader):
    """A SafeLoader that refuses a key given twice, of which PyYAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        mapping: dict[Hashable, Any] = {}
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            try:
                repeated = key in mapping
            except TypeError:
                break  # an unhashable key: PyYAML's own message says so
            if repeated:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key `{key}` is given twice", key_node.start_mark
                )
            mapping[key] = None
        return super().construct_mapping(node, deep=deep)
