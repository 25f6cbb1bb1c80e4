"""What the indexer failed on: understood, resolved to keys, looked at, and let go of once that is done."""
