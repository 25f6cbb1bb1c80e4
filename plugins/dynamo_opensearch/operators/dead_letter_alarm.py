"""Telling people of dead letters."""

import logging

from airflow.sdk import Context

from dynamo_opensearch.core.dead_letters.alarm.figures import DeadLetterFigures
from dynamo_opensearch.core.runbook import DEAD_LETTERS
from dynamo_opensearch.core.targets.environment import DeadLetterSettings
from dynamo_opensearch.core.targets.model import Target
from dynamo_opensearch.operators.notifiers import call_notifiers

log = logging.getLogger(__name__)


def notify_dead_letters(
    context: Context, target: Target, settings: DeadLetterSettings, figures: DeadLetterFigures
) -> bool:
    """Call the target's notifiers when there are more dead letters, or older ones, than its file puts up with.

    Their templated arguments may say ``{{ dead_letters.messages }}``, ``.in_flight``, ``.oldest_age_s``, ``.target``,
    ``.queue`` and ``.runbook``. Returns whether there was a reason. A second run calls them again.

    Raises:
        Exception: as ``call_notifiers``.
    """
    if not figures.reaches(settings.alarm_messages, settings.alarm_age_s):
        return False
    told = {**figures.to_json(), "target": target.name, "queue": settings.queue, "runbook": DEAD_LETTERS}
    log.warning(
        "target %s has %d dead letters, the oldest is %s s old. What to do: %s",
        target.name,
        figures.messages,
        "?" if figures.oldest_age_s is None else f"{figures.oldest_age_s:.0f}",
        DEAD_LETTERS,
    )
    call_notifiers(target, context, "dead_letters", told)
    return True
