"""What Airflow's providers manager asks for: the connection type ``opensearch``.

It is found by the entry point in ``plugins/dynamo_opensearch-<version>.dist-info``, or in the installed package.
"""

from typing import Any


def get_provider_info() -> dict[str, Any]:
    """The description of this package as an Airflow provider."""
    return {
        "package-name": "dynamo-opensearch",
        "name": "DynamoDB to OpenSearch",
        "description": "Keeps OpenSearch indices equal to the DynamoDB tables that feed them.",
        "connection-types": [
            {
                "connection-type": "opensearch",
                "hook-class-name": "dynamo_opensearch.hooks.opensearch.OpenSearchHook",
                "hook-name": "OpenSearch (DynamoDB operations)",
                # Read from 3.2 on, without importing the hook; 3.1 shows the plain form.
                "ui-field-behaviour": {
                    "hidden-fields": [],
                    "relabeling": {"schema": "http or https"},
                    "placeholders": {
                        "host": "vpc-search-abc.eu-central-1.es.amazonaws.com",
                        "schema": "https",
                        "port": "443",
                    },
                },
            }
        ],
    }
