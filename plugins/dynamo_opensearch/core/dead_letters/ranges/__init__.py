"""Ranges of stream records, read again from the stream."""
