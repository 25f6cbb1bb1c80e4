"""A replay: messages in, looks, messages out, and the report of it."""
