# What serving needs to stand on. terraform_data needs no provider download; a real
# module would make networks, buckets and roles here.

terraform {
  required_version = ">= 1.4"
}

variable "environment" {
  description = "Where the model is served."
  type        = string
}

variable "threshold" {
  description = "Probability from which a student is expected to enroll."
  type        = number
  default     = 0.5

  validation {
    condition     = var.threshold > 0 && var.threshold < 1
    error_message = "The threshold is a probability between 0 and 1."
  }
}

resource "terraform_data" "serving" {
  input = {
    environment = var.environment
    threshold   = var.threshold
  }
}

output "environment" {
  value = terraform_data.serving.output.environment
}

output "threshold" {
  value = terraform_data.serving.output.threshold
}
