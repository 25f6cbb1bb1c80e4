"""The items that dead letters are about, to try a mapping on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dynamo_opensearch.core.dead_letters.replay.peek import Peek
from dynamo_opensearch.core.documents.attribute_values import Item
from dynamo_opensearch.core.documents.builder import KeyValues
from dynamo_opensearch.core.dynamodb.keyed_reads import KeyedReader
from dynamo_opensearch.core.rebuild.samples import SampleSource


@dataclass(frozen=True)
class KeyedSamples:
    """The items of some keys, as the table has them now; a SampleSource."""

    name: str
    reader: KeyedReader
    keys: Sequence[KeyValues]

    def items(self) -> Iterator[Item]:
        """Those that are there.

        Raises:
            ServiceUnavailableError, AccessDeniedError, WorkerClockError: as ``KeyedReader.read``.
        """
        for read in self.reader.read(self.keys):
            yield from read.items


def dead_letter_samples(peek: Peek, reader: KeyedReader) -> Iterator[SampleSource]:
    """A source for each group of keys that is found; the messages are given back in the end."""
    for keys in peek.groups():
        if keys:
            yield KeyedSamples("the dead letters", reader, keys)
