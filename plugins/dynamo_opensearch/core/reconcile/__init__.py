"""Reconciliation: the proof that index and table agree, in tasks that share nothing but files; and the repair."""
