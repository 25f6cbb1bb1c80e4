"""The tasks of a reconciliation."""
