"""The version that stands in the index, read from a conflict's text: no other part of the answer tells it."""

import re

_STORED = re.compile(
    r": version conflict, current version \[(-?\d{1,19})\] is higher (?:or equal to|than) the one provided \[-?\d+\]$"
)


def stored_version(reason: str) -> int | None:
    """``[<id>]: version conflict, current version [<stored>] is higher or equal to the one provided [<offered>]``.

    None where the text is another. It is read from its end, since an id may hold anything.
    """
    found = _STORED.search(reason)
    return int(found[1]) if found else None
