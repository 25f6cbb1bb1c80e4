"""What is told of a queue of dead letters to people and to other DAGs."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterFigures:
    """``messages`` wait, ``in_flight`` are being worked on; ``oldest_age_s``: seconds, None where nobody knows."""

    messages: int
    in_flight: int
    oldest_age_s: float | None = None

    def reaches(self, messages: int | None, age_s: float | None) -> bool:
        """Whether one of two thresholds is reached; None is none."""
        many = messages is not None and self.messages >= messages
        old = age_s is not None and self.oldest_age_s is not None and self.oldest_age_s >= age_s
        return many or old

    def to_json(self) -> dict[str, Any]:
        """For XCom and templates."""
        return asdict(self)
