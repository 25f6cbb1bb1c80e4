output "environment" {
  description = "What the target file's environment says of all this: `terraform output -json environment`."

  value = {
    region         = data.aws_region.current.region
    table_settings = { billing_mode = "PAY_PER_REQUEST", point_in_time_recovery = true }
    opensearch     = { domain = aws_opensearch_domain.search.arn }
    dead_letters   = { queue = aws_sqs_queue.dead_letters.name, alarm_action = var.on_call_topic_arn }
    vpc_endpoint = {
      id                   = aws_opensearch_domain.search.domain_name
      subnets              = var.subnet_ids
      from_security_groups = concat(values(var.client_security_group_ids), [aws_security_group.indexer.id])
    }
    indexer = {
      function             = aws_lambda_function.indexer.function_name
      alias                = aws_lambda_alias.live.name
      event_source_mapping = aws_lambda_event_source_mapping.indexer.uuid
    }
  }
}

output "opensearch_url" {
  description = "For the Airflow connection of type `opensearch`, with auth `sigv4`."
  value       = "https://${aws_opensearch_domain.search.endpoint}"
}
