"""Single faults of an environment: each changes one thing that an API shows."""

import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from tests.support.aws_answers import changed, refused
from tests.support.fault_proxy import Answer, Exchange, Fault, fault_proxy
from tests.support.faults import opensearch_error
from tests.support.ready_environment import CALLBACK, CIDR, FLOWS, ReadyEnvironment, rule, statement, trusting

Put = Callable[[ReadyEnvironment, ExitStack], None]
Changes = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class PreflightFault:
    """``check`` must fail with ``what`` and ``found`` in its finding and ``remedy`` in its remedy.

    ``mends``: whether carrying the remedy out makes the environment ready again; False where only a person or Airflow
    can, or where the answer was changed on its way. ``blocks``: checks that cannot tell then.
    """

    name: str
    check: str
    put: Put
    what: str
    remedy: str
    mends: bool = True
    blocks: frozenset[str] = field(default_factory=frozenset)
    kind: str = "vpce"
    found: str = ""

    def __str__(self) -> str:
        return self.name


# Ways to put one in


def act(do: Callable[[ReadyEnvironment], Any]) -> Put:
    """By a real call."""

    def put(env: ReadyEnvironment, stack: ExitStack) -> None:
        do(env)

    return put


def say(service: str, operation: str, change: Callable[[Any], Any]) -> Put:
    """By changing a field of the answer."""

    def put(env: ReadyEnvironment, stack: ExitStack) -> None:
        stack.enter_context(changed(env.asked(service), operation, change))

    return put


def at_the_wire(path: str, fault: Fault) -> Put:
    """By changing what OpenSearch answers."""

    def put(env: ReadyEnvironment, stack: ExitStack) -> None:
        proxy = stack.enter_context(fault_proxy(env.search_url))
        proxy.on(lambda exchange: exchange.path.split("?")[0] == path, fault, times=1_000)
        env.opensearch_url = proxy.url

    return put


def rewritten(change: Callable[[Any], Any]) -> Fault:
    """The server's answer with a change in it."""

    def fault(exchange: Exchange) -> None:
        answer = exchange.forward()
        content = json.loads(answer.body)
        change(content)
        exchange.reply(Answer(answer.status, answer.headers, json.dumps(content).encode()))

    return fault


# OpenSearch


def _index(**changes: Any) -> Put:
    return act(lambda env: env.make_index(**{name: change(env) for name, change in changes.items()}))


def _mappings(change: Callable[[Changes], Any]) -> Callable[[ReadyEnvironment], Changes]:
    def changed_mappings(env: ReadyEnvironment) -> Changes:
        mappings: Changes = json.loads(json.dumps(env.mappings))
        change(mappings)
        return mappings

    return changed_mappings


def _put_settings(**settings: Any) -> Put:
    body = {name.replace("__", "."): value for name, value in settings.items()}
    return act(lambda env: env.call(f"/{env.index}/_settings", "PUT", body))


def _alias_is_index(env: ReadyEnvironment) -> None:
    env.call(f"/{env.index}", "DELETE")
    env.call(f"/{env.alias}", "PUT", {"mappings": env.mappings, "settings": env.mapping_settings})


def _second_index(env: ReadyEnvironment) -> None:
    body = {"mappings": env.mappings, "settings": env.mapping_settings, "aliases": {env.alias: {}}}
    env.call(f"/{env.base}-v2", "PUT", body)


def _replicas_elsewhere(env: ReadyEnvironment, stack: ExitStack) -> None:
    name = f"/other-{env.base}"
    env.call(name, "PUT", {"settings": {"number_of_shards": 1, "number_of_replicas": 1}})
    stack.callback(env.call, name, "DELETE")


def _full_disk(stats: Changes) -> None:
    for node in stats["nodes"].values():
        node["fs"]["total"]["available_in_bytes"] = 1_000


def _old_version(nodes: Changes) -> None:
    for node in nodes["nodes"].values():
        node["version"] = "2.11.1"


OPENSEARCH = [
    PreflightFault(
        name="a field has another type",
        check="index_mapping",
        put=_index(mappings=_mappings(lambda one: one["properties"]["points"].update(type="long"))),
        what="mapping properties.points.type",
        remedy="""airflow dags trigger members_reindex --conf '{"mapping":"members.json"}'""",
        mends=False,
    ),
    PreflightFault(
        name="a field is missing",
        check="index_mapping",
        put=_index(mappings=_mappings(lambda one: one["properties"].pop("points"))),
        what="mapping properties.points",
        remedy="airflow dags trigger members_reindex",
        mends=False,
    ),
    PreflightFault(
        name="the index filters its source",
        check="index_mapping",
        put=_index(mappings=_mappings(lambda one: one.update(_source={"excludes": ["name"]}))),
        what="mapping _source",
        remedy="airflow dags trigger members_reindex",
        mends=False,
    ),
    PreflightFault(
        name="an analyzer is another one",
        check="index_mapping",
        put=_index(
            settings=lambda env: {**env.mapping_settings, "index.analysis.analyzer.folded.filter": ["lowercase"]}
        ),
        what="setting index.analysis.analyzer.folded.filter",
        remedy="airflow dags trigger members_reindex",
        mends=False,
    ),
    PreflightFault(
        name="a killed rebuild has left the index without refreshes",
        check="index_mapping",
        put=_put_settings(index__refresh_interval="-1"),
        what="setting index.refresh_interval",
        remedy='{"index.refresh_interval":"1s"}',
    ),
    PreflightFault(
        name="a killed rebuild has left another time for which deletes are remembered",
        check="index_mapping",
        put=_put_settings(index__gc_deletes="1h"),
        what="setting index.gc_deletes",
        remedy='{"index.gc_deletes":null}',
    ),
    PreflightFault(
        name="writes to the index are blocked",
        check="index_mapping",
        put=_put_settings(index__blocks__write=True),
        what="setting index.blocks.write",
        remedy='{"index.blocks.write":null}',
    ),
    PreflightFault(
        name="a pipeline changes every document",
        check="index_mapping",
        put=_put_settings(index__default_pipeline="shouting"),
        what="setting index.default_pipeline",
        remedy='{"index.default_pipeline":null}',
    ),
    PreflightFault(
        name="the alias is missing",
        check="index_mapping",
        put=act(lambda env: env.call(f"/{env.index}/_alias/{env.alias}", "DELETE")),
        what="alias",
        remedy="airflow dags trigger members_backfill",
        mends=False,
    ),
    PreflightFault(
        name="an index has the alias's name",
        check="index_mapping",
        put=act(_alias_is_index),
        what="alias",
        remedy="remove_index",
        mends=False,
    ),
    PreflightFault(
        name="the alias leads to two indices",
        check="index_mapping",
        put=act(_second_index),
        what="alias",
        remedy="Remove the alias from all but the right one",
        mends=False,
    ),
    PreflightFault(
        name="the cluster lacks a node for a copy",
        check="cluster",
        put=_replicas_elsewhere,
        what="health",
        found="yellow, 1 shards",
        remedy="/_cluster/allocation/explain",
        mends=False,
    ),
    PreflightFault(
        name="the disks are full",
        check="free_disk",
        put=at_the_wire("/_nodes/stats/fs", rewritten(_full_disk)),
        what="free disk",
        remedy="aws opensearch update-domain-config",
        mends=False,
    ),
    PreflightFault(
        name="a node is too old",
        check="cluster",
        put=at_the_wire("/_nodes", rewritten(_old_version)),
        what="version",
        found="2.11.1",
        remedy="--target-version OpenSearch_2.12",
        mends=False,
    ),
    PreflightFault(
        name="every write may make an index",
        check="auto_create_index",
        put=act(lambda env: env.call("/_cluster/settings", "PUT", {"persistent": {"action.auto_create_index": None}})),
        what="action.auto_create_index",
        remedy="/_cluster/settings",
    ),
    PreflightFault(
        name="OpenSearch refuses this worker",
        check="reachability",
        put=at_the_wire("/", opensearch_error(403, "security_exception", "no permissions for [cluster:monitor/main]")),
        what="from this worker",
        remedy="correct login and password of connection opensearch_default",
        mends=False,
        blocks=frozenset({"cluster"}),
    ),
]


# DynamoDB


def _without_index(env: ReadyEnvironment) -> None:
    update = [{"Delete": {"IndexName": "by-email"}}]
    env.make("dynamodb").update_table(TableName=env.table, GlobalSecondaryIndexUpdates=update)


def _provision(env: ReadyEnvironment) -> None:
    env.make("dynamodb").update_table(
        TableName=env.table,
        BillingMode="PROVISIONED",
        ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 5},
    )


def _no_expiry(env: ReadyEnvironment) -> None:
    env.make("dynamodb").update_time_to_live(
        TableName=env.table, TimeToLiveSpecification={"Enabled": False, "AttributeName": "expiresAt"}
    )


def _no_recovery(env: ReadyEnvironment) -> None:
    env.make("dynamodb").update_continuous_backups(
        TableName=env.table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": False}
    )


def _no_stream(env: ReadyEnvironment) -> None:
    env.make("dynamodb").update_table(TableName=env.table, StreamSpecification={"StreamEnabled": False})


def _key_of_the_index(answer: Changes) -> None:
    answer["Table"]["GlobalSecondaryIndexes"][0]["KeySchema"][0]["AttributeName"] = "phone"


DYNAMODB = [
    PreflightFault(
        name="the table is missing",
        check="table",
        put=act(lambda env: env.make("dynamodb").delete_table(TableName=env.table)),
        what="table",
        remedy="aws dynamodb create-table",
        mends=False,
        blocks=frozenset({"stream"}),
    ),
    PreflightFault(
        name="the table has another key",
        check="table",
        put=say(
            "dynamodb",
            "DescribeTable",
            lambda answer: answer["Table"]["KeySchema"].append({"AttributeName": "joinedAt", "KeyType": "RANGE"}),
        ),
        what="key",
        remedy='key: ["memberId","joinedAt"]',
        mends=False,
    ),
    PreflightFault(
        name="a key attribute has another type",
        check="table",
        put=say(
            "dynamodb",
            "DescribeTable",
            lambda answer: answer["Table"]["AttributeDefinitions"][0].update(AttributeType="N"),
        ),
        what="type of attribute memberId",
        remedy='environments.production.table_settings.attributes.memberId: "N"',
        mends=False,
    ),
    PreflightFault(
        name="the table is not ready",
        check="table",
        put=say("dynamodb", "DescribeTable", lambda answer: answer["Table"].update(TableStatus="ARCHIVED")),
        what="status",
        remedy="aws dynamodb wait table-exists",
        mends=False,
    ),
    PreflightFault(
        name="an index of the table is missing",
        check="table",
        put=act(_without_index),
        what="index by-email",
        remedy="--global-secondary-index-updates",
    ),
    PreflightFault(
        name="an index of the table has another key",
        check="table",
        put=say("dynamodb", "DescribeTable", _key_of_the_index),
        what="index by-email",
        remedy='[{"Delete":{"IndexName":"by-email"}}]',
        mends=False,
    ),
    PreflightFault(
        name="the table is paid by capacity",
        check="table",
        put=act(_provision),
        what="billing mode",
        found="PROVISIONED",
        remedy="--billing-mode PAY_PER_REQUEST",
    ),
    PreflightFault(
        name="items do not expire",
        check="table",
        put=act(_no_expiry),
        what="attribute by which items expire",
        found="nothing",
        remedy="aws dynamodb update-time-to-live",
    ),
    PreflightFault(
        name="the table cannot be restored to a moment",
        check="table",
        put=act(_no_recovery),
        what="point-in-time recovery",
        found="off",
        remedy="aws dynamodb update-continuous-backups",
    ),
    PreflightFault(
        name="the stream is off",
        check="stream",
        put=act(_no_stream),
        what="stream",
        found="off",
        remedy="aws dynamodb update-table",
        mends=False,  # it is a new stream, on which the mapping must be made anew
    ),
    PreflightFault(
        name="the stream carries keys only",
        check="stream",
        put=say(
            "dynamodb",
            "DescribeTable",
            lambda answer: answer["Table"]["StreamSpecification"].update(StreamViewType="KEYS_ONLY"),
        ),
        what="view type of the stream",
        found="KEYS_ONLY",
        remedy="what the old one still holds is lost to the indexer",
        mends=False,
    ),
]


# Roles


def _delete_role(env: ReadyEnvironment) -> None:
    iam, role = env.make("iam"), f"{env.base}-indexer"
    iam.delete_role_policy(RoleName=role, PolicyName="needs")
    iam.delete_role(RoleName=role)


def _policy(change: Callable[[ReadyEnvironment, list[Changes]], Any]) -> Put:
    def do(env: ReadyEnvironment) -> None:
        statements = env.indexer_statements()
        change(env, statements)
        env.put_policy("indexer", statements)

    return act(do)


def _deny(env: ReadyEnvironment, statements: list[Changes]) -> None:
    statements.append({"Sid": "NoReads", "Effect": "Deny", "Action": "dynamodb:BatchGet*", "Resource": "*"})


def _documents_only(put: Put) -> Put:
    """Where IAM's simulator may not be asked."""

    def also(env: ReadyEnvironment, stack: ExitStack) -> None:
        stack.enter_context(refused(env.asked("iam"), "SimulatePrincipalPolicy"))
        put(env, stack)

    return also


def _boundary(env: ReadyEnvironment) -> None:
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement(["dynamodb:*", "sqs:*", "logs:*"], "*")]})
    policy = env.make("iam").create_policy(PolicyName=f"{env.base}-boundary", PolicyDocument=document)
    env.make("iam").put_role_permissions_boundary(
        RoleName=f"{env.base}-indexer", PermissionsBoundary=policy["Policy"]["Arn"]
    )


def _on_condition(env: ReadyEnvironment, statements: list[Changes]) -> None:
    statements[2]["Condition"] = {"StringEquals": {"aws:SourceVpce": "vpce-1"}}


def _other_account(answer: Changes) -> None:
    answer["Role"]["Arn"] = answer["Role"]["Arn"].replace("000000000000", "111111111111")


ROLES = [
    PreflightFault(
        name="a role is missing",
        check="roles",
        put=act(_delete_role),
        what="role",
        remedy="aws iam create-role",
        mends=False,  # a role without policies
    ),
    PreflightFault(
        name="a role of that name is in another account",
        check="roles",
        put=say("iam", "GetRole", _other_account),
        what="role",
        remedy="let connection aws_default lead to account 000000000000",
        mends=False,
    ),
    PreflightFault(
        name="another service may assume the role",
        check="roles",
        put=act(lambda env: env.put_trust("indexer", [trusting("ec2.amazonaws.com")])),
        what="lambda.amazonaws.com assuming",
        remedy="aws iam update-assume-role-policy",
    ),
    PreflightFault(
        name="the trust policy denies the service",
        check="roles",
        put=act(
            lambda env: env.put_trust(
                "indexer",
                [
                    trusting("lambda.amazonaws.com"),
                    {**trusting("lambda.amazonaws.com"), "Effect": "Deny", "Sid": "NotLambda"},
                ],
            )
        ),
        what="lambda.amazonaws.com assuming",
        remedy="aws iam update-assume-role-policy",
    ),
    PreflightFault(
        name="everybody may assume the role",
        check="roles",
        put=act(
            lambda env: env.put_trust(
                "indexer",
                [trusting("lambda.amazonaws.com"), {**trusting("x"), "Principal": {"AWS": "*"}}],
            )
        ),
        what="trust policy",
        remedy="aws iam update-assume-role-policy",
    ),
    PreflightFault(
        name="an action is not allowed",
        check="roles",
        put=_policy(lambda env, statements: statements[0]["Action"].remove("dynamodb:GetRecords")),
        what="dynamodb:GetRecords",
        found="not allowed on",
        remedy="--policy-name members-dynamodb-GetRecords",
    ),
    PreflightFault(
        name="an action is not allowed, by the documents",
        check="roles",
        put=_documents_only(_policy(lambda env, statements: statements.pop(3))),
        what="es:ESHttpGet",
        remedy="--policy-name members-es-ESHttpGet",
    ),
    PreflightFault(
        name="an action is denied",
        check="roles",
        put=_policy(_deny),
        what="dynamodb:BatchGetItem",
        found="denied on arn:aws:dynamodb",
        remedy="take the Deny out of NoReads of inline policy needs; aws iam get-role-policy",
        mends=False,
    ),
    PreflightFault(
        name="an action is allowed on another queue",
        check="roles",
        put=_policy(lambda env, statements: statements[2].update(Resource=f"{env.queue_arn}-of-staging")),
        what="sqs:SendMessage",
        remedy="aws iam put-role-policy",
    ),
    PreflightFault(
        name="an action is allowed on everything",
        check="roles",
        put=_policy(lambda env, statements: statements[1].update(Resource="*")),
        what="dynamodb:BatchGetItem",
        remedy="then take dynamodb:BatchGetItem out of inline policy needs",
        mends=False,
    ),
    PreflightFault(
        name="an action is allowed on every table",
        check="roles",
        put=_documents_only(
            _policy(lambda env, statements: statements[1].update(Resource="arn:aws:dynamodb:*:*:table/*"))
        ),
        what="dynamodb:BatchGetItem",
        remedy="then take dynamodb:BatchGetItem out of inline policy needs",
        mends=False,
    ),
    PreflightFault(
        name="an action is allowed under a condition",
        check="roles",
        put=_documents_only(_policy(_on_condition)),
        what="sqs:SendMessage",
        found="conditional on",
        remedy='environments.production.roles.indexer.conditional: ["sqs:SendMessage"]',
        mends=False,
    ),
    PreflightFault(
        name="a boundary leaves an action out",
        check="roles",
        put=_documents_only(act(_boundary)),
        what="es:ESHttpGet",
        remedy="aws iam put-role-policy",
        mends=False,
    ),
]


# Network


def _revoke(*kept: str) -> Put:
    """The endpoint's rules, without the one for a group or range."""

    def do(env: ReadyEnvironment) -> None:
        group = {"airflow": env.airflow_group, "indexer": env.indexer_group}.get(kept[0])
        taken = rule(UserIdGroupPairs=[{"GroupId": group}]) if group else rule(IpRanges=[{"CidrIp": CIDR}])
        env.make("ec2").revoke_security_group_ingress(GroupId=env.endpoint_group, IpPermissions=[taken])

    return act(do)


def _no_egress(env: ReadyEnvironment) -> None:
    everything = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    env.make("ec2").revoke_security_group_egress(GroupId=env.indexer_group, IpPermissions=[everything])


NETWORK = [
    PreflightFault(
        name="the endpoint is missing",
        check="vpc_endpoint",
        put=act(lambda env: env.make("ec2").delete_vpc_endpoints(VpcEndpointIds=[env.endpoint])),
        what="endpoint vpce-",
        remedy="aws ec2 describe-vpc-endpoints",
        mends=False,
    ),
    PreflightFault(
        name="the domain is missing",
        check="vpc_endpoint",
        put=act(lambda env: env.make("opensearch").delete_domain(DomainName=env.base)),
        what="endpoint",
        remedy="aws opensearch list-domain-names",
        mends=False,
        kind="domain",
    ),
    PreflightFault(
        name="nobody has accepted the endpoint",
        check="vpc_endpoint",
        put=say(
            "ec2", "DescribeVpcEndpoints", lambda answer: answer["VpcEndpoints"][0].update(State="pendingAcceptance")
        ),
        what="state",
        remedy="accept or wait for it",
        mends=False,
    ),
    PreflightFault(
        name="the managed endpoint could not be made",
        check="vpc_endpoint",
        put=act(lambda env: env.managed_endpoint.update(Status="CREATE_FAILED")),
        what="state",
        remedy="aws opensearch describe-vpc-endpoints",
        mends=False,
        kind="aos",
    ),
    PreflightFault(
        name="the endpoint leads to another domain",
        check="vpc_endpoint",
        put=act(lambda env: env.managed_endpoint.update(DomainArn=f"{env.domain}-of-staging")),
        what="domain that the endpoint leads to",
        remedy="environments.production.opensearch.domain",
        mends=False,
        kind="aos",
    ),
    PreflightFault(
        name="the endpoint is a gateway",
        check="vpc_endpoint",
        put=say(
            "ec2", "DescribeVpcEndpoints", lambda answer: answer["VpcEndpoints"][0].update(VpcEndpointType="Gateway")
        ),
        what="kind",
        remedy="environments.production.vpc_endpoint.id",
        mends=False,
    ),
    PreflightFault(
        name="the endpoint is not in a subnet",
        check="vpc_endpoint",
        put=act(
            lambda env: env.make("ec2").modify_vpc_endpoint(
                VpcEndpointId=env.endpoint, RemoveSubnetIds=[env.subnets[1]]
            )
        ),
        what="subnets",
        found="subnet-",
        remedy="--add-subnet-ids subnet-",
    ),
    PreflightFault(
        name="the endpoint does not let the indexer in",
        check="vpc_endpoint",
        put=_revoke("indexer"),
        what="port 443 from sg-",
        remedy="aws ec2 authorize-security-group-ingress",
    ),
    PreflightFault(
        name="the endpoint does not let an address range in",
        check="vpc_endpoint",
        put=_revoke(CIDR),
        what=f"port 443 from {CIDR}",
        remedy=f'"IpRanges":[{{"CidrIp":"{CIDR}"}}]',
    ),
    PreflightFault(
        name="the indexer's group lets nothing out",
        check="vpc_endpoint",
        put=act(_no_egress),
        what="port 443 out of sg-",
        remedy="aws ec2 authorize-security-group-egress",
    ),
    PreflightFault(
        name="a security group is missing",
        check="vpc_endpoint",
        put=act(lambda env: env.settings["vpc_endpoint"]["from_security_groups"].append("sg-00000000000000000")),
        what="security group sg-00000000000000000",
        remedy="environments.production.vpc_endpoint.from_security_groups",
        mends=False,
    ),
]


# Cognito


def _update_client(**changes: Any) -> Put:
    def do(env: ReadyEnvironment) -> None:
        kept = {"ExplicitAuthFlows": FLOWS, "CallbackURLs": ["https://app.example.com/callback"]}
        env.make("cognito-idp").update_user_pool_client(
            UserPoolId=env.pool, ClientId=env.app_client, **{**kept, **changes}
        )

    return act(do)


COGNITO = [
    PreflightFault(
        name="the user pool is missing",
        check="cognito",
        put=act(lambda env: env.make("cognito-idp").delete_user_pool(UserPoolId=env.pool)),
        what="user pool",
        remedy="aws cognito-idp list-user-pools",
        mends=False,
    ),
    PreflightFault(
        name="the app client is missing",
        check="cognito",
        put=act(
            lambda env: env.make("cognito-idp").delete_user_pool_client(UserPoolId=env.pool, ClientId=env.app_client)
        ),
        what="app client",
        remedy=f"--explicit-auth-flows {FLOWS[0]} {FLOWS[1]} --callback-urls {CALLBACK}",
        mends=False,  # a client of another id
    ),
    PreflightFault(
        name="the app client is another pool's",
        check="cognito",
        put=say(
            "cognito-idp",
            "DescribeUserPoolClient",
            lambda answer: answer["UserPoolClient"].update(UserPoolId="eu-central-1_other"),
        ),
        what="pool of app client",
        remedy='environments.production.cognito.user_pool: "eu-central-1_other"',
        mends=False,
    ),
    PreflightFault(
        name="an authentication flow is not allowed",
        check="cognito",
        put=_update_client(ExplicitAuthFlows=FLOWS[:1]),
        what="authentication flows",
        found="ALLOW_REFRESH_TOKEN_AUTH",
        remedy="aws cognito-idp update-user-pool-client",
    ),
    PreflightFault(
        name="a callback address is not registered",
        check="cognito",
        put=_update_client(CallbackURLs=["https://staging.example.com/callback"]),
        what="callback addresses",
        remedy="https://app.example.com/callback",
    ),
]


# Dead letters


def _queue(**attributes: str) -> Put:
    return act(lambda env: env.make("sqs").set_queue_attributes(QueueUrl=env.queue_url, Attributes=attributes))


def _key_disabled(env: ReadyEnvironment) -> None:
    key = env.make("kms").create_key()["KeyMetadata"]["KeyId"]
    env.make("sqs").set_queue_attributes(
        QueueUrl=env.queue_url, Attributes={"KmsMasterKeyId": key, "SqsManagedSseEnabled": "false"}
    )
    env.make("kms").disable_key(KeyId=key)


DEAD_LETTERS = [
    PreflightFault(
        name="the dead-letter queue is missing",
        check="dead_letters",
        put=act(lambda env: env.make("sqs").delete_queue(QueueUrl=env.queue_url)),
        what="queue",
        remedy="aws sqs create-queue",
    ),
    PreflightFault(
        name="the dead-letter queue is not encrypted",
        check="dead_letters",
        put=_queue(SqsManagedSseEnabled="false"),
        what="encryption",
        found="none",
        remedy="aws sqs set-queue-attributes",
    ),
    PreflightFault(
        name="the key of the dead-letter queue is disabled",
        check="dead_letters",
        put=act(_key_disabled),
        what="KMS key",
        remedy="aws kms enable-key",
    ),
    PreflightFault(
        name="dead letters are kept for three days",
        check="dead_letters",
        put=_queue(MessageRetentionPeriod="259200"),
        what="retention",
        found="259200 s",
        remedy='{"MessageRetentionPeriod":"1209600"}',
    ),
    PreflightFault(
        name="the mapping's failures go to another queue",
        check="dead_letters",
        put=act(
            lambda env: env.update_mapping(
                DestinationConfig={"OnFailure": {"Destination": f"{env.queue_arn}-of-staging"}}
            )
        ),
        what="on-failure destination",
        remedy="aws lambda update-event-source-mapping",
    ),
    PreflightFault(
        name="nothing watches the dead-letter queue",
        check="dead_letter_alarm",
        put=act(lambda env: env.make("cloudwatch").delete_alarms(AlarmNames=[f"{env.queue}-depth"])),
        what="alarm on ApproximateNumberOfMessagesVisible",
        remedy="aws cloudwatch put-metric-alarm",
    ),
    PreflightFault(
        name="the alarm is switched off",
        check="dead_letter_alarm",
        put=act(lambda env: env.make("cloudwatch").disable_alarm_actions(AlarmNames=[f"{env.queue}-depth"])),
        what="actions of alarm",
        found="disabled",
        remedy="aws cloudwatch enable-alarm-actions",
    ),
    PreflightFault(
        name="the alarm tells nobody",
        check="dead_letter_alarm",
        put=act(lambda env: env.put_alarm(AlarmActions=[])),
        what="action of alarm",
        found="none",
        remedy="arn:aws:sns:eu-central-1:000000000000:on-call",
    ),
    PreflightFault(
        name="the alarm tells somebody else",
        check="dead_letter_alarm",
        put=act(lambda env: env.put_alarm(AlarmActions=["arn:aws:sns:eu-central-1:000000000000:others"])),
        what="action of alarm",
        remedy="arn:aws:sns:eu-central-1:000000000000:on-call",
    ),
    PreflightFault(
        name="the alarm sounds when the queue is empty",
        check="dead_letter_alarm",
        put=act(lambda env: env.put_alarm(ComparisonOperator="LessThanThreshold")),
        what="comparison of alarm",
        remedy="GreaterThanThreshold",
    ),
]


# Indexer


def _mapping(**changes: Any) -> Put:
    return act(lambda env: env.update_mapping(**changes))


def _say_mapping(**changes: Any) -> Put:
    return say("lambda", "GetEventSourceMapping", lambda answer: answer.update(changes))


def _delete_mapping(env: ReadyEnvironment) -> None:
    env.make("lambda").delete_event_source_mapping(UUID=env.mapping_uuid)


def _say_function(**changes: Any) -> Put:
    return say("lambda", "GetFunctionConfiguration", lambda answer: answer.update(changes))


INDEXER = [
    PreflightFault(
        name="the event source mapping is missing",
        check="event_source_mapping",
        put=act(_delete_mapping),
        what="event source mapping",
        remedy="aws lambda list-event-source-mappings",
        mends=False,
    ),
    PreflightFault(
        name="the indexer is not called",
        check="event_source_mapping",
        put=_mapping(Enabled=False),
        what="state",
        found="Disabled",
        remedy="--enabled",
    ),
    PreflightFault(
        name="batches are collected for a minute",
        check="event_source_mapping",
        put=_mapping(MaximumBatchingWindowInSeconds=60),
        what="batch window",
        remedy="--maximum-batching-window-in-seconds 5",
    ),
    PreflightFault(
        name="a failing batch is not bisected",
        check="event_source_mapping",
        put=_mapping(BisectBatchOnFunctionError=False),
        what="bisecting",
        remedy="--bisect-batch-on-function-error",
    ),
    PreflightFault(
        name="a failing batch is retried for ever",
        check="event_source_mapping",
        put=_mapping(MaximumRetryAttempts=-1),
        what="retries",
        found="without end",
        remedy="--maximum-retry-attempts 10",
    ),
    PreflightFault(
        name="what the function reports as failed is ignored",
        check="event_source_mapping",
        put=_mapping(FunctionResponseTypes=[]),
        what="partial batch responses",
        remedy="--function-response-types ReportBatchItemFailures",
    ),
    PreflightFault(
        name="failures go nowhere",
        check="event_source_mapping",
        put=_mapping(DestinationConfig={}),
        what="on-failure destination",
        remedy="--destination-config",
    ),
    PreflightFault(
        name="a filter keeps deletes from the indexer",
        check="event_source_mapping",
        put=_mapping(FilterCriteria={"Filters": [{"Pattern": '{"eventName":["INSERT"]}'}]}),
        what="filter",
        remedy='{"Filters":[]}',
    ),
    PreflightFault(
        name="another function is called",
        check="event_source_mapping",
        put=_say_mapping(FunctionArn="arn:aws:lambda:eu-central-1:000000000000:function:another:live"),
        what="function",
        remedy="--function-name",
        mends=False,
    ),
    PreflightFault(
        name="the mapping reads a stream that was switched off since",
        check="event_source_mapping",
        put=_say_mapping(
            EventSourceArn="arn:aws:dynamodb:eu-central-1:000000000000:table/members/stream/2020-01-01T00:00:00.000"
        ),
        what="stream",
        remedy="aws lambda create-event-source-mapping",
        mends=False,
    ),
    PreflightFault(
        name="the function is missing",
        check="indexer_function",
        put=act(lambda env: env.make("lambda").delete_function(FunctionName=env.function)),
        what="function",
        remedy="aws lambda create-function",
        mends=False,
    ),
    PreflightFault(
        name="the function's alias is missing",
        check="indexer_function",
        put=act(lambda env: env.make("lambda").delete_alias(FunctionName=env.function, Name="live")),
        what="alias live",
        remedy="aws lambda create-alias",
    ),
    PreflightFault(
        name="the function's last update failed",
        check="indexer_function",
        put=_say_function(LastUpdateStatus="Failed", LastUpdateStatusReasonCode="InvalidSubnet"),
        what="last update",
        found="Failed (InvalidSubnet)",
        remedy="aws lambda update-function-code",
        mends=False,
    ),
    PreflightFault(
        name="the function's last update goes on",
        check="indexer_function",
        put=_say_function(LastUpdateStatus="InProgress"),
        what="last update",
        found="InProgress",
        remedy="aws lambda wait function-updated-v2",
        mends=False,
    ),
    PreflightFault(
        name="the function is not active",
        check="indexer_function",
        put=_say_function(State="Failed", StateReasonCode="EniLimitExceeded"),
        what="state",
        found="Failed (EniLimitExceeded)",
        remedy="aws lambda get-function-configuration",
        mends=False,
    ),
    PreflightFault(
        name="the indexer is behind",
        check="indexer_function",
        put=act(lambda env: env.put_iterator_age(1_800)),
        what="iterator age",
        found="1800 s",
        remedy="aws logs tail",
        mends=False,
    ),
]

FAULTS = [*OPENSEARCH, *DYNAMODB, *ROLES, *NETWORK, *COGNITO, *DEAD_LETTERS, *INDEXER]
