"""Stamps: when an observation was known to be true, as OpenSearch external versions (microseconds since 1970)."""

from dataclasses import dataclass

from dynamo_opensearch.core.errors import PermanentError

LARGEST_COUNTER = 10**12
"""Versions below this are plain counters (an unversioned write adds 1) and lie below every stamp."""

SMALLEST_STAMP_US = 10**15
"""A stamp of the year 2001; what lies between this and ``LARGEST_COUNTER`` is milliseconds or another unit."""


@dataclass(frozen=True, kw_only=True)
class StampRule:
    """How far a read's stamp lies before its start.

    ``stream_rounding_s``: how coarse ApproximateCreationDateTime is (1 on AWS, 60 on DynamoDB Local).
    ``margin_s``: more than that rounding and twice the clock skew that is tolerated.
    """

    stream_rounding_s: float = 1.0
    margin_s: float = 6.0

    def read_stamp_us(self, read_began_us: int) -> int:
        """The version for what a read that began then has seen."""
        return read_began_us - round(self.margin_s * 1e6)

    def done_after_us(self, event_us: int) -> int:
        """After which moment a read must begin to end an event of this ApproximateCreationDateTime (design 2)."""
        return event_us + round((self.stream_rounding_s + 2 * self.margin_s) * 1e6)


class ForeignVersionError(PermanentError):
    """The index holds versions that no stamp of this package can be compared with."""

    def __init__(self, index: str, version: int, sampled: int, why: str) -> None:
        super().__init__(index, version, sampled, why)
        self.index, self.version, self.sampled, self.why = index, version, sampled, why

    def __str__(self) -> str:
        return (
            f"index {self.index!r} holds a document with version {self.version} ({self.why}; {self.sampled} documents "
            "were looked at). This package stamps with microseconds since 1970, so writes would be lost against it. "
            "Rebuild into a new index, or set indexer_writes: unversioned if the indexer does not stamp its writes."
        )


def check_version(index: str, version: int, now_us: int, rule: StampRule, sampled: int) -> None:
    """Refuse a stored version of another unit, or from the future.

    Raises:
        ForeignVersionError: neither a small counter nor a stamp up to ``now_us`` plus the margin.
    """
    if version < LARGEST_COUNTER:
        return
    if version < SMALLEST_STAMP_US:
        raise ForeignVersionError(index, version, sampled, "another unit than microseconds")
    if version > now_us + rule.margin_s * 1e6:
        raise ForeignVersionError(index, version, sampled, "a time in the future, or another unit")
