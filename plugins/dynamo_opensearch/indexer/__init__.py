"""The reference indexer: a Lambda function that carries each change over a DynamoDB stream into OpenSearch.

Its contract, for those who keep an indexer of their own: docs/indexer-contract.md.
"""
