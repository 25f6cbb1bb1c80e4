data "aws_partition" "current" {}
data "aws_region" "current" {}
data "aws_caller_identity" "current" {}

locals {
  domain_arn = join(":", [
    "arn", data.aws_partition.current.partition, "es", data.aws_region.current.region,
    data.aws_caller_identity.current.account_id, "domain/${var.name}",
  ])
}

data "aws_iam_policy_document" "domain" {
  statement {
    sid       = "ThoseWhoReadAndWrite"
    actions   = ["es:ESHttpDelete", "es:ESHttpGet", "es:ESHttpHead", "es:ESHttpPost", "es:ESHttpPut"]
    resources = ["${local.domain_arn}/*"]

    principals {
      type        = "AWS"
      identifiers = concat([aws_iam_role.indexer.arn], var.client_role_arns)
    }
  }
}

resource "aws_opensearch_domain" "search" {
  domain_name     = var.name
  engine_version  = "OpenSearch_3.1" # 2.12 or newer: see docs/rebuild.md
  access_policies = data.aws_iam_policy_document.domain.json

  cluster_config {
    instance_type                 = var.instance_type
    instance_count                = 3
    dedicated_master_enabled      = true
    dedicated_master_count        = 3
    dedicated_master_type         = "m7g.large.search"
    zone_awareness_enabled        = true
    multi_az_with_standby_enabled = true

    zone_awareness_config {
      availability_zone_count = 3
    }
  }

  ebs_options {
    ebs_enabled = true
    volume_type = "gp3"
    volume_size = var.volume_gb
  }

  encrypt_at_rest {
    enabled    = true
    kms_key_id = var.kms_key_arn
  }

  node_to_node_encryption {
    enabled = true
  }

  domain_endpoint_options {
    enforce_https       = true
    tls_security_policy = "Policy-Min-TLS-1-2-PFS-2023-10"
  }

  vpc_options {
    subnet_ids         = var.subnet_ids
    security_group_ids = [aws_security_group.search.id]
  }

  # Changes of the domain's own that move all shards wait for the quiet hours.
  off_peak_window_options {
    enabled = true
  }
}

resource "aws_security_group" "search" {
  name        = "${var.name}-search"
  description = "OpenSearch domain ${var.name}"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "search" {
  for_each = merge(var.client_security_group_ids, { indexer = aws_security_group.indexer.id })

  security_group_id            = aws_security_group.search.id
  referenced_security_group_id = each.value
  description                  = each.key
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

# A red cluster has lost a shard; above this much a node gets no shards, and a rebuild cannot begin.
resource "aws_cloudwatch_metric_alarm" "cluster_red" {
  alarm_name          = "${var.name}-cluster-red"
  namespace           = "AWS/ES"
  metric_name         = "ClusterStatus.red"
  dimensions          = { DomainName = var.name, ClientId = data.aws_caller_identity.current.account_id }
  statistic           = "Maximum"
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  period              = 60
  evaluation_periods  = 1
  alarm_actions       = [var.on_call_topic_arn]
}

resource "aws_cloudwatch_metric_alarm" "disk" {
  alarm_name          = "${var.name}-free-disk"
  namespace           = "AWS/ES"
  metric_name         = "FreeStorageSpace"
  dimensions          = { DomainName = var.name, ClientId = data.aws_caller_identity.current.account_id }
  statistic           = "Minimum"
  comparison_operator = "LessThanOrEqualToThreshold"
  threshold           = var.volume_gb * 1024 / 4 # MB; a quarter
  period              = 60
  evaluation_periods  = 5
  alarm_actions       = [var.on_call_topic_arn]
}
