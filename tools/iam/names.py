"""What a target's resources are called: placeholders, such as ``<table>``, and the ARNs that they stand for."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dynamo_opensearch.core.targets.arns import Place, arns_of
from dynamo_opensearch.core.targets.model import Target

REQUESTS = "<opensearch>"
"""The domain, where its own API is asked; the API of OpenSearch Service has ``<vpc-domain>``."""

STATE_INDEX = ".dynamo-opensearch-state"
_S3 = ("<reports>", "<parking>")
_MAPPING_PART = ":event-source-mapping:"
ANY_MAPPING = f"arn:<partition>:lambda:<region>:<account>{_MAPPING_PART}*"
NAMED_MAPPING = "<event-source-mapping>"
_REST = re.compile(r"(/stream/|[/:])[^/:]")


Others = Mapping[str, Sequence[str]]
"""ARNs, by placeholder, of what no target's file names: KMS keys, and the roles of ECS tasks."""


@dataclass(frozen=True, kw_only=True)
class Names:
    """``arns``: by placeholder, none where the target's file does not name the thing. ``words``: parts of paths."""

    arns: Mapping[str, tuple[str, ...]]
    words: Mapping[str, str] = field(default_factory=dict)

    def concrete(self, form: str) -> list[str]:
        """The form with everything in it named; nothing where the target's file does not name it."""
        placeholder, end, rest = form.partition(">")
        if not form.startswith("<"):
            return [self.within(form)]
        return [f"{arn}{self.within(rest)}" for arn in self.arns.get(placeholder + end, ())]

    def within(self, text: str) -> str:
        """A text with its words in it."""
        for word, value in self.words.items():
            text = text.replace(word, value)
        return text

    def forms(self, resource: str) -> list[str]:
        """The forms of a concrete ARN, those that say most; nothing where it is no resource of the target's."""
        if resource == "*" or resource.startswith("<"):
            return [resource]
        if resource.endswith(":policy/*"):
            return [":".join(("arn:<partition>", *self._unplaced(resource.split(":")[2:])))]
        found = [
            (arn, placeholder)
            for placeholder, arns in self.arns.items()
            for arn in arns
            if placeholder != REQUESTS
            if resource == arn or resource.startswith((f"{arn}/", f"{arn}:"))
        ]
        if not found and _MAPPING_PART in resource:  # a cutover finds it, or makes it, before the file names it
            return [ANY_MAPPING]
        longest = max((len(arn) for arn, _ in found), default=0)
        rests = [(placeholder, resource[len(arn) :]) for arn, placeholder in found if len(arn) == longest]
        return [f"{placeholder}{self._form_of_rest(placeholder, rest)}" for placeholder, rest in rests]

    def _unplaced(self, parts: list[str]) -> list[str]:
        return ["<account>" if part == self.words["<account>"] else part for part in parts]

    def _form_of_rest(self, placeholder: str, rest: str) -> str:
        if placeholder in _S3:
            return self._form_of_key(placeholder, rest)
        begun = _REST.match(rest)
        return rest if begun is None else f"{begun[1]}*"

    def _form_of_key(self, placeholder: str, rest: str) -> str:
        """Below ``reports`` there is a folder for each purpose, and in it one for each target."""
        kept = 2 if placeholder == "<reports>" else 1
        parts = rest.strip("/").split("/")
        form = "/".join("<name>" if part == self.words["<name>"] else part for part in parts[:kept])
        return f"/{form}{'/*' if len(parts) > kept else ''}" if rest else ""


def names_of(target: Target, environment: str, place: Place, others: Others, state_index: str = STATE_INDEX) -> Names:
    """What the target's file says of an environment.

    Raises:
        UnknownEnvironmentError: the file does not name it.
    """
    target = target.in_environment(environment)
    told = arns_of(target, target.environments[environment], place)
    arns = {**others, **{f"<{name}>": found for name, found in told.items() if found}}
    words = {
        "<partition>": place.partition,
        "<account>": place.account,
        "<region>": place.region,
        "<name>": target.name,
        "<base>": target.index_base,
        "<alias>": target.alias,
        "<state>": state_index,
    }
    return Names(arns={placeholder: tuple(found) for placeholder, found in arns.items()}, words=words)
