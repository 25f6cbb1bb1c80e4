# The team's table. Where it is there already: `terraform import aws_dynamodb_table.items <name>`, or leave this file out
# and let `members_cutover` switch the stream on.
resource "aws_dynamodb_table" "items" {
  name                        = var.name
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = var.key
  deletion_protection_enabled = true

  # A stream of another view type is another stream: the indexer's mapping would have to be made anew.
  stream_enabled   = true
  stream_view_type = "NEW_AND_OLD_IMAGES"

  attribute {
    name = var.key
    type = "S"
  }

  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    enabled     = true
    kms_key_arn = var.kms_key_arn
  }
}
