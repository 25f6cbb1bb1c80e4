"""Which index the alias leads to, and by which rules that index's documents are made."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dynamo_opensearch.core.clock import Clock
from dynamo_opensearch.core.documents.builder import DocumentBuilder
from dynamo_opensearch.core.documents.field_rules import FieldRules
from dynamo_opensearch.core.opensearch.alias import AliasAmbiguousError, AliasIsIndexError
from dynamo_opensearch.core.opensearch.cluster import Cluster
from dynamo_opensearch.core.opensearch.index_state import META_KEY

KNOWN_FOR_S = 10.0
"""An index may be made anew under its name with other rules; a swap shows in the next answer."""


@dataclass(frozen=True)
class Leading:
    """The index that is written to, and the builder of its documents."""

    index: str
    builder: DocumentBuilder


class LeadingIndex:
    """Looks the alias up, and remembers the answer for ``KNOWN_FOR_S``.

    ``rules`` are the target's own, for an index that notes none.
    """

    def __init__(
        self, cluster: Cluster, alias: str, key_attributes: Sequence[str], rules: FieldRules, clock: Clock
    ) -> None:
        self._cluster, self._alias, self._clock = cluster, alias, clock
        self._key_attributes, self._rules = tuple(key_attributes), rules
        self._known: Leading | None = None
        self._known_until_s = 0.0

    def forget(self) -> None:
        """The alias has moved."""
        self._known = None

    def look_up(self, timeout_s: float) -> Leading:
        """The index behind the alias; where there are several, the one that takes the writes.

        Raises:
            AliasIsIndexError, AliasAmbiguousError: it cannot be written to as an alias.
            TransformError: the code that the index's rules name is not in this function.
            OpenSearchRequestError: 404 when there is no such alias.
            ConnectionLostError, AccessDeniedError: as ``Cluster.request``.
        """
        known = self._known
        if known is None or self._clock.monotonic_s() >= self._known_until_s:
            path = f"/{self._alias}"
            params = {"filter_path": f"*.aliases,*.mappings._meta.{META_KEY}.field_rules"}
            found = self._cluster.request("GET", path, params=params, timeout_s=timeout_s)
            index = self._write_index(found)
            known = Leading(index, DocumentBuilder(self._key_attributes, self._rules_of(found[index])))
            self._known, self._known_until_s = known, self._clock.monotonic_s() + KNOWN_FOR_S
        return known

    def _write_index(self, found: dict[str, Any]) -> str:
        if self._alias in found:
            raise AliasIsIndexError(self._alias, f"{self._alias.removesuffix('-live')}-v1")
        if len(found) > 1:
            chosen = [name for name, one in found.items() if one["aliases"][self._alias].get("is_write_index")]
            if len(chosen) != 1:
                raise AliasAmbiguousError(self._alias, sorted(found))
            return chosen[0]
        return next(iter(found))

    def _rules_of(self, index: dict[str, Any]) -> FieldRules:
        noted = index.get("mappings", {}).get("_meta", {}).get(META_KEY, {}).get("field_rules")
        return self._rules if noted is None else FieldRules.model_validate(noted)
