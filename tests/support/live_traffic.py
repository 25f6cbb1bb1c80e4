"""People who write to the members table, and people who search the index, all the time while something else goes on.

Nothing here imports dynamo_opensearch.
"""

import json
import random
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

from tests.support import oracle
from tools.local import members

HOT_KEYS = 5
BURST = 20


@dataclass
class TableTraffic:
    """Creates, updates and deletes members, a third each, until it is left.

    Members 0 to ``stable`` - 1 stay in the table and are only updated; those from ``stable`` to ``stable`` +
    ``churned`` - 1 come and go, their keys used again and again. Now and then a hot key gets a burst of writes.
    ``per_s``: about how many writes a second all ``threads`` together make. ``moments``: when each write was
    acknowledged (seconds since 1970).
    """

    url: str
    table: str
    stable: int
    churned: int
    per_s: float = 260.0
    threads: int = 4
    new_field: str | None = None
    """A field that every second update adds, with a text in it."""
    kinds: Counter[str] = field(default_factory=Counter)
    moments: list[float] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._workers = [threading.Thread(target=self._work, args=(number,)) for number in range(self.threads)]

    def rate(self, begin_s: float, end_s: float) -> float:
        """Writes a second between two moments."""
        return sum(begin_s <= moment <= end_s for moment in self.moments) / max(end_s - begin_s, 1e-9)

    def __enter__(self) -> Self:
        for worker in self._workers:
            worker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Write no more. Safe to call twice."""
        self._stop.set()
        for worker in self._workers:
            worker.join()
        assert not self.failures, self.failures

    def _work(self, number: int) -> None:
        """Each thread has keys of its own, so that the order of writes of a key is known."""
        try:
            client = oracle.client(self.url)
            _OneWriter(self, client, random.Random(number), number).run(self._stop)
            client.close()
        except BaseException as error:  # noqa: BLE001 - told by stop()
            self.failures.append(error)


class _OneWriter:
    def __init__(self, traffic: TableTraffic, client: Any, chance: random.Random, number: int) -> None:
        self._traffic, self._client, self._chance = traffic, client, chance
        every = traffic.threads
        self._stable = list(range(number, traffic.stable, every))
        churned = list(range(traffic.stable + number, traffic.stable + traffic.churned, every))
        chance.shuffle(churned)
        self._away, self._there = churned, list[int]()
        self._hot = self._stable[:HOT_KEYS]

    def run(self, stop: threading.Event) -> None:
        pause_s = self._traffic.threads / self._traffic.per_s
        due_s = time.monotonic()
        while not stop.is_set():
            writes = self._write()
            due_s += pause_s * writes
            time.sleep(max(0.0, due_s - time.monotonic()))

    def _write(self) -> int:
        kind = self._chance.random()
        if kind < 0.005:
            key = self._chance.choice(self._hot)
            for _ in range(BURST):
                self._update(key)
            return BURST
        if kind < 1 / 3 and self._away:
            self._create(self._away.pop(self._chance.randrange(len(self._away))))
        elif kind < 2 / 3 or not self._there:
            self._update(self._chance.choice(self._there or self._stable) if kind < 0.5 else self._any_stable())
        else:
            self._delete(self._there.pop(self._chance.randrange(len(self._there))))
        return 1

    def _any_stable(self) -> int:
        return self._chance.choice(self._stable)

    def _create(self, number: int) -> None:
        item = members.typed(members.member(number))
        item["points"] = {"N": str(self._chance.randrange(1_000_000))}
        self._client.put_item(TableName=self._traffic.table, Item=item)
        self._there.append(number)
        self._note("create")

    def _update(self, number: int) -> None:
        item = members.typed(members.member(number))
        item["points"] = {"N": str(self._chance.randrange(1_000_000))}
        item["tags"] = {"SS": [f"tag-{self._chance.randrange(100)}"]}
        if self._traffic.new_field and self._chance.random() < 0.5:
            item[self._traffic.new_field] = {"S": f"text {self._chance.randrange(1000)}"}
        self._client.put_item(TableName=self._traffic.table, Item=item)
        self._note("update")

    def _delete(self, number: int) -> None:
        key = {members.HASH_KEY: {"S": members.member(number)[members.HASH_KEY]}}
        self._client.delete_item(TableName=self._traffic.table, Key=key)
        self._away.append(number)
        self._note("delete")

    def _note(self, kind: str) -> None:
        self._traffic.kinds[kind] += 1
        self._traffic.moments.append(time.time())


@dataclass
class AliasReader:
    """Searches and gets members that stay in the table, through the alias, until it is left.

    ``errors``: every answer that was not 200. ``vanished``: ids that an earlier read had found and a later one had
    not. ``expect``: numbers of the members that stay.
    """

    url: str
    alias: str
    expect: range
    batch: int = 50
    errors: list[str] = field(default_factory=list)
    vanished: list[str] = field(default_factory=list)
    searches: int = 0
    gets: int = 0
    tolerates: Callable[[], bool] = lambda: False
    """Whether an error may be for now, such as while the test restarts the server."""

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read)
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self._ids = [str(members.member(number)[members.HASH_KEY]) for number in self.expect]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _read(self) -> None:
        chance = random.Random(7)
        while not self._stop.is_set():
            ids = chance.sample(self._ids, min(self.batch, len(self._ids)))
            self._search(ids)
            self._get(ids[0])
            time.sleep(0.005)

    def _search(self, ids: list[str]) -> None:
        body = {"size": len(ids), "_source": False, "query": {"ids": {"values": ids}}}
        answer = self._call(f"/{self.alias}/_search", body)
        if answer is None:
            return
        self.searches += 1
        if answer["_shards"]["failed"] or answer["timed_out"]:
            self.errors.append(f"search: {answer['_shards']}")
            return
        found = {hit["_id"] for hit in answer["hits"]["hits"]}
        self.vanished += [f"search {time.time():.2f}: {one}" for one in ids if one not in found]

    def _get(self, document_id: str) -> None:
        answer = self._call(f"/{self.alias}/_doc/{document_id}")
        if answer is not None:
            self.gets += 1
            if not answer["found"]:
                self.vanished.append(f"get {time.time():.2f}: {document_id}")

    def _call(self, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", data=data, headers={"Content-Type": "application/json"})
        try:
            with self._opener.open(request, timeout=30) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            if error.code == 404 and "_doc" in path:
                return {"found": False}
            self._note_error(f"{path.split('/')[2]}: {error.code}")
        except OSError as error:
            self._note_error(f"{path.split('/')[2]}: {type(error).__name__}")
        return None

    def _note_error(self, what: str) -> None:
        if not self.tolerates():
            self.errors.append(what)


def lags_up_to(longest_s: float, seed: int = 0) -> Callable[[Any], float]:
    """For a local event source mapping: three of ten records come late, by up to so many seconds."""

    def lag_s(record: Any) -> float:
        chance = random.Random(f"{seed}:{record['dynamodb']['SequenceNumber']}")
        return chance.uniform(0, longest_s) if chance.random() < 0.3 else 0.0

    return lag_s
