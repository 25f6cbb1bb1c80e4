"""docs/iam.md: what each DAG needs, for people."""

from collections.abc import Iterator, Sequence

from tools.iam.calls import OF_A_DEPLOYMENT, Calls
from tools.iam.needs import VIA
from tools.iam.operations import Right
from tools.iam.policies import Need, needs_of
from tools.iam.sample import sample_target

SERVER = "api_server"
"""Kind of the calls that no DAG makes: Airflow's API server, when it shows a page."""

HEAD = """\
# Rights

Made from the calls that the tests recorded by `python -m tools.iam`; do not edit. For each DAG the least policy: what
its tasks, and its triggers in the triggerer, ask of AWS, on which resource. The same as JSON, for a target `members`
that has everything, is in [iam/](iam/). With your own names, for all DAGs that use a role or for one:

```sh
python -m tools.iam --target members --environment production --account 123456789012
python -m tools.iam --target members --environment production --account 123456789012 --dag members_backfill
```

It reads the target file in `include/`; what the file does not name is left out, and said. `--region` where the file has
none. Keys of your own are named by `--table-key`, `--queue-key`, `--reports-key` and `--dead-letter-bucket-key`, the
roles of ECS tasks by `--task-role`.

Usually all tasks have one role: it needs what the DAGs that you use need together, which the first line prints as one
policy. A refused call says in the task's log which action on which resource is missing, and in which of these policies
it stands.

What is not in them: the calls of the [indexer's own role](indexer-contract.md); what Airflow itself needs for logs,
XCom and secrets; `sts:AssumeRole`, where the AWS connection names a role.

**OpenSearch**: on a domain of Amazon's with IAM in front, the request's method is the action and its path the resource.
IAM does not see what stands in a body, such as the indices of a bulk or a point in time. With fine-grained access
control the role needs [rights inside OpenSearch](rebuild.md#what-the-roles-need) as well, and the domain's access
policy must not refuse it. An index that was adopted, so that its name does not begin like the alias, has to be added.

**KMS**: a key is needed where table, queue or bucket is encrypted with a key of your own, and then only through that
service (`kms:ViaService`). The key's policy must let IAM decide, or name the role. OpenSearch Service uses a domain's
key itself.

**S3**: `s3:ListBucket` is for the whole bucket, since S3 answers 403 in place of 404 to whom may not list it. Give the
reports a bucket of their own.

## Names

| stands for | ARN | from the target file |
|---|---|---|
"""

LEGEND = (
    ("<table>", "arn:aws:dynamodb:<region>:<account>:table/…", "`table`"),
    ("<opensearch>", "arn:aws:es:<region>:<account>:domain/…", "`opensearch.domain`"),
    ("<base>, <alias>", "names of indices begin with them", "`alias` without `-live`, `alias`"),
    ("<state>", "the state index", "`DYNAMO_OPENSEARCH_STATE_INDEX`, here `--state-index`"),
    ("<queue>", "arn:aws:sqs:<region>:<account>:…", "`dead_letters.queue`"),
    ("<dead-letter-bucket>", "arn:aws:s3:::…", "`dead_letters.destination`, where it is a bucket"),
    ("<reports>, <reports-bucket>", "arn:aws:s3:::…", "`reports`, where it is in S3, and its bucket"),
    ("<parking>, <parking-bucket>", "arn:aws:s3:::…", "`dead_letters.parking`, where it is in S3, and its bucket"),
    ("<name>", "a folder's name", "`name`"),
    ("<indexer>", "arn:aws:lambda:<region>:<account>:function:…", "`indexer.function`"),
    ("<indexer-package>", "arn:aws:s3:::…/…", "`indexer.package`, where it is in S3"),
    (
        "<event-source-mapping>",
        "arn:aws:lambda:<region>:<account>:event-source-mapping:…",
        "`indexer.event_source_mapping`",
    ),
    ("<api-function>", "arn:aws:lambda:<region>:<account>:function:…", "`api.function`"),
    ("<service>", "arn:aws:ecs:<region>:<account>:service/…/…", "`api.cluster`, `api.service`"),
    ("<service-deployment>, <service-revision>", "the same, of another kind", "the same"),
    ("<vpc-domain>", "arn:aws:es:<region>:<account>:domain/…", "`vpc_endpoint.id`, where it is a domain"),
    ("<user-pool>", "arn:aws:cognito-idp:<region>:<account>:userpool/…", "`cognito.user_pool`"),
    ("<role>", "arn:aws:iam::<account>:role/…", "`roles`, each of them"),
)


def page(calls: Calls) -> str:
    """The whole page."""
    legend = [f"| {_code(names)} | {_code(arn) if ':' in arn else arn} | {field} |" for names, arn, field in LEGEND]
    return HEAD + "\n".join([*legend, *(line for kind in calls.kinds for line in _section(kind, calls))]) + "\n"


def dag_id(kind: str, target: str) -> str:
    """The DAG's id, which is the name of its policy."""
    return kind if kind.startswith(OF_A_DEPLOYMENT) or kind == SERVER else f"{target}_{kind}"


def _section(kind: str, calls: Calls) -> Iterator[str]:
    name = dag_id(kind, sample_target().name)
    yield f"\n## {name}\n"
    if kind == SERVER:
        yield "No DAG: Airflow's API server, where it shows the [page of a reconciliation](reconciliation-page.md).\n"
    if kind.startswith(OF_A_DEPLOYMENT):
        yield "One for the deployment: for each target that has DAGs.\n"
    yield f"As JSON: [iam/{name}.json](iam/{name}.json)\n"
    yield "| action | on | asked by |\n|---|---|---|"
    needs = needs_of(kind, calls)
    for action in sorted({need.right.action for need in needs}):
        for forms, by in _rows([need for need in needs if need.right.action == action]):
            yield f"| `{action}` | {', '.join(map(_shown, forms))} | {by} |"


def _rows(needs: Sequence[Need]) -> list[tuple[list[Right], str]]:
    """Resources that are asked for by the same tasks."""
    rows: dict[str, list[Right]] = {}
    for need in needs:
        by = need.why or ", ".join(f"`{task}`" for task in sorted(need.tasks) if task) or "it"
        rows.setdefault(by, []).append(need.right)
    return [(rights, by) for by, rights in rows.items()]


def _shown(right: Right) -> str:
    via = VIA.get(right.resource) if right.action != "kms:DescribeKey" else None
    return f"`{right.resource}`" + (f" through {via}" if via else "")


def _code(names: str) -> str:
    return ", ".join(f"`{name}`" for name in names.split(", "))
