"""ECS services and Lambda aliases around an index: what they serve, and going back to what they served before."""
