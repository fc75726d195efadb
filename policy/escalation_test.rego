# Tests of escalation.rego.
package vishwa.escalation_test

planned(type, after) := {
	"phase": "act", "step": {"kind": "infrastructure", "do": "make", "pending": false}, "allowDestroy": false,
	"terraform": {
		"format_version": "1.2", "complete": true, "errored": false,
		"resource_changes": [{"address": "x.y", "type": type, "change": {"actions": ["create"], "after": after, "after_unknown": {}}}],
	},
}

found(type, after) := rules if {
	told := data.vishwa.escalation.deny with input as planned(type, after)
	rules := {f.rule | some f in told}
}

refused := {"terraform/escalation"}

allows(statement) := found("aws_iam_policy", {"policy": json.marshal({"Statement": [object.union({"Effect": "Allow", "Resource": "arn:aws:iam::1:role/a"}, statement)]})})

trusts(statement) := found("aws_iam_role", {"assume_role_policy": json.marshal({"Statement": object.union({"Effect": "Allow", "Action": "sts:AssumeRole"}, statement)})})

boundary := {"StringEquals": {"iam:PermissionsBoundary": "arn:aws:iam::1:policy/boundary"}}

test_least_privilege if {
	allows({"Action": ["s3:GetObject", "s3:ListBucket"], "Resource": "arn:aws:s3:::b/*"}) == set()
	allows({"Action": ["iam:GetRole", "iam:List*", "iam:TagRole"]}) == set()
	found("aws_s3_bucket", {"bucket": "b"}) == set()
}

test_every_right_to_rights if {
	every right in data.vishwa.escalation.rights {
		allows({"Action": right}) == refused
		allows({"Action": right, "Condition": boundary}) == set()
	}
	every right in data.vishwa.escalation.identities {
		allows({"Action": right}) == refused
		allows({"Action": right, "Condition": boundary}) == refused
	}
}

test_by_another_spelling if {
	allows({"Action": "IAM:PutRolePolicy"}) == refused
	allows({"Action": "iam:*"}) == refused
	allows({"Action": "iam:Put*"}) == refused
	allows({"Action": "iam:PutRolePolic?"}) == refused
	allows({"Action": ["s3:GetObject", "iam:AttachRolePolicy"]}) == refused
	found("aws_iam_role_policy", {"policy": json.marshal({"Statement": {"Effect": "allow", "Action": "iam:CreateRole", "Resource": "*"}})}) == refused
	found("aws_iam_role", {"inline_policy": [{"policy": json.marshal({"Statement": {"Effect": "Allow", "Action": "iam:CreateRole", "Resource": "*"}})}]}) == refused
}

test_conditions_that_refuse_nothing if {
	allows({"Action": "iam:CreateRole", "Condition": {"StringEqualsIfExists": {"iam:PermissionsBoundary": "arn:aws:iam::1:policy/b"}}}) == refused
	allows({"Action": "iam:CreateRole", "Condition": {"StringLike": {"iam:PermissionsBoundary": "*"}}}) == refused
	allows({"Action": "iam:CreateRole", "Condition": {"StringNotEquals": {"iam:PermissionsBoundary": "arn:aws:iam::1:policy/b"}}}) == refused
	allows({"Action": "iam:CreateRole", "Condition": {"StringEquals": {"aws:RequestedRegion": "eu-central-1"}}}) == refused
}

test_own_keys if allows({"Action": "iam:CreateAccessKey", "Resource": "arn:aws:iam::1:user/${aws:username}"}) == set()

test_roles_that_are_passed if {
	allows({"Action": "iam:PassRole", "Resource": "arn:aws:iam::1:role/training"}) == set()
	allows({"Action": "iam:PassRole", "Resource": "arn:aws:iam::1:role/*"}) == refused
	allows({"Action": "iam:PassRole", "Resource": "*", "Condition": {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}}) == set()
	allows({"Action": "sts:AssumeRole", "Resource": "arn:aws:iam::1:role/training"}) == set()
	allows({"Action": "sts:Assume*", "Resource": "arn:aws:iam::*:role/admin"}) == refused
	allows({"Action": "sts:AssumeRole", "Resource": "*"}) == refused
}

test_managed if {
	found("aws_iam_role_policy_attachment", {"policy_arn": "arn:aws:iam::aws:policy/IAMFullAccess"}) == refused
	found("aws_iam_role_policy_attachment", {"policy_arn": "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"}) == set()
}

test_who_assumes if {
	trusts({"Principal": {"Service": "sagemaker.amazonaws.com"}}) == set()
	trusts({"Principal": {"AWS": "arn:aws:iam::1:role/controller"}}) == set()
	trusts({"Principal": "*"}) == refused
	trusts({"Principal": {"AWS": ["arn:aws:iam::1:root", "*"]}}) == refused
	trusts({"Principal": {"AWS": "*"}, "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}}) == set()
}

github(condition) := trusts({"Action": "sts:AssumeRoleWithWebIdentity", "Principal": {"Federated": "arn:aws:iam::1:oidc-provider/token.actions.githubusercontent.com"}, "Condition": condition})

test_tokens_of_others if {
	github({"StringEquals": {"token.actions.githubusercontent.com:aud": "sts.amazonaws.com"}}) == refused
	github({"StringLike": {"token.actions.githubusercontent.com:sub": "repo:*"}}) == refused
	github({"StringEquals": {"token.actions.githubusercontent.com:sub": "repo:acme/models:ref:refs/heads/main"}}) == set()
}
