"""A target's own function from document to document, found by name and known by its fingerprint."""

import hashlib
import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dynamo_opensearch.core.errors import PermanentError

TransformFunction = Callable[[dict[str, Any]], dict[str, Any]]


class TransformError(PermanentError):
    """The transform of a target cannot be used."""

    def __init__(self, reference: str, problem: str) -> None:
        super().__init__(reference, problem)
        self.reference, self.problem = reference, problem

    def __str__(self) -> str:
        return f"transform {self.reference!r}: {self.problem}"


@dataclass(frozen=True)
class Transform:
    """The function, its declared version and the fingerprint of its module's code."""

    function: TransformFunction
    version: str
    fingerprint: str


def load_transform(reference: str) -> Transform:
    """Import ``module:function``; the function must carry a ``version`` (a string), raised with each change.

    Raises:
        TransformError: no such module or function, or no version.
    """
    module_name, _, function_name = reference.partition(":")
    try:
        function = getattr(importlib.import_module(module_name), function_name)
    except Exception as error:  # importing runs the target's own code, which may raise anything
        raise TransformError(reference, f"cannot be imported ({type(error).__name__}: {error})") from error
    version = getattr(function, "version", None)
    if not isinstance(version, str) or not version:
        raise TransformError(reference, 'has no version; set one on the function: `function.version = "1"`')
    source = inspect.getsource(inspect.getmodule(function) or function)
    digest = hashlib.sha256(f"{reference}\n{version}\n{source}".encode()).hexdigest()
    return Transform(function, version, digest[:16])
