"""The table's stream: positions in it, which shards may be read when, and its pages."""
