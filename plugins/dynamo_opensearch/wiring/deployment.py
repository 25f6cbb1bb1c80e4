"""What one Airflow deployment is called, and where it keeps what outlives its tasks."""

import os
from collections.abc import Mapping

from dynamo_opensearch.core.targets.include_folder import environment_name

STATE_INDEX_VARIABLE = "DYNAMO_OPENSEARCH_STATE_INDEX"
DEPLOYMENT_VARIABLE = "DYNAMO_OPENSEARCH_DEPLOYMENT"


def state_index(variables: Mapping[str, str] = os.environ) -> str:
    """The hidden index for positions, holders and progress."""
    return variables.get(STATE_INDEX_VARIABLE) or ".dynamo-opensearch-state"


def deployment_name(variables: Mapping[str, str] = os.environ) -> str:
    """What tells this deployment from others that use the same cluster; the environment where nothing is said."""
    return variables.get(DEPLOYMENT_VARIABLE) or environment_name(variables)
