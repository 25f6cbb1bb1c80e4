"""Filling an index from its table: plan, copy, check."""
