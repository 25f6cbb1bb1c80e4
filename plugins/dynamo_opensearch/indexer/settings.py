"""What the function is told by environment variables, checked once, at its cold start."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import ValidationError

from dynamo_opensearch.core.errors import PermanentError
from dynamo_opensearch.core.loopback import is_loopback
from dynamo_opensearch.core.targets.include_folder import environment_name, include_folder
from dynamo_opensearch.core.targets.model import Target

TARGET_FILE = "DYNAMO_OPENSEARCH_TARGET_FILE"
"""A file below include/, such as ``targets/members.yaml``. DYNAMO_OPENSEARCH_ENVIRONMENT chooses one of its
environments, ``local`` where it is not set."""
URL = "DYNAMO_OPENSEARCH_URL"
AUTH = "DYNAMO_OPENSEARCH_AUTH"
USER = "DYNAMO_OPENSEARCH_USER"
PASSWORD = "DYNAMO_OPENSEARCH_PASSWORD"  # noqa: S105 - the variable's name
REGION = "DYNAMO_OPENSEARCH_REGION"
DYNAMODB_URL = "DYNAMO_OPENSEARCH_DYNAMODB_URL"

Authentication = Literal["none", "basic", "sigv4"]


class IndexerSettingsError(PermanentError):
    """The function's environment variables, or the target file that they name, cannot be used."""

    def __init__(self, variable: str, problem: str) -> None:
        super().__init__(variable, problem)
        self.variable, self.problem = variable, problem

    def __str__(self) -> str:
        return f"{self.variable} {self.problem}. Set it in the Lambda function's configuration."


@dataclass(frozen=True, kw_only=True)
class IndexerSettings:
    """What the function needs to know; ``password`` is in no repr.

    ``region``: OpenSearch's, for sigv4. ``table_region``: None for the function's own. ``dynamodb_url``: a local one.
    """

    target: Target
    margin_s: float
    url: str
    auth: Authentication
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    region: str | None = None
    table_region: str | None = None
    dynamodb_url: str | None = None


def read_settings(variables: Mapping[str, str]) -> IndexerSettings:
    """The settings that these environment variables say.

    Raises:
        IndexerSettingsError: one is missing or makes no sense.
        IncludeFolderError: there is no include/ folder.
        UnknownEnvironmentError: the target file does not have this environment.
    """
    target = _read_target(include_folder(variables) / _needed(variables, TARGET_FILE))
    environment = environment_name(variables)
    here = target.in_environment(environment)
    chosen = here.environments[environment]
    url = _url(_needed(variables, URL), URL)
    return IndexerSettings(
        target=here,
        margin_s=chosen.margin_s,
        url=url,
        auth=_authentication(variables, url),
        user=variables.get(USER),
        password=variables.get(PASSWORD),
        region=variables.get(REGION) or variables.get("AWS_REGION"),
        table_region=chosen.region,
        dynamodb_url=_loopback_url(variables.get(DYNAMODB_URL)),
    )


def _needed(variables: Mapping[str, str], name: str) -> str:
    if not (value := variables.get(name, "")):
        raise IndexerSettingsError(name, "is not set")
    return value


def _read_target(path: Path) -> Target:
    """One target file, without what only Airflow needs to know."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        problem = f"names {path.name!r}, which cannot be read as YAML ({type(error).__name__})"
        raise IndexerSettingsError(TARGET_FILE, problem) from error
    if not isinstance(content, dict):
        raise IndexerSettingsError(TARGET_FILE, f"names {path.name!r}, which is no YAML mapping")
    try:
        target = Target.model_validate({name: value for name, value in content.items() if name != "airflow"})
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise IndexerSettingsError(TARGET_FILE, f"names {path.name!r}, which has mistakes: {problems}") from error
    if target.indexer_writes != "versioned":
        raise IndexerSettingsError(
            TARGET_FILE, f"names {path.name!r} with indexer_writes: unversioned, but this indexer stamps its writes"
        )
    return target


def _url(url: str, variable: str) -> str:
    if not url.startswith("https://") and not (url.startswith("http://") and is_loopback(url)):
        raise IndexerSettingsError(variable, "must begin with https:// (http:// on a loopback address only)")
    return url


def _loopback_url(url: str | None) -> str | None:
    if url and not is_loopback(url):
        raise IndexerSettingsError(DYNAMODB_URL, "must be a loopback address; leave it out for AWS's own")
    return url or None


def _authentication(variables: Mapping[str, str], url: str) -> Authentication:
    kind: Any = _needed(variables, AUTH)
    if kind not in ("none", "basic", "sigv4"):
        raise IndexerSettingsError(AUTH, f"must be none, basic or sigv4, got {kind!r}")
    if kind == "none" and not is_loopback(url):
        raise IndexerSettingsError(AUTH, "must not be none: that is for loopback addresses only")
    if kind == "basic":
        _needed(variables, USER)
        _needed(variables, PASSWORD)
    if kind == "sigv4" and not (variables.get(REGION) or variables.get("AWS_REGION")):
        raise IndexerSettingsError(REGION, "is not set, nor is AWS_REGION; sigv4 needs a region")
    authentication: Authentication = kind
    return authentication
