"""From raw logs to tables, figures and the HTML page."""
