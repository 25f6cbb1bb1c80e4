"""Checks of an environment before it goes live: what is there, against what the target's file says. Reads only."""
