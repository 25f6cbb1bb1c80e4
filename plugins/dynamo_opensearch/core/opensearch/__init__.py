"""OpenSearch's side: requests, bulk writes, and the life of an index."""
