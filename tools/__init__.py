"""What developing the project needs; nothing of it ships to production."""
