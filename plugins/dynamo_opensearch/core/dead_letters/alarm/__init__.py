"""What is told of a filling queue, and when."""
