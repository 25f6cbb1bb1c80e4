"""JSON that strangers wrote: read without loss, refused without a word of what it says."""

import json
from typing import Any, NamedTuple, NoReturn

from dynamo_opensearch.core.dead_letters.messages import NotUnderstoodError


class Number(NamedTuple):
    """A JSON number as it was written. orjson and floats would lose digits of DynamoDB's 38."""

    text: str


def _refuse_constant(_name: str) -> NoReturn:
    """JSON has no NaN and no Infinity, whatever Python's reader says."""
    raise ValueError


_DECODER = json.JSONDecoder(parse_float=Number, parse_int=Number, parse_constant=_refuse_constant)


def parse(text: str | bytes) -> Any:
    """Plain Python values, except that each number is a ``Number``.

    Raises:
        NotUnderstoodError: not JSON, not UTF-8, or nested deeper than Python can follow.
    """
    try:
        return _DECODER.decode(text.decode() if isinstance(text, bytes) else text)
    except RecursionError:
        raise NotUnderstoodError("JSON nested too deep") from None
    except ValueError:  # its text may quote what it stumbled over
        raise NotUnderstoodError("not JSON") from None


def opened(value: Any) -> Any:
    """What a JSON string holds, if it is one: one layer, no more.

    Raises:
        NotUnderstoodError: a string that holds no JSON.
    """
    return parse(value) if isinstance(value, str) else value


def object_of(value: Any, what: str) -> dict[str, Any]:
    """The value, known to be a JSON object. ``what`` names it in the error.

    Raises:
        NotUnderstoodError: it is none.
    """
    if not isinstance(value, dict):
        raise NotUnderstoodError(f"{what} is missing or no object")
    return value


def text_of(value: Any, what: str) -> str:
    """The value, known to be text that can be sent on as UTF-8. ``what`` names it in the error.

    Raises:
        NotUnderstoodError: it is none, empty, or holds half of a character (a lone surrogate).
    """
    if not isinstance(value, str) or not value or not is_utf8(value):
        raise NotUnderstoodError(f"{what} is missing or no text")
    return value


def is_utf8(text: str) -> bool:
    """Whether it can be written as UTF-8; JSON's escapes can spell halves of characters, which cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
