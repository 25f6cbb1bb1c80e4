"""The tasks of a cutover."""
