"""What the page shows, as text: tables, findings and facts, ready for templates that compute nothing."""
