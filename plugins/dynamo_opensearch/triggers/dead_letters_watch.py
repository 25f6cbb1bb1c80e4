"""Watching a dead-letter queue for as long as a DAG is scheduled on its asset."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from dynamo_opensearch.core.dead_letters.alarm.filling import FillingRule
from dynamo_opensearch.core.dead_letters.messages import Depth
from dynamo_opensearch.operators.failures import refusals_of_dag
from dynamo_opensearch.wiring.dead_letters import dead_letter_queue
from dynamo_opensearch.wiring.target_connections import TargetConnections

AGAIN_S = 3_600.0


class DeadLettersFillingTrigger(BaseEventTrigger):
    """Fire with ``{"target": …, "messages": …, "in_flight": …}`` each time that the queue has filled to ``replay_at``.

    It fires again after ``again_s`` while the queue stays so full. It goes on until Airflow ends it, and never fails:
    Airflow would start it again each second. A queue that cannot be asked is logged, and asked again ``poll_s`` later.
    ``queue`` is what the target's file names; when that changes, Airflow makes a new trigger. Where this one starts
    anew, such as with the triggerer, a queue that is full fires once more.
    """

    def __init__(self, target: str, queue: str, replay_at: int, again_s: float = AGAIN_S, poll_s: float = 60.0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.target, self.queue, self.replay_at = target, queue, replay_at
        self.again_s, self.poll_s = again_s, poll_s

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments."""
        arguments = {name: getattr(self, name) for name in ("target", "queue", "replay_at", "again_s", "poll_s")}
        return f"{type(self).__module__}.{type(self).__qualname__}", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """An event each time that a replay is due."""
        look = self.make_look()
        while True:
            found = await sync_to_async(look, thread_sensitive=False)()
            if found is not None:
                yield TriggerEvent(found)  # type: ignore[no-untyped-call]
            await asyncio.sleep(self.poll_s)

    def make_look(self) -> Callable[[], dict[str, Any] | None]:
        """What to ask; the connection is kept from look to look, until one fails."""
        rule = FillingRule(self.replay_at, self.again_s)
        ask: Callable[[], tuple[Depth, float]] | None = None

        def look() -> dict[str, Any] | None:
            nonlocal ask
            try:
                with refusals_of_dag(f"{self.target}_dlq_replay"):
                    ask = ask or self._asking()
                    depth, now_s = ask()
            except Exception as error:  # noqa: BLE001 - see the class: nobody would start it again in time
                self.log.warning("the dead letters of target %s cannot be watched now: %s", self.target, error)
                ask = None
                return None
            if not rule.is_due(depth, now_s):
                return None
            return {"target": self.target, "messages": depth.visible, "in_flight": depth.in_flight}

        return look

    def _asking(self) -> Callable[[], tuple[Depth, float]]:
        connections = TargetConnections.of(self.target)
        queue = dead_letter_queue(connections, self.queue)
        return lambda: (queue.depth(), connections.clock.monotonic_s())
