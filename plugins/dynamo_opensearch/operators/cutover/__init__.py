"""The tasks of a cutover, thin as all operators."""
