"""Asking again and again in the triggerer, where nothing may block."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

from airflow.triggers.base import BaseTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from dynamo_opensearch.operators.failures import refusals_of_dag

T = TypeVar("T")


class PollingTrigger(BaseTrigger):
    """Fire as soon as ``look`` returns something. ``look`` runs in a thread, one at a time, each ``poll_s`` seconds.

    Not in the thread that asgiref shares: there, one look at a server that is silent would stop every other trigger.
    What it raises fails the task that waits, which Airflow then tries again.
    """

    def __init__(self, poll_s: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.poll_s = poll_s

    def make_look(self) -> Callable[[], dict[str, Any] | None]:
        """What to ask; called once, in a thread, as what it returns is."""
        raise NotImplementedError

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """The one event."""
        look = await self._in_a_thread(self.make_look)
        while True:
            found = await self._in_a_thread(look)
            if found is not None:
                yield TriggerEvent(found)  # type: ignore[no-untyped-call]
                return
            await asyncio.sleep(self.poll_s)

    async def _in_a_thread(self, ask: Callable[[], T]) -> T:
        waiting = self.task_instance
        with refusals_of_dag(None if waiting is None else waiting.dag_id):
            return await sync_to_async(ask, thread_sensitive=False)()
