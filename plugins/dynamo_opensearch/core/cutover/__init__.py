"""The steps from nothing to a live alias: each looks first, does what is missing, and sees that it took effect."""
