"""The section on downtime: table, parts, and where our figures differ from the paper's."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from report import text
from report.cells import MEASURED, cell_summaries
from report.claims.reasons import longest_parts
from report.metrics.statistics import median_interval
from report.preparation import ANCHOR, BELOW_MS
from report.reference import paper
from report.scope import described
from report.summaries import downtime_summaries, good, models_of, moved, of, part_summaries, strategies_of
from report.view.conditions import NAMES
from report.view.grid import Cell, Column, Grid, group_by_first, numeric

if TYPE_CHECKING:
    import pandas as pd

    from report.asked import AskedGrid
    from report.cells import CellSummary
    from report.metrics.statistics import Interval
    from report.noise import MachineSpread
    from report.preparation import Prepared
    from report.reference import PaperDowntime
    from report.summaries import DowntimeSummary, PartSummary
    from report.tables import Tables

_NAMES = {
    "t_update_ms": "t_update",
    "t_initialisation_ms": "t_initialisation",
    "t_exec_ms": "t_exec",
    "t_switch_ms": "t_switch",
}
_ANOTHER = "if nothing but the machine differs"
SIMILAR = 1.25  # up to this factor we do not speak of a difference


def downtime_grid(tables: Tables) -> Grid:
    """Return the table of downtimes by model, strategy and direction, at the reference condition."""
    prepared = {(one.model, one.strategy): one for one in tables.preparations}
    return Grid(
        "table-downtime",
        "Downtime by strategy and direction, median with 95 % interval over all runs that are ok "
        f"at {described(tables.references)}; frame rates pooled",
        [
            Column("Strategy"),
            Column("Change", "Mbit/s"),
            numeric("Downtime", "median [95 %]"),
            numeric("In another session", _ANOTHER),
            numeric("Paper"),
            numeric("Ratio", "ours / paper"),
            numeric("n", "runs"),
            numeric("Outage", "no frame accepted"),
            numeric("Degraded", "old partition serves"),
            numeric("Service gap", "at the device"),
            Column("Consists of", "medians"),
        ],
        group_by_first(
            [
                (row.model, _row(row, tables.machine, prepared.get((row.model, row.strategy))))
                for row in downtime_summaries(tables.at_reference(tables.downtime))
            ]
        ),
    )


def cells_grid(tables: Tables, asked: AskedGrid | None) -> Grid:
    """Return the downtime of every cell of CPU and memory availability, or why it has none."""
    return Grid(
        "table-cells",
        "Downtime by cell of CPU and memory availability; frame rates pooled",
        [
            Column("Strategy"),
            Column("Change", "Mbit/s"),
            numeric("CPU"),
            numeric("Memory"),
            numeric("Downtime", "median [95 %]"),
            numeric("In another session", _ANOTHER),
            numeric("n", "runs"),
            numeric("Not ok", "runs"),
        ],
        group_by_first(
            [(found.model, _cell_row(found, tables.machine)) for found in cell_summaries(tables.downtime, asked)]
        ),
    )


def parts_grid(tables: Tables) -> Grid:
    """Return the table of what each tier spent its time on, at the reference condition."""
    return Grid(
        "table-parts",
        "Parts of the work before the new partition serves, median over both directions. "
        "Edge and cloud work at the same time.",
        [Column("Strategy"), Column("Tier"), Column("Part"), numeric("Time", "median [95 %]"), numeric("n")],
        group_by_first([(part.model, _part_row(part)) for part in part_summaries(tables.at_reference(tables.parts))]),
    )


def differences(tables: Tables) -> list[str]:
    """Say where our downtime differs from the paper's at the reference condition, and what it consists of."""
    runs = moved(tables.at_reference(tables.downtime))
    conditions = tables.at_reference(tables.conditions)
    sentences = []
    for model in models_of(runs):
        for strategy in strategies_of(runs[runs["model"] == model]):
            reference = paper().downtime.get(strategy)
            ours_ms = median_interval(of(runs, model, strategy)["downtime_ms"]).median
            if reference is None or not _differs(ours_ms, reference):
                continue
            times = text.digits(ours_ms / reference.ms, 2)
            said = (
                f"{model}, {strategy}: {text.duration(ours_ms)}, {times} times the paper's {reference.shown}.",
                longest_parts(tables, model, strategy),
                _under(of(conditions, model, strategy)),
            )
            sentences.append(" ".join(filter(None, said)))
    return sentences


def _row(row: DowntimeSummary, machine: MachineSpread | None, prepared: Prepared | None) -> list[Cell]:
    reference = paper().downtime.get(row.strategy)
    ratio = row.downtime.median / reference.ms if reference else None
    consists = [f"{_NAMES[name]} {text.duration(part.median)}" for name, part in row.components.items()]
    return [
        Cell(row.strategy, swatch=row.strategy),
        Cell(f"{row.from_mbps:g} → {row.to_mbps:g}"),
        Cell(text.durations(row.downtime), note=_reservation(row), see=_see(row.downtime, prepared)),
        Cell(_elsewhere(row.downtime, machine)),
        Cell(reference.shown, note=reference.where) if reference else Cell(text.NONE),
        Cell(f"{text.digits(ratio, 2)}{text.TIMES}" if ratio is not None else text.NONE),
        Cell(f"{row.downtime.n}"),
        Cell(text.duration(row.outage.median)),
        Cell(text.duration(row.degraded.median)),
        Cell(f"{'≥ ' if row.gap_is_lower_bound else ''}{text.duration(row.service_gap.median)}", note=_gap_note(row)),
        Cell(", ".join(consists[:1]), note=", ".join(consists[1:])),
    ]


def _cell_row(found: CellSummary, machine: MachineSpread | None) -> list[Cell]:
    has_number = found.state == MEASURED
    return [
        Cell(found.strategy, swatch=found.strategy),
        Cell(f"{found.from_mbps:g} → {found.to_mbps:g}"),
        Cell(f"{found.cell.cpu_pct:g} %"),
        Cell(f"{found.cell.mem_pct:g} %"),
        Cell(text.durations(found.downtime)) if has_number else Cell(found.state, tone="quiet"),
        Cell(_elsewhere(found.downtime, machine) if has_number else ""),
        Cell(f"{found.downtime.n}"),
        Cell(f"{found.left_out}", tone="" if found.left_out else "quiet"),
    ]


def _elsewhere(interval: Interval, machine: MachineSpread | None) -> str:
    if machine is None or math.isnan(interval.low):
        return text.NONE
    low, high = machine.another_session(interval)
    return f"{text.duration(low)} to {text.duration(high)}"


def _gap_note(row: DowntimeSummary) -> str:
    if not row.service_gap.n:
        return "too few answers" if row.clocks_compared else "clocks not compared"
    fewer = f", n = {row.service_gap.n}" if row.service_gap.n < row.downtime.n else ""
    bounds = f", lower bounds: {row.unserved}" if row.unserved else ""
    return f"± {text.duration(row.gap_resolution_ms)}{fewer}{bounds}"


def _reservation(row: DowntimeSummary) -> str:
    if row.downtime.n == 1:
        return "one run, no interval"
    return f"range, covers {row.downtime.coverage:.0%}" if row.downtime.is_short else ""


def _see(downtime: Interval, prepared: Prepared | None) -> tuple[str, str] | None:
    """Lead from a downtime below a millisecond to what it is bought with."""
    return (ANCHOR, prepared.in_short) if prepared and downtime.median < BELOW_MS else None


def _part_row(part: PartSummary) -> list[Cell]:
    return [
        Cell(part.strategy, swatch=part.strategy),
        Cell(part.tier),
        Cell(part.part.replace("_", " ")),
        Cell(text.durations(part.took)),
        Cell(f"{part.took.n}"),
    ]


def _differs(ours_ms: float, reference: PaperDowntime) -> bool:
    if reference.relation == "below":
        return ours_ms > reference.ms
    return not 1 / SIMILAR <= ours_ms / reference.ms <= SIMILAR


def _under(conditions: pd.DataFrame) -> str:
    """Say which conditions of the ok runs were out of tolerance."""
    runs = good(conditions)
    flagged = runs["out_of_tolerance"].fillna("")
    found = []
    for quantity, (name, unit) in NAMES.items():
        outside = runs[flagged.map(lambda names, q=quantity: q in names.split(", "))]
        if len(outside):
            achieved = text.digits(median_interval(outside[f"{quantity}_achieved"]).median)
            asked = ", ".join(f"{value:g}" for value in sorted(set(outside[f"{quantity}_requested"])))
            found.append(
                f"{name} was {achieved} {unit} for {asked} in {len(outside)} of {text.plural(len(runs), 'run')}"
            )
    return f"Out of tolerance: {'; '.join(found)}." if found else ""
