"""Rebuilding an index beside its readers: from the plan to the clean-up."""
