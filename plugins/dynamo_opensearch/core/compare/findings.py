"""What became of the suspects, while they are worked through. Of bounded size whatever their number."""

from collections import Counter, defaultdict

from dynamo_opensearch.core.compare.join import Kind
from dynamo_opensearch.core.compare.looking import Look
from dynamo_opensearch.core.compare.settling import Settled
from dynamo_opensearch.core.reports import OfferReport

SAMPLES = 20
"""Ids that are kept of each kind."""
_FIELDS = 100
_OTHER_FIELDS = "(others)"
"""Names of fields may come from data, such as the members of a map."""


class Findings:
    """Counts and samples. One thread."""

    def __init__(self) -> None:
        self.differences: Counter[Kind] = Counter()
        self.mended: Counter[Kind] = Counter()
        self.in_motion = self.unsettled = self.rejected = 0
        self.offers = OfferReport()
        self.fields: Counter[str] = Counter()
        self._samples: dict[Kind, list[str]] = defaultdict(list)

    @property
    def samples(self) -> dict[str, tuple[str, ...]]:
        """Ids by kind."""
        return {kind.value: tuple(ids) for kind, ids in self._samples.items()}

    def end(self, settled: Settled) -> None:
        """Count one by its last look."""
        if settled.is_in_motion:
            self.in_motion += 1
            return
        self.differences[settled.look.kind] += 1
        self.unsettled += settled.look.is_key_unknown

    def name(self, look: Look) -> None:
        """Keep what is shown of a difference, mended afterwards or not."""
        self.sample(look.kind, look.suspect.id)
        if look.field is not None:
            is_known = look.field in self.fields or len(self.fields) < _FIELDS
            self.fields[look.field if is_known else _OTHER_FIELDS] += 1

    def not_looked_at(self, kind: Kind, count: int) -> None:
        """Count those that were left as they were found."""
        self.differences[kind] += count
        self.unsettled += count

    def sample(self, kind: Kind, document_id: str) -> None:
        """Keep an id, if there is room."""
        if len(self._samples[kind]) < SAMPLES:
            self._samples[kind].append(document_id)
