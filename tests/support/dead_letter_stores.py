"""The parking place and reject files in memory."""

from collections.abc import Iterator, Mapping

from dynamo_opensearch.core.dead_letters.parking import ParkedMessage
from tests.support.fakes import MemorySink


class MemoryParking:
    """The parking place in memory."""

    def __init__(self) -> None:
        self.parked: dict[str, ParkedMessage] = {}

    def put(self, parked: ParkedMessage) -> None:
        self.parked[parked.message.id] = parked

    def names(self) -> Iterator[str]:
        return iter(sorted(self.parked))

    def get(self, name: str) -> ParkedMessage | None:
        return self.parked.get(name)

    def remove(self, name: str) -> None:
        self.parked.pop(name, None)


class MemoryRejectFiles:
    """The parts of reject sinks as files, named ``<index>/<part>``."""

    def __init__(self, sinks: Mapping[str, MemorySink]) -> None:
        self._sinks = sinks

    def names(self) -> Iterator[str]:
        return iter(sorted(f"{index}/{part}" for index, sink in self._sinks.items() for part in sink.parts))

    def read(self, name: str) -> str | None:
        index, _, part = name.rpartition("/")
        lines = self._sinks[index].parts.get(int(part))
        return None if lines is None else lines.decode()

    def remove(self, name: str) -> None:
        index, _, part = name.rpartition("/")
        self._sinks[index].parts.pop(int(part), None)
