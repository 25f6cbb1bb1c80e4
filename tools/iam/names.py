"""What a target's resources are called: placeholders, such as ``<table>``, and the ARNs that they stand for."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from dynamo_opensearch.core.preflight.scopes import Place, bucket_of, queue_arn
from dynamo_opensearch.core.targets.environment import ApiSettings, DeadLetterSettings, Environment, IndexerSettings
from dynamo_opensearch.core.targets.model import Target

REQUESTS = "<opensearch>"
"""The domain, where its own API is asked; the API of OpenSearch Service has ``<vpc-domain>``."""

STATE_INDEX = ".dynamo-opensearch-state"
_S3 = ("<reports>", "<parking>")
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
    arns = {**_arns(target, target.environments[environment], place), **others}
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


def _arns(target: Target, environment: Environment, place: Place) -> dict[str, Sequence[str]]:
    one_each = (
        ("<table>", place.arn("dynamodb", f"table/{target.table}")),
        *_of_dead_letters(environment.dead_letters, place),
        *_of_indexer(environment.indexer, place),
        *_of_api(environment.api, place),
        *_of_what_is_around(environment, place),
        *_of_buckets(environment, place),
    )
    roles = [role.arn for role in environment.roles.values()]
    return {**{placeholder: [arn] for placeholder, arn in one_each}, "<role>": roles}


Named = Iterator[tuple[str, str]]
"""Placeholders and ARNs."""


def _of_dead_letters(settings: DeadLetterSettings | None, place: Place) -> Named:
    if settings is not None:
        yield "<queue>", queue_arn(settings.queue, place)
        if settings.destination is not None and ":s3:::" in settings.destination:
            yield "<dead-letter-bucket>", settings.destination


def _of_indexer(settings: IndexerSettings | None, place: Place) -> Named:
    if settings is not None:
        yield "<indexer>", place.arn("lambda", f"function:{settings.function}")
        if (uuid := settings.event_source_mapping) is not None:
            yield "<event-source-mapping>", place.arn("lambda", f"event-source-mapping:{uuid}")


def _of_what_is_around(environment: Environment, place: Place) -> Named:
    if environment.cognito is not None:
        yield "<user-pool>", place.arn("cognito-idp", f"userpool/{environment.cognito.user_pool}")
    if environment.opensearch.domain is not None:
        yield REQUESTS, environment.opensearch.domain
    endpoint = environment.vpc_endpoint
    if endpoint is not None and not endpoint.id.startswith(("aos-", "vpce-")):
        yield "<vpc-domain>", place.arn("es", f"domain/{endpoint.id}")


def _of_api(api: ApiSettings | None, place: Place) -> Named:
    if api is not None and api.kind == "lambda":
        yield "<api-function>", place.arn("lambda", f"function:{api.function}")
    if api is not None and api.kind == "ecs":
        for kind in ("service", "service-deployment", "service-revision"):
            yield f"<{kind}>", place.arn("ecs", f"{kind}/{api.cluster}/{api.service}")


def _of_buckets(environment: Environment, place: Place) -> Named:
    parking = None if environment.dead_letters is None else environment.dead_letters.parking
    for name, path in (("reports", environment.reports), ("parking", parking)):
        if path is not None and path.startswith("s3://"):
            bucket, prefix = bucket_of(path)
            arn = f"arn:{place.partition}:s3:::{bucket}"
            yield f"<{name}>", f"{arn}/{prefix}" if prefix else arn
            yield f"<{name}-bucket>", arn
