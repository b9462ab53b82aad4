"""Several benches side by side: by how much their ratios to the baseline differ. Absolute times do not travel."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

import msgspec

from report import text
from report.bench.records import Bench
from report.errors import NothingToReport, SchemaError
from workers.bench_records import BENCH_VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def read_bench(path: Path) -> Bench:
    """Read a ``bench.json``.

    Raises:
        NothingToReport: it is not there.
        SchemaError: it is something else, or of another version.
    """
    try:
        bench = msgspec.json.decode(path.read_bytes(), type=Bench)
    except OSError as error:
        raise NothingToReport(
            f"{path} cannot be read: {error.strerror}. Name the files that make bench wrote"
        ) from error
    except msgspec.DecodeError as error:
        raise SchemaError(f"{path} is no bench of this version ({error}). Make it again: make bench") from error
    if bench.schema_version != BENCH_VERSION:
        raise SchemaError(
            f"{path} has version {bench.schema_version}, this code reads {BENCH_VERSION}. Make it again: make bench"
        )
    return bench


def spread(benches: Sequence[Bench]) -> str:
    """Return a line a strategy and model: each bench's median downtime and ratio, and the range of the ratios.

    The range is (largest - smallest) / median of the ratios.
    """
    found: dict[tuple[str, str, float, float], list[tuple[float, float]]] = {}
    for bench in benches:
        for row in bench.rows:
            downtime, ratio = row.downtime_p50_ms.value, row.ratio_to_baseline.value
            if downtime is not None and ratio is not None:
                key = (row.model, row.strategy, row.cpu_pct, row.mem_pct)
                found.setdefault(key, []).append((downtime, ratio))
    lines = ["| model | strategy | CPU, memory | downtime p50 of each (ms) | × baseline of each | spread |"]
    lines.append("| --- | --- | --- | --- | --- | --- |")
    for (model, strategy, cpu_pct, mem_pct), values in found.items():
        downtimes, ratios = zip(*values, strict=True)
        wide = (max(ratios) - min(ratios)) / median(ratios) if len(ratios) > 1 else float("nan")
        cells = [
            *(model, strategy, f"{cpu_pct:g} %, {mem_pct:g} %"),
            *(", ".join(text.digits(value) for value in each) for each in (downtimes, ratios)),
            text.percent(wide),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
