"""Following the stream for every index that the indexer does not feed."""
