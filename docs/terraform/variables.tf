variable "name" {
  description = "Name of the target: prefix of everything that is made here."
  type        = string
  default     = "members"
}

variable "key" {
  description = "The table's partition key, a string; `key` in the target file."
  type        = string
  default     = "memberId"
}

variable "vpc_id" {
  description = "The VPC that the domain lies in."
  type        = string
}

variable "subnet_ids" {
  description = "One private subnet in each of three availability zones."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) == 3
    error_message = "A domain with standby lies in three availability zones: name three subnets."
  }
}

variable "client_security_group_ids" {
  description = "Security groups of Airflow's workers and of the API, by a name of your own: they reach OpenSearch."
  type        = map(string)
}

variable "client_role_arns" {
  description = "Roles that may send requests to the domain beside the indexer's: of Airflow's workers, of the API."
  type        = list(string)
}

variable "kms_key_arn" {
  description = "A KMS key of yours for table, queue and domain. Its policy must let their services and roles use it."
  type        = string
}

variable "on_call_topic_arn" {
  description = "SNS topic that wakes somebody."
  type        = string
}

variable "indexer_package" {
  description = "The archive that `make indexer-zip` has made. Only the first apply uses it; then the cutover deploys."
  type        = string
}

variable "instance_type" {
  description = "Of the data nodes."
  type        = string
  default     = "r7g.large.search"
}

variable "volume_gb" {
  description = "Disk of each data node. During a rebuild there are two indices, and afterwards for a day."
  type        = number
  default     = 100
}
