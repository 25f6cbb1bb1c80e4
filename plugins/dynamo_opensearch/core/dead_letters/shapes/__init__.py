"""The forms in which a dead letter comes, to the keys and ranges that it names."""
