locals {
  indexer = "${var.name}-indexer"
}

data "aws_iam_policy_document" "assumed_by_lambda" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "indexer" {
  statement {
    sid       = "ReadTheStream"
    actions   = ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"]
    resources = ["${aws_dynamodb_table.items.arn}/stream/*"]
  }

  statement {
    sid       = "FindTheStream" # has no resources to name
    actions   = ["dynamodb:ListStreams"]
    resources = ["*"]
  }

  statement {
    sid       = "ReadItems"
    actions   = ["dynamodb:BatchGetItem"]
    resources = [aws_dynamodb_table.items.arn]
  }

  statement {
    sid       = "WriteDocuments"
    actions   = ["es:ESHttpGet", "es:ESHttpPost"]
    resources = ["${local.domain_arn}/*"]
  }

  statement {
    sid       = "LeaveDeadLetters"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.dead_letters.arn]
  }

  statement {
    sid       = "UseTheKey"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [var.kms_key_arn]
  }

  statement {
    sid       = "WriteLogs"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.indexer.arn}:*"]
  }
}

resource "aws_iam_role" "indexer" {
  name               = local.indexer
  assume_role_policy = data.aws_iam_policy_document.assumed_by_lambda.json
}

resource "aws_iam_role_policy" "indexer" {
  name   = local.indexer
  role   = aws_iam_role.indexer.id
  policy = data.aws_iam_policy_document.indexer.json
}

# Network interfaces in the VPC, which a function without them cannot have.
resource "aws_iam_role_policy_attachment" "indexer_network" {
  role       = aws_iam_role.indexer.name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole"
}

resource "aws_security_group" "indexer" {
  name        = local.indexer
  description = "Indexer of ${var.name}"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_egress_rule" "indexer" {
  security_group_id = aws_security_group.indexer.id
  description       = "OpenSearch, DynamoDB, KMS"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_cloudwatch_log_group" "indexer" {
  name              = "/aws/lambda/${local.indexer}"
  retention_in_days = 30
}

resource "aws_lambda_function" "indexer" {
  function_name = local.indexer
  role          = aws_iam_role.indexer.arn
  filename      = var.indexer_package
  handler       = "dynamo_opensearch.indexer.handler.handler"
  runtime       = "python3.13"
  architectures = ["arm64"]
  memory_size   = 512
  timeout       = 60
  publish       = true

  environment {
    variables = {
      DYNAMO_OPENSEARCH_TARGET_FILE = "targets/${var.name}.yaml"
      DYNAMO_OPENSEARCH_ENVIRONMENT = "production"
      DYNAMO_OPENSEARCH_URL         = "https://${aws_opensearch_domain.search.endpoint}"
      DYNAMO_OPENSEARCH_AUTH        = "sigv4"
    }
  }

  vpc_config {
    subnet_ids         = var.subnet_ids
    security_group_ids = [aws_security_group.indexer.id]
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.indexer.name
  }

  lifecycle {
    ignore_changes = [filename] # members_cutover deploys the code
  }
}

resource "aws_lambda_alias" "live" {
  name             = "live"
  function_name    = aws_lambda_function.indexer.function_name
  function_version = aws_lambda_function.indexer.version

  lifecycle {
    ignore_changes = [function_version, routing_config] # members_cutover and members_rollback_service move it
  }
}

resource "aws_lambda_event_source_mapping" "indexer" {
  event_source_arn  = aws_dynamodb_table.items.stream_arn
  function_name     = aws_lambda_alias.live.arn
  enabled           = false # members_cutover enables it, once index and code are there
  starting_position = "TRIM_HORIZON"

  # Each of these loses data when it is left out: see docs/indexer-contract.md.
  function_response_types            = ["ReportBatchItemFailures"]
  bisect_batch_on_function_error     = true
  maximum_retry_attempts             = 10
  maximum_record_age_in_seconds      = 21600
  batch_size                         = 500
  maximum_batching_window_in_seconds = 1

  destination_config {
    on_failure {
      destination_arn = aws_sqs_queue.dead_letters.arn
    }
  }

  lifecycle {
    ignore_changes = [enabled]
  }

  depends_on = [aws_iam_role_policy.indexer]
}

resource "aws_cloudwatch_metric_alarm" "indexer_age" {
  alarm_name          = "${local.indexer}-behind"
  namespace           = "AWS/Lambda"
  metric_name         = "IteratorAge"
  dimensions          = { FunctionName = aws_lambda_function.indexer.function_name, Resource = "${aws_lambda_function.indexer.function_name}:${aws_lambda_alias.live.name}" }
  statistic           = "Maximum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 300000 # milliseconds; `iterator_age_s` in the target file
  period              = 60
  evaluation_periods  = 5
  treat_missing_data  = "notBreaching"
  alarm_actions       = [var.on_call_topic_arn]
}
