"""In which policies of docs/iam.md an action stands. Made by `python -m tools.iam`; do not edit."""

POLICIES_WITH: dict[str, tuple[str, ...]] = {
    "cloudwatch:DescribeAlarmsForMetric": ("<target>_preflight",),
    "cloudwatch:GetMetricStatistics": ("<target>_preflight",),
    "cognito-idp:DescribeUserPool": ("<target>_preflight",),
    "cognito-idp:DescribeUserPoolClient": ("<target>_preflight",),
    "dynamodb:BatchGetItem": ("<target>_dlq_replay",),
    "dynamodb:DescribeContinuousBackups": ("<target>_preflight",),
    "dynamodb:DescribeTable": (
        "<target>_backfill",
        "<target>_dlq_replay",
        "<target>_preflight",
    ),
    "dynamodb:DescribeTimeToLive": ("<target>_preflight",),
    "dynamodb:Scan": ("<target>_backfill",),
    "ec2:DescribeSecurityGroups": ("<target>_preflight",),
    "es:DescribeDomain": ("<target>_preflight",),
    "es:ESHttpDelete": ("<target>_backfill",),
    "es:ESHttpGet": (
        "<target>_backfill",
        "<target>_dlq_replay",
        "<target>_preflight",
        "<target>_rollback_service",
        "sync_follow",
        "sync_index_cleanup",
    ),
    "es:ESHttpPost": (
        "<target>_backfill",
        "<target>_dlq_replay",
    ),
    "es:ESHttpPut": (
        "<target>_backfill",
        "<target>_dlq_replay",
        "<target>_rollback_service",
        "sync_index_cleanup",
    ),
    "iam:GetRole": ("<target>_preflight",),
    "iam:PassRole": ("<target>_rollback_service",),
    "iam:SimulatePrincipalPolicy": ("<target>_preflight",),
    "kms:Decrypt": (
        "<target>_backfill",
        "<target>_dlq_replay",
    ),
    "lambda:GetAlias": ("<target>_rollback_service",),
    "lambda:GetEventSourceMapping": ("<target>_preflight",),
    "lambda:GetFunctionConfiguration": (
        "<target>_preflight",
        "<target>_rollback_service",
    ),
    "lambda:ListVersionsByFunction": ("<target>_rollback_service",),
    "lambda:UpdateAlias": ("<target>_rollback_service",),
    "sqs:DeleteMessage": ("<target>_dlq_replay",),
    "sqs:GetQueueAttributes": (
        "<target>_dlq_replay",
        "<target>_preflight",
    ),
    "sqs:GetQueueUrl": (
        "<target>_dlq_replay",
        "<target>_preflight",
    ),
    "sqs:ReceiveMessage": ("<target>_dlq_replay",),
}
