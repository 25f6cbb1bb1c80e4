"""The names that stand in docs/iam.md and the policies beside it: of a target that has everything."""

from collections.abc import Iterator

import yaml

from dynamo_opensearch.core.targets.arns import Place
from dynamo_opensearch.core.targets.model import Target
from tools.iam.names import Names, names_of
from tools.local import paths

REGION, ACCOUNT = "<region>", "<account>"
DIGITS = "123456789012"
"""For ARNs of the target file, which are checked."""

_ENVIRONMENT = f"""
    region: eu-central-1
    reports: s3://aws_default@members-reports/members
    opensearch:
      domain: arn:aws:es:eu-central-1:{DIGITS}:domain/members
    dead_letters:
      queue: members-indexer-dlq
      destination: arn:aws:s3:::members-dead-letters
      parking: s3://aws_default@members-parked/members
    indexer:
      function: members-indexer
      alias: live
      event_source_mapping: 9e471faa-d716-4725-925a-03fb5b2057ef
      package: s3://members-code/indexer.zip
    vpc_endpoint:
      id: members
    cognito:
      user_pool: eu-central-1_AbCdEfGhI
      app_client: 1example23456789
    roles:
      indexer:
        arn: arn:aws:iam::{DIGITS}:role/members-indexer
"""
_APIS = (
    {"kind": "ecs", "cluster": "members", "service": "members-api"},
    {"kind": "lambda", "function": "members-api", "alias": "live"},
)
OTHERS = {
    "<table-key>": [f"arn:aws:kms:{REGION}:{ACCOUNT}:key/<table-key>"],
    "<queue-key>": [f"arn:aws:kms:{REGION}:{ACCOUNT}:key/<queue-key>"],
    "<reports-key>": [f"arn:aws:kms:{REGION}:{ACCOUNT}:key/<reports-key>"],
    "<dead-letter-bucket-key>": [f"arn:aws:kms:{REGION}:{ACCOUNT}:key/<dead-letter-bucket-key>"],
    "<task-role>": [f"arn:aws:iam::{ACCOUNT}:role/<task-role>"],
}
PRODUCTION = "production"


def sample_target(api: int = 0) -> Target:
    """The members in an environment ``production`` that names all that a target can; ``api``: which of the two."""
    content = yaml.safe_load((paths.ROOT / "include" / "targets" / "members.yaml").read_text())
    environment = {**yaml.safe_load(_ENVIRONMENT), "api": _APIS[api]}
    return Target.model_validate({**content, "environments": {PRODUCTION: environment}})


def sample_names() -> Iterator[Names]:
    """With region and account left open; an API is either a service of ECS or a function."""
    place = Place(partition="aws", region=REGION, account=ACCOUNT)
    for api in range(len(_APIS)):
        names = names_of(sample_target(api), PRODUCTION, place, OTHERS)
        arns = {placeholder: tuple(map(_opened, found)) for placeholder, found in names.arns.items()}
        yield Names(arns=arns, words=names.words)


def _opened(arn: str) -> str:
    return arn.replace("eu-central-1:", f"{REGION}:").replace(DIGITS, ACCOUNT)
