"""The port behind which state lives that outlives a process."""

from typing import Any, Protocol


class StateStore(Protocol):
    """One small JSON object under one key, kept from process to process."""

    def load(self) -> dict[str, Any] | None:
        """What was saved last, or None."""
        ...

    def save(self, value: dict[str, Any]) -> None:
        """Replace it, durably, before this returns. Where the store guards against it, a lost race raises."""
        ...
