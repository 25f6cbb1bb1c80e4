"""The dead letters of a target, wired to its servers."""

from dynamo_opensearch.core.dead_letters.alarm.figures import DeadLetterFigures
from dynamo_opensearch.core.dead_letters.alarm.oldest_age import oldest_age_s
from dynamo_opensearch.core.dead_letters.messages import Depth
from dynamo_opensearch.core.dead_letters.queue.dead_letter_queue import DeadLetterQueue
from dynamo_opensearch.core.errors import PermanentError
from dynamo_opensearch.core.targets.environment import DeadLetterSettings
from dynamo_opensearch.core.targets.include_folder import environment_name
from dynamo_opensearch.hooks.connection_rules import LiteralCredentialsError
from dynamo_opensearch.wiring.target_connections import TargetConnections


class NoDeadLetterQueueError(PermanentError):
    """The target's file names no dead-letter queue for this environment."""

    def __init__(self, target: str, environment: str) -> None:
        super().__init__(target, environment)
        self.target, self.environment = target, environment

    def __str__(self) -> str:
        return (
            f"target {self.target!r} has no dead-letter queue: set environments.{self.environment}.dead_letters.queue "
            "in its file to the name or URL of the queue that its indexer fails into."
        )


def dead_letter_settings(connections: TargetConnections) -> DeadLetterSettings:
    """What the target says of its dead letters.

    Raises:
        NoDeadLetterQueueError: nothing.
    """
    settings = connections.environment.dead_letters
    if settings is None:
        raise NoDeadLetterQueueError(connections.target.name, environment_name())
    return settings


def dead_letter_queue(connections: TargetConnections, queue: str | None = None) -> DeadLetterQueue:
    """The queue that the indexer fails into, or another one by its name or URL. To be closed.

    Raises:
        NoDeadLetterQueueError: the target names none.
    """
    name = queue or dead_letter_settings(connections).queue
    return DeadLetterQueue(connections.dynamodb.sqs_client(), name, connections.clock, connections.retry)


def dead_letter_depth(connections: TargetConnections) -> Depth:
    """About how many messages are in it.

    Raises:
        NoDeadLetterQueueError: the target names none.
        AccessDeniedError, QueueMissingError, QueueRequestError, ServiceUnavailableError: it cannot be asked.
    """
    with dead_letter_queue(connections) as queue:
        return queue.depth()


def dead_letter_figures(connections: TargetConnections, depth: Depth) -> DeadLetterFigures:
    """A depth, and how old the oldest message is.

    Raises:
        NoDeadLetterQueueError: the target names no queue.
    """
    queue = dead_letter_settings(connections).queue
    try:
        cloudwatch = connections.dynamodb.cloudwatch_client()
    except LiteralCredentialsError:  # local servers without a CloudWatch: the queue's client was had
        age_s = None
    else:
        age_s = oldest_age_s(cloudwatch, queue, connections.clock, connections.retry)
    return DeadLetterFigures(messages=depth.visible, in_flight=depth.in_flight, oldest_age_s=age_s)
