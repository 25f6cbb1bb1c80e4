"""The checks, one module for each line of the checklist. Reads only."""
