"""The chapters of a report: each one's prose, table and figure."""
