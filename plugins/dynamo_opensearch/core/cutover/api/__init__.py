"""The API's new version."""
