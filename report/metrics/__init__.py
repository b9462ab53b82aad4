"""Metrics: pure functions from typed records or DataFrames to numbers; no file is read or written here."""
