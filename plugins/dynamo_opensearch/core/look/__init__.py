"""Keys read once, strongly consistent, and offered to every index that is owed them."""
