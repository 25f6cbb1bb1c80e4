"""From an item of the table to a document of the index."""
