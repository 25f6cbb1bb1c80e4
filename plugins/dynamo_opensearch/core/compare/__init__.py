"""Whether an index equals its table: both sides read, joined on disk, and what differs looked at again."""
