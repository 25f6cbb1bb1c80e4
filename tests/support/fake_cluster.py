"""A cluster in memory for unit tests: one index behind one alias, versions as OpenSearch treats them.

It stands in for the wire only; what OpenSearch really does is for the integration tests.
"""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from dynamo_opensearch.core.offer.bulk_request import GUARD
from dynamo_opensearch.core.opensearch.errors import OpenSearchRequestError

Entry = dict[str, Any]
Step = Callable[["FakeCluster", str, str, Mapping[str, str], Any], Any]


class FakeCluster:
    """Answers bulk requests from ``documents``; ``steps`` take the next requests' places, one each.

    ``routes``: other answers, by path; an exception is raised, a function called.
    """

    def __init__(self, index: str = "members-v1") -> None:
        self.index = index
        self.documents: dict[str, tuple[int, Any]] = {}
        self.steps: list[Step] = []
        self.requests: list[tuple[str, str, dict[str, str], Any]] = []
        self.routes: dict[str, Any] = {}

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | dict[str, Any] | None = None,
        timeout_s: float = 60.0,
        decode: Any = None,
    ) -> Any:
        self.requests.append((method, path, dict(params or {}), body))
        if self.steps:
            return self.steps.pop(0)(self, method, path, params or {}, body)
        return self.answer(method, path, params or {}, body)

    def answer(self, method: str, path: str, params: Mapping[str, str], body: Any) -> Any:
        """The ordinary answer."""
        if path.endswith("/_bulk"):
            return {
                "items": guard_entries(body)
                + [self.apply(verb, target, source) for verb, target, source in actions(body)]
            }
        answer = self.routes.get(f"{method} {path}", self.routes.get(path))
        if isinstance(answer, Exception):
            raise answer
        if callable(answer):
            return answer()
        if answer is None:
            raise OpenSearchRequestError(404, f"{method} {path}", "index_not_found_exception", "no such index")
        return answer

    def apply(self, verb: str, target: dict[str, Any], source: Any) -> Entry:
        """Carry out one action."""
        stored = self.documents.get(target["_id"])
        newer = stored is not None and (
            stored[0] > target["version"] or (stored[0] == target["version"] and target["version_type"] == "external")
        )
        if newer:
            return self.entry(verb, 409, "version_conflict_engine_exception")
        self.documents[target["_id"]] = (target["version"], source)
        return self.entry(verb, 404 if verb == "delete" and stored is None else 200)

    def entry(self, verb: str, status: int, error_type: str | None = None, reason: str = "", index: str = "") -> Entry:
        """One entry of a bulk answer."""
        result: Entry = {"_index": index or self.index, "status": status}
        if error_type:
            result["error"] = {"type": error_type, "reason": reason}
        return {verb: result}

    @property
    def bulk_ids(self) -> list[list[str]]:
        """The ids of each bulk request so far."""
        return [
            [target["_id"] for _, target, _ in actions(body)]
            for _, path, _, body in self.requests
            if path.endswith("/_bulk")
        ]


def guard_entries(body: bytes) -> list[Entry]:
    """How OpenSearch answers the guard of a body of deletes."""
    return [{"index": {"_index": "any", "status": 409}}] if body.startswith(GUARD) else []


def actions(body: bytes) -> list[tuple[str, dict[str, Any], Any]]:
    """Verb, target and source of each action of a bulk body, but for its guard."""
    lines = iter(body.removeprefix(GUARD).splitlines())
    found = []
    for line in lines:
        ((verb, target),) = orjson.loads(line).items()
        found.append((verb, target, None if verb == "delete" else orjson.loads(next(lines))))
    return found
