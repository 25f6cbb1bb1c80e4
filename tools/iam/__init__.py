"""docs/iam.md and the policies beside it, made from the calls that the tests recorded. Nothing of it ships."""
