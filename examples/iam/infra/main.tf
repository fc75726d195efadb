# Buckets for data and models, and who may touch them. Names and ARNs are put together from variables, and not read from resources, so that each
# policy's whole text is known when the plan is judged.

terraform {
  required_version = ">= 1.6"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.0"
    }
  }
}

provider "aws" {
  region = var.region
}

variable "region" {
  type    = string
  default = "eu-central-1"
}

variable "account" {
  description = "The account that all of it is in."
  type        = string
  validation {
    condition     = can(regex("^[0-9]{12}$", var.account))
    error_message = "An account of AWS has 12 digits."
  }
}

variable "controller" {
  description = "The role that Vishwa's controller has: it assumes the others, to hand them to runs and pods."
  type        = string
}

variable "data" {
  description = "The bucket of datasets."
  type        = string
}

variable "models" {
  description = "The bucket of Vishwa's store: models, and all else that runs make."
  type        = string
}

locals {
  data     = "arn:aws:s3:::${var.data}"
  models   = "arn:aws:s3:::${var.models}"
  boundary = "arn:aws:iam::${var.account}:policy/ml-boundary"
  trust = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { AWS = "arn:aws:iam::${var.account}:role/${var.controller}" } }]
  })
}

resource "aws_s3_bucket" "data" {
  bucket = var.data
}

resource "aws_s3_bucket" "models" {
  bucket = var.models
}

resource "aws_s3_bucket_public_access_block" "data" {
  bucket                  = aws_s3_bucket.data.bucket
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_public_access_block" "models" {
  bucket                  = aws_s3_bucket.models.bucket
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

# What no identity of machine learning goes beyond, whatever its own policy comes to say.
resource "aws_iam_policy" "boundary" {
  name = "ml-boundary"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Effect = "Allow", Action = ["s3:GetObject", "s3:PutObject"], Resource = ["${local.data}/*", "${local.models}/*"] },
      { Effect = "Allow", Action = ["s3:ListBucket"], Resource = [local.data, local.models] },
    ]
  })
}

# A training reads datasets, and reads and writes the store.
resource "aws_iam_role" "training" {
  name                 = "ml-training"
  assume_role_policy   = local.trust
  permissions_boundary = local.boundary
  depends_on           = [aws_iam_policy.boundary]
}

resource "aws_iam_role_policy" "training" {
  name = "training"
  role = aws_iam_role.training.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Effect = "Allow", Action = ["s3:GetObject"], Resource = ["${local.data}/datasets/*"] },
      { Effect = "Allow", Action = ["s3:ListBucket"], Resource = [local.data], Condition = { StringLike = { "s3:prefix" = ["datasets/*"] } } },
      { Effect = "Allow", Action = ["s3:GetObject", "s3:PutObject"], Resource = ["${local.models}/store/*"] },
    ]
  })
}

# What serves reads the store, and neither datasets nor anything else.
resource "aws_iam_role" "serving" {
  name                 = "ml-serving"
  assume_role_policy   = local.trust
  permissions_boundary = local.boundary
  depends_on           = [aws_iam_policy.boundary]
}

resource "aws_iam_role_policy" "serving" {
  name = "serving"
  role = aws_iam_role.serving.name
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = ["s3:GetObject"], Resource = ["${local.models}/store/*"] }]
  })
}

output "training" {
  value = aws_iam_role.training.arn
}

output "serving" {
  value = aws_iam_role.serving.arn
}
