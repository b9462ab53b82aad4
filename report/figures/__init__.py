"""Figures: what each one shows is computed from the tables in one place and drawn in another."""

from report.figures.plot import Plot
from report.figures.plots import plots

__all__ = ["Plot", "plots"]
