"""What ``make bench`` measured, as numbers: ``python -m report.bench``."""
