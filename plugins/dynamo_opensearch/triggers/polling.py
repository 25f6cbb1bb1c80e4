"""Asking again and again in the triggerer, where nothing may block."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent
from asgiref.sync import sync_to_async


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
        look = await sync_to_async(self.make_look, thread_sensitive=False)()
        while True:
            found = await sync_to_async(look, thread_sensitive=False)()
            if found is not None:
                yield TriggerEvent(found)  # type: ignore[no-untyped-call]
                return
            await asyncio.sleep(self.poll_s)
