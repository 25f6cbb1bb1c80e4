"""A target's notifiers, called by a task with figures that their texts may use."""

import logging
from collections.abc import Mapping
from typing import Any, cast

from airflow.sdk import Context

from dynamo_opensearch.core.targets.model import Target
from dynamo_opensearch.dag_settings import make_notifier

log = logging.getLogger(__name__)


def call_notifiers(target: Target, context: Context, name: str, figures: Mapping[str, Any]) -> None:
    """Call all of them; their templated arguments find the figures under ``name``. A second run calls them again.

    Raises:
        Exception: what the first notifier failed of; the others were called all the same.
    """
    failures: list[Exception] = []
    for one in target.airflow.notifiers:
        # A notifier renders its own fields and adds them to the context: each gets a context of its own.
        try:
            make_notifier(one)(cast("Any", {**context, name: dict(figures)}))
        except Exception as error:  # noqa: BLE001 - raised below, when all have been called
            failures.append(error)
    log.warning("%d notifiers of target %s called", len(target.airflow.notifiers) - len(failures), target.name)
    if failures:
        raise failures[0]
