"""Policies with the names of one's own target files."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dynamo_opensearch.core.targets.arns import Place
from dynamo_opensearch.core.targets.loading import TargetFilesError, load_targets
from dynamo_opensearch.core.targets.model import Target
from tools.iam.calls import OF_A_DEPLOYMENT, Calls
from tools.iam.names import Names, Others, names_of
from tools.iam.page import SERVER, dag_id
from tools.iam.policies import Document, left_out, policy_of


class WrongNameError(ValueError):
    """What was asked for by name is not there."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a policy is asked for. ``dag``: a DAG's id; None: one policy for all DAGs of the target together."""

    include: Path
    target: str
    environment: str
    account: str
    region: str | None
    partition: str
    state_index: str
    dag: str | None
    others: Others


def own_policy(asked: Asked, calls: Calls) -> tuple[Document, list[str]]:
    """The policy, and placeholders of what was left out, since the target's file does not name it.

    Raises:
        WrongNameError: there is no such target or DAG, or nothing says in which region.
        UnknownEnvironmentError: the target's file does not name the environment.
        TargetFilesError: there is no such target, but files with mistakes.
    """
    targets = _targets(asked)
    named = [_names(asked, target) for target in targets]
    kinds = list(_kinds(asked, calls))
    own = [kind for kind in kinds if not kind.startswith(OF_A_DEPLOYMENT)]
    shared = [kind for kind in kinds if kind.startswith(OF_A_DEPLOYMENT)]
    mine = next(names for names, target in zip(named, targets, strict=True) if target.name == asked.target)
    document = policy_of([(own, [mine]), (shared, named)], calls)
    return document, left_out(kinds, calls, mine)


def _targets(asked: Asked) -> list[Target]:
    """All that have DAGs, and the one that is asked for, which need not have."""
    loaded = load_targets(asked.include)
    if asked.target not in loaded.targets:
        if loaded.problems:
            raise TargetFilesError(loaded.problems)
        raise WrongNameError(f"no target file is named {asked.target!r}; there are {', '.join(loaded.targets)}")
    return [
        target
        for target in loaded.targets.values()
        if target.name == asked.target or (target.enabled and asked.environment in target.environments)
    ]


def _names(asked: Asked, target: Target) -> Names:
    region = asked.region or target.in_environment(asked.environment).environments[asked.environment].region
    if region is None:
        raise WrongNameError(f"environment {asked.environment!r} of {target.name} has no region: give --region")
    place = Place(partition=asked.partition, region=region, account=asked.account)
    return names_of(target, asked.environment, place, asked.others, asked.state_index)


def _kinds(asked: Asked, calls: Calls) -> Iterator[str]:
    ids = {dag_id(kind, asked.target): kind for kind in calls.kinds}
    if asked.dag is None:
        yield from (kind for kind in calls.kinds if kind != SERVER)
    elif asked.dag in ids:
        yield ids[asked.dag]
    else:
        raise WrongNameError(f"no policy is named {asked.dag!r}; there are {', '.join(ids)}")
