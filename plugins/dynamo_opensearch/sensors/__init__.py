"""Sensors: thin shells around what the core answers."""
