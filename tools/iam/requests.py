"""Requests to OpenSearch as IAM sees them on a domain of Amazon's: the method is the action, the path the resource.

https://docs.aws.amazon.com/opensearch-service/latest/developerguide/ac.html. What stands in a body, such as the indices
of a point in time, IAM does not see.
"""

import re
from urllib.parse import unquote

from tools.iam.names import Names
from tools.iam.operations import Right

_API = re.compile(r"(_[a-z_]+(/_?[a-z_]+)*)?")
_BEFORE_INDICES = ("_alias", "_cat/aliases", "_cluster/health", "_index_template/_simulate_index")
_BEFORE_IDS = ("_reindex", "_tasks")


class ForeignRequestError(LookupError):
    """A request that is about none of a target's indices."""

    def __init__(self, method: str, path: str) -> None:
        super().__init__(method, path)
        self.method, self.path = method, path

    def __str__(self) -> str:
        return f"{self.method} {self.path} is about no index of the target's"


def right_of_request(method: str, path: str, names: Names) -> Right:
    """What must be allowed for a request, with the target's names as placeholders.

    Raises:
        ForeignRequestError: it is about an index of nobody's.
    """
    asked = path_of(path)
    form = _of_index(asked.split("/"), names) or _of_api(asked, names)
    if form is None:
        raise ForeignRequestError(method, path)
    return Right(action_of_request(method), f"<opensearch>/{form}")


def path_of(path: str) -> str:
    """As it stands in the resource."""
    return unquote(path).strip("/")


def action_of_request(method: str) -> str:
    """Such as ``es:ESHttpGet``."""
    return f"es:ESHttp{method.capitalize()}"


def _of_index(parts: list[str], names: Names) -> str | None:
    """Of requests that begin with an index, an alias, or several of them."""
    form = _named(parts[0], names)
    if form == "<state>":
        return "<state>/*" if len(parts) > 1 else "<state>"
    return form


def _named(part: str, names: Names) -> str | None:
    if part == names.words["<state>"]:
        return "<state>"
    listed = part.split(",")
    for placeholder, ending in (("<base>", "-"), ("<alias>", "")):
        if all(one.startswith(names.words[placeholder] + ending) for one in listed):
            return f"{placeholder}{ending}*"
    return None


def _of_api(path: str, names: Names) -> str | None:
    """Of an API without an index, or with one further behind."""
    for api in _BEFORE_INDICES:
        if path.startswith(f"{api}/"):
            named = _named(path.removeprefix(f"{api}/"), names)
            return None if named is None else f"{api}/{named}"
    for api in _BEFORE_IDS:
        if path.startswith(f"{api}/"):
            return f"{api}/*"
    return path if _API.fullmatch(path) else None
