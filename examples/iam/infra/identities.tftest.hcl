# What the identities are for, said once more by those who review them. The provider is mocked: nothing is made, and no credentials are needed.
mock_provider "aws" {}

run "serving_cannot_read_datasets" {
  command = plan
  assert {
    condition     = !strcontains(aws_iam_role_policy.serving.policy, var.data)
    error_message = "the policy of serving names the bucket of datasets"
  }
}

run "nobody_deletes" {
  command = plan
  assert {
    condition     = !strcontains(join("", [aws_iam_role_policy.training.policy, aws_iam_role_policy.serving.policy]), "Delete")
    error_message = "an identity may delete"
  }
}

run "both_are_bounded" {
  command = plan
  assert {
    condition     = alltrue([for r in [aws_iam_role.training, aws_iam_role.serving] : r.permissions_boundary == "arn:aws:iam::${var.account}:policy/ml-boundary"])
    error_message = "a role is not held by the boundary"
  }
}
