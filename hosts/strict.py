"""Strict decoding of config data into msgspec structs: every problem at once, each with the path of its key."""

from __future__ import annotations

import reprlib
import types
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec
import yaml

from hosts.errors import ConfigError
from hosts.suggest import did_you_mean, nearest

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator
    from pathlib import Path

T = TypeVar("T")
_SHOWN_CHARACTERS = 40
_SHOWN_KEYS = 5
_PLAIN_WORDS = {"`object`": "a mapping", "`array`": "a list", "`null`": "nothing", " | null`": "`"}
_BRIEF = reprlib.Repr()  # aliases make a few lines of YAML a structure of billions of items
_BRIEF.maxlevel, _BRIEF.maxlist, _BRIEF.maxdict, _BRIEF.maxstring, _BRIEF.maxlong = 3, 8, 8, 80, 80
_DEEPEST = 30  # no config or inventory comes near; PyYAML's own recursion ends at a few hundred
_LONGEST_PLAIN = 20  # digits of a number written out


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
        raise ConfigError(
            f"{path}: is not UTF-8 text ({error.reason} at byte {error.start}). Save the {what} as UTF-8, or give "
            "the path of another file"
        ) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise ConfigError(f"{path}{place}: not valid YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error


def problems(data: object, kind: Any, path: str = "") -> Iterator[str]:
    """Yield what is wrong with `data` as a `kind`, each ``path: problem``. Pure."""
    if data is None and not _takes_nothing(kind):
        yield _located_words(path, f"holds nothing; write {_wanted(kind)}")
        return
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
    strange = []
    for key, value in data.items():
        field = fields.get(key) if isinstance(key, str) else None
        if field is None and nearest(str(key), fields) is None:
            strange.append(_join(path, key))
        elif field is None:
            yield f"{_join(path, key)}: unknown key{did_you_mean(str(key), fields)}"
        elif value is None and not field.required and not _takes_nothing(field.type):
            yield f"{_join(path, key)}: holds nothing; write {_wanted(field.type)}, or leave the key out"
        else:
            yield from problems(value, field.type, _join(path, key))
    if strange:
        more = f" and {len(strange) - _SHOWN_KEYS} more" if len(strange) > _SHOWN_KEYS else ""
        keys = "unknown key" if len(strange) == 1 else "unknown keys"
        yield f"{', '.join(islice(strange, _SHOWN_KEYS))}{more}: {keys}; known: {', '.join(fields)}"
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
        elif choices:
            yield f"{path}: expected {_wanted(kind)}, found {_shown(data)}"
        else:
            yield f"{_located(path, error)}, found {_shown(data)}{_as_number(data, kind)}"


def _wanted(kind: Any) -> str:
    """Return in words what may stand for a `kind`: ``paper, optimal or a mapping``."""
    *others, last = _forms(kind)
    return f"{', '.join(others)} or {last}" if others else last


def _forms(kind: Any) -> list[str]:
    if get_origin(kind) in (Union, types.UnionType):
        return [form for member in get_args(kind) if member is not types.NoneType for form in _forms(member)]
    if get_origin(kind) is Literal:
        return [str(choice) for choice in get_args(kind)]
    if _is_struct(kind):
        needed = [f"`{field.encode_name}`" for field in msgspec.structs.fields(kind) if field.required]
        return [f"a mapping with {', '.join(needed)}" if needed else "a mapping"]
    forms = {dict: "a mapping", list: "a list", tuple: "a list", bool: "true or false", str: "text"}
    return [forms.get(get_origin(kind) or kind, "a number")]


def _takes_nothing(kind: Any) -> bool:
    return kind in (types.NoneType, Any) or types.NoneType in get_args(kind)


def _as_number(data: object, kind: Any) -> str:
    """Return how to write a number that YAML 1.1 takes for text: ``1e9`` lacks a dot and a sign, ``"5"`` has quotes."""
    members = get_args(kind) or (kind,)
    if not isinstance(data, str) or not {int, float} & set(members):
        return ""
    try:
        value = Decimal(data)
    except ArithmeticError:
        return ""
    if not value.is_finite() or (float not in members and value != int(value)):
        return ""
    exponent = value.adjusted() if value else 0
    plain = f"{value:f}" if abs(exponent) < _LONGEST_PLAIN else ""
    mantissa = f"{value.scaleb(-exponent).normalize():f}"
    powers = f"{mantissa}{'' if '.' in mantissa else '.0'}e{exponent:+d}"
    ways = [powers, plain] if "e" in data.casefold() and float in members else [plain]
    return f", which YAML takes for text; write {' or '.join(filter(None, ways))}" if any(ways) else ""


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
    return _located_words(place, text[:1].lower() + text[1:])


def _located_words(place: str, message: str) -> str:
    return f"{place}: {message}" if place else message


def _shown(data: object) -> str:
    if data is None:
        return "nothing"
    text = _BRIEF.repr(data)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


class _UniqueKeyLoader(yaml.SafeLoader):
    """A SafeLoader that refuses endless nesting, and a key given twice, of which PyYAML would keep the last."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self._depth == _DEEPEST:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, f"nested more than {_DEEPEST} levels deep", mark)
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

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
