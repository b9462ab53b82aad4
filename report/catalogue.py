"""What each table and figure is called where they are listed: on the page, and in Snakemake's own report.

Kept free of imports, because the workflow reads it for every job.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """A file of the report: what it shows, and the caption (``report/captions/NAME.rst``) of its kind."""

    shows: str
    caption: str


TABLES = {
    "downtime": Entry("Downtime of every run and its parts", "tables"),
    "parts": Entry("What edge and cloud worked on during the downtime, by run", "tables"),
    "frames": Entry("Frames offered, answered and dropped by reason, by run and window", "tables"),
    "memory": Entry("Table I: memory at rest and at its largest, by model, strategy and tier", "tables"),
    "memory_runs": Entry("Memory at rest and at its largest, by run and tier", "tables"),
    "conditions": Entry("Conditions requested and achieved, by run", "tables"),
    "blocks": Entry("How every block ended and what its wall time went into", "tables"),
    "clocks": Entry("Clock offsets with their bounds, by run and host", "tables"),
    "timelines": Entry("One repartition of each strategy: what was when, by the edge's clock", "tables"),
    "layers": Entry("Time of every layer on edge and cloud", "cut_tables"),
    "partition_points": Entry("Latency of every partition point, by speed and availability", "cut_tables"),
    "break_points": Entry("Between which speeds a point is the best", "cut_tables"),
    "moves": Entry("What a change of speed does to the best point, and what staying costs", "cut_tables"),
    "ratio_sweep": Entry("The best points if the edge were slower or faster", "cut_tables"),
    "profile_parts": Entry("Heads and tails as measured against the sum of their layers", "cut_tables"),
    "profiles": Entry("Every profile: how it ended and how far its predictions are off", "cut_tables"),
}
FIGURES = {
    "timeline": Entry("One repartition of each strategy, from its events and frames", "downtime"),
    "downtime": Entry("Downtime of runs by strategy", "downtime"),
    "parts": Entry("What the time went into, by tier", "downtime"),
    "tradeoff": Entry("Downtime against memory", "downtime"),
    "fig11": Entry("Fig. 11: downtime of pause and resume over CPU and memory availability", "cells"),
    "fig12": Entry("Fig. 12: downtime of scenario A over CPU and memory availability", "cells"),
    "fig13": Entry("Fig. 13: downtime of scenario B over CPU and memory availability", "cells"),
    "fig14": Entry("Fig. 14: frames dropped when the link gets faster", "frames"),
    "fig14_cells": Entry("Fig. 14 over CPU and memory availability", "frames"),
    "fig15": Entry("Fig. 15: frames dropped when the link gets slower", "frames"),
    "fig15_cells": Entry("Fig. 15 over CPU and memory availability", "frames"),
    "fig02": Entry("Fig. 2: latency by partition point, VGG-19", "cut"),
    "fig03": Entry("Fig. 3: latency by partition point, MobileNetV2", "cut"),
    "best_point": Entry("Best partition point by network speed", "cut"),
}


def figure(name: str) -> Entry:
    """Return the entry of a figure; those of the points of other models are named after them."""
    return FIGURES.get(name) or Entry(f"Latency by partition point, {name.removeprefix('fig_points_')}", "cut")
