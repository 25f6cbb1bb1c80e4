"""Somebody who writes to the members table while something else goes on."""

import random
import threading
import time
from typing import Any, Self

from tools.local import members


class Writer:
    """Creates members from number ``first`` on and changes points and tags of the first ``changed``, until it is left.

    ``per_s``: about how many writes a second; ``changes_per_s`` says what was reached.
    """

    def __init__(self, dynamodb: Any, *, first: int, changed: int, per_s: float = 50.0) -> None:
        self._dynamodb, self._first, self._changed, self._per_s = dynamodb, first, changed, per_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write)
        self.created: list[str] = []
        self.changed = 0
        self._began_s = self._ended_s = 0.0

    @property
    def changes_per_s(self) -> float:
        """Writes per second from the first to the last."""
        return (len(self.created) + self.changed) / (self._ended_s - self._began_s)

    def _write(self) -> None:
        chance = random.Random(1)
        self._began_s = time.monotonic()
        while not self._stop.is_set():
            if self._changed and chance.random() < 0.5:
                item = members.typed(members.member(chance.randrange(self._changed)))
                item["points"] = {"N": str(chance.randrange(1_000_000))}
                item["tags"] = {"SS": [f"tag-{chance.randrange(100)}"]}
                self.changed += 1
            else:
                item = members.typed(members.member(self._first + len(self.created)))
                self.created.append(item["memberId"]["S"])
            self._dynamodb.put_item(TableName=members.TABLE, Item=item)
            time.sleep(1 / self._per_s)
        self._ended_s = time.monotonic()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
