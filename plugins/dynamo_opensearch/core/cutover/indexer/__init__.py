"""The indexer's new version: uploaded, published, and its alias moved."""
