"""Telling people of dead letters."""

import logging
from typing import Any, cast

from airflow.sdk import Context

from dynamo_opensearch.core.dead_letters.alarm.figures import DeadLetterFigures
from dynamo_opensearch.core.targets.environment import DeadLetterSettings
from dynamo_opensearch.core.targets.model import Target
from dynamo_opensearch.dag_settings import make_notifier

log = logging.getLogger(__name__)


def notify_dead_letters(
    context: Context, target: Target, settings: DeadLetterSettings, figures: DeadLetterFigures
) -> bool:
    """Call the target's notifiers when there are more dead letters, or older ones, than its file puts up with.

    Their templated arguments may say ``{{ dead_letters.messages }}``, ``.in_flight``, ``.oldest_age_s``, ``.target``
    and ``.queue``. Returns whether there was a reason. A second run calls them again.

    Raises:
        Exception: what the first notifier failed of; the others were called all the same.
    """
    if not figures.reaches(settings.alarm_messages, settings.alarm_age_s):
        return False
    told = {**figures.to_json(), "target": target.name, "queue": settings.queue}
    failures: list[Exception] = []
    for one in target.airflow.notifiers:
        # A notifier renders its own fields and adds them to the context: each gets a context of its own.
        try:
            make_notifier(one)(cast("Any", {**context, "dead_letters": dict(told)}))
        except Exception as error:  # noqa: BLE001 - raised below, when all have been called
            failures.append(error)
    log.warning(
        "target %s has %d dead letters, the oldest is %s s old; %d notifiers called",
        target.name,
        figures.messages,
        "?" if figures.oldest_age_s is None else f"{figures.oldest_age_s:.0f}",
        len(target.airflow.notifiers) - len(failures),
    )
    if failures:
        raise failures[0]
    return True
