"""What calls of all AWS services have in common."""
