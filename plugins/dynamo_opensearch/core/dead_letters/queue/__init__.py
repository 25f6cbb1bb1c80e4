"""The queue's side: receives, visibility, deletes."""
