"""DynamoDB's side: scans, reads by key, and what a table says of itself."""
