"""The way of a change from the table to the index, tried on an item of its own."""
