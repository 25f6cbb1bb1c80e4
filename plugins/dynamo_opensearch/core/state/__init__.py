"""What outlives a task, kept in OpenSearch."""
