"""From a target's name to the core's ports."""
