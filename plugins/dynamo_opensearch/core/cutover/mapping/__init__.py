"""The event source mapping that hands the table's changes to the indexer."""
