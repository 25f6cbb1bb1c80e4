"""IAM policies: what the documents of a role allow, deny, and leave to conditions."""
