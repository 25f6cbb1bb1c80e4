"""Code that the sample targets name."""
