"""The section on provenance: hosts, versions, choices, clocks and the blocks of raw logs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from report import text
from report.view.grid import Cell, Column, Grid, Group, group_by_first, numeric

if TYPE_CHECKING:
    from collections.abc import Iterable

    from report.load import Block, Results

_ROLES = ("device", "edge", "cloud")
_BRIEF = frozenset(
    (
        "cpu_model",
        "cpus",
        "memory_limit_mb",
        "memory_mb",
        "free_page_reporting",
        "kernel",
        "distribution",
        "governor",
        "clock_source",
        "cgroup",
        "netem",
        "engines",
        "python",
        "packages",
    )
)


def hosts_grid(blocks: Iterable[Block], *, brief: bool) -> Grid:
    """Return the facts of the hosts, a column each; where blocks differ all values are named.

    Args:
        blocks: whose hosts.
        brief: only what bears on the measurements.
    """
    facts: dict[str, dict[str, list[str]]] = {}
    roles: list[str] = []
    for block in blocks:
        for role, of_host in block.record.hosts.items():
            if role not in roles:
                roles.append(role)
            for name, value in _flat(of_host):
                _add(facts.setdefault(name, {}).setdefault(role, []), value)
    roles.sort(key=lambda role: _ROLES.index(role) if role in _ROLES else len(_ROLES))
    rows = [
        [
            Cell(_words(name).replace(" mb", " MiB")),
            *(Cell(" / ".join(by_role.get(role, [text.NONE]))) for role in roles),
        ]
        for name, by_role in facts.items()
        if name in _BRIEF or not brief
    ]
    name, caption = ("table-hosts", "The hosts") if brief else ("table-facts", "All facts of the hosts")
    return Grid(name, caption, [Column("Fact"), *map(Column, roles)], [Group("", rows)])


def choices_grid(blocks: Iterable[Block]) -> Grid:
    """Return what is in use where there is a choice."""
    rows = _distinct(block.record.choices for block in blocks)
    return Grid("table-choices", "What was in use", [Column("Choice"), Column("In use")], [Group("", rows)])


def models_grid(blocks: Iterable[Block]) -> Grid:
    """Return the facts of the models."""
    by_model: dict[str, list[dict[str, Any]]] = {}
    for block in blocks:
        by_model.setdefault(block.record.model, []).append(_model_facts(block))
    groups = [Group(model, _distinct(facts)) for model, facts in by_model.items()]
    return Grid("table-models", "The models that ran", [Column("Fact"), Column("Value")], groups)


def blocks_grid(results: Results) -> Grid:
    """Return every block of raw logs with the code and config that made it."""
    return Grid(
        "table-blocks",
        "Blocks of raw logs below the results folder; each holds run.json, the logs of frames, events and memory, "
        "and what the agents printed",
        [
            Column("Raw logs"),
            numeric("Runs"),
            Column("Commit"),
            Column("Config"),
            Column("Started (UTC)"),
            numeric("Took"),
        ],
        group_by_first([(block.record.model, _block_row(block)) for block in results.blocks]),
    )


def _block_row(block: Block) -> list[Cell]:
    record = block.record
    return [
        Cell(block.source),
        Cell(f"{sum(run.run > 0 for run in record.runs)}"),
        Cell(f"{record.commit[:10]}{' + changes' if record.dirty else ''}"),
        Cell(record.config_hash[:12]),
        Cell(text.moment(record.started_utc)),
        Cell(text.duration(record.duration_s * 1000)),
    ]


def _model_facts(block: Block) -> dict[str, Any]:
    """Return the facts of a block's model, of its partition points only those that were served at."""
    facts = dict(block.record.model_facts)
    points = facts.pop("points", None)
    layers = facts.pop("layers", None)  # they have a table of their own
    if isinstance(layers, list):
        facts["layers"] = len(layers)
    if not isinstance(points, list):
        return facts
    used = {point for run in block.record.runs for point in (run.from_point, run.to_point)}
    named = [
        f"{point['index']} {point['name']}"
        for point in points
        if isinstance(point, dict) and point.get("index") in used
    ]
    return facts | {"partition_points": text.plural(len(points), "point"), "points_used": ", ".join(named)}


def _distinct(mappings: Iterable[dict[str, Any]]) -> list[list[Cell]]:
    found: dict[str, list[str]] = {}
    for mapping in mappings:
        for name, value in _flat(mapping):
            _add(found.setdefault(name, []), value)
    return [[Cell(_words(name)), Cell(" / ".join(values))] for name, values in found.items()]


def _flat(mapping: dict[str, Any]) -> list[tuple[str, str]]:
    return [(name, _shown(value)) for name, value in mapping.items()]


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None or value == []:
        return text.NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_shown(item)}" for name, item in value.items()) or text.NONE
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    return json.dumps(value, sort_keys=True, default=str)


def _add(values: list[str], value: str) -> None:
    if value not in values:
        values.append(value)


def _words(name: str) -> str:
    return name.replace("_", " ")
