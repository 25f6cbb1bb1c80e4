"""Speed and memory of a backfill beside other ways to do it, on real servers; `python -m tools.bench` runs it all."""
