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

test_a_boundary_that_is_taken_off if {
	every right in data.vishwa.escalation.unbinding {
		allows({"Action": right}) == refused
		allows({"Action": right, "Condition": boundary}) == refused # the condition names the boundary that goes
	}
	allows({"Action": "iam:*PermissionsBoundary", "Condition": boundary}) == refused
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

by_boundary(value) := allows({"Action": "iam:CreateRole", "Condition": {"StringLike": {"iam:PermissionsBoundary": value}}})

test_boundaries_are_named if {
	every value in ["arn:aws:iam::1:policy/boundary", "arn:aws:iam::1:policy/boundaries/training", "arn:aws:iam::${aws:PrincipalAccount}:policy/boundary"] {
		by_boundary(value) == set()
	}
	every value in [
		"**", "?*", "arn:*", "arn:aws:iam::*", "arn:aws:iam::*:policy/boundary", "arn:aws:iam::1:policy/*", "arn:aws:iam::1:policy/?*", "${iam:PermissionsBoundary}",
		"arn:aws:iam::1:policy/b*", "arn:aws:iam::1:policy/boundaries/*", "arn:aws:iam::1:policy/boundar?", "arn:aws:iam::1:policy/${aws:PrincipalTag/boundary}", [],
		"arn:aws:iam::aws:policy/AdministratorAccess", "arn:aws:iam::aws:policy/IAMFullAccess", "arn:aws:iam::aws:policy/PowerUserAccess", "arn:aws:iam::aws:policy/AWSLambda_FullAccess",
		"arn:aws-us-gov:iam::aws:policy/AdministratorAccess-Amplify", "arn:aws:iam::aws:policy/A*", ["arn:aws:iam::1:policy/boundary", "arn:*"], true,
	] {
		by_boundary(value) == refused
	}
}

test_own_keys if allows({"Action": "iam:CreateAccessKey", "Resource": "arn:aws:iam::1:user/${aws:username}"}) == set()

test_roles_that_are_passed if {
	allows({"Action": "iam:PassRole", "Resource": "arn:aws:iam::1:role/training"}) == set()
	allows({"Action": "iam:PassRole", "Resource": "arn:aws:iam::1:role/*"}) == refused
	allows({"Action": "iam:PassRole", "Resource": "*", "Condition": {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}}) == set()
	allows({"Action": "sts:AssumeRole", "Resource": "arn:aws:iam::1:role/training"}) == set()
	allows({"Action": "sts:Assume*", "Resource": "arn:aws:iam::*:role/admin"}) == refused
	allows({"Action": "sts:AssumeRole", "Resource": "*"}) == refused
	allows({"Action": "iam:PassRole", "Resource": "arn:aws:iam::1:role/??????"}) == refused
	allows({"Action": "iam:PassRole", "Resource": "*", "Condition": {"StringLike": {"iam:PassedToService": "*.amazonaws.com"}}}) == refused
	allows({"Action": "iam:PassRole", "Resource": "*", "Condition": {"StringLike": {"iam:PassedToService": "s*"}}}) == refused
}

assumes(resource) := allows({"Action": "sts:AssumeRole", "Resource": resource})

test_roles_that_are_assumed_are_named if {
	every resource in [
		"arn:aws:iam::1:role/training", "arn:aws:iam::1:role/teams/churn/*", "arn:aws:iam::1:role/churn-*", "arn:*:iam::1:role/training",
		"arn:aws:iam::${aws:PrincipalAccount}:role/training", "arn:aws:iam::1:role/${aws:PrincipalTag/team}", "arn:aws:s3:::models/*", "arn:aws:iam::1:user/*",
	] {
		assumes(resource) == set()
	}
	every resource in [
		"arn:aws:iam::123456789012:*", "arn:aws:iam::123456789012:r*", "arn:aws:iam::123456789012:role*", "arn:aws:iam::123456789012:?ole/*",
		"arn:aws:iam::123456789012:role/**", "arn:aws:iam::123456789012:role/?*", "arn:aws:iam::123456789012:role/*/*", "arn:aws:iam::123456789012:role/??????",
		"arn:aws:iam::${aws:PrincipalAccount}:role/*", "arn:aws:iam::${aws:ResourceAccount}:role/admin", "arn:aws:iam::12345678901?:role/admin",
		"arn:aws:iam::1*:role/admin", "arn:aws:iam::1*", "arn:aws:iam:*:role/admin", "arn:aws:*:role/admin", "arn:*", "arn:aws:i*:*:*:role/admin", "*:*:*:*:*:*",
	] {
		assumes(resource) == refused
	}
}

test_managed if {
	found("aws_iam_role_policy_attachment", {"policy_arn": "arn:aws:iam::aws:policy/IAMFullAccess"}) == refused
	found("aws_iam_role_policy_attachment", {"policy_arn": "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"}) == set()
}

# attachments are the ways to attach one policy by its ARN.
attachments(arn) := {
	["aws_iam_role_policy_attachment", {"policy_arn": arn}],
	["aws_iam_policy_attachment", {"policy_arn": arn}],
	["aws_iam_role", {"managed_policy_arns": ["arn:aws:iam::1:policy/read", arn], "inline_policy": []}],
	["aws_iam_user_policy_attachments_exclusive", {"policy_arns": [arn]}],
	["aws_ssoadmin_managed_policy_attachment", {"managed_policy_arn": arn}],
	["aws_ssoadmin_managed_policy_attachments_exclusive", {"managed_policy_arns": [arn]}],
}

test_managed_by_every_resource if {
	every name in ["IAMFullAccess", "PowerUserAccess"] {
		every a in attachments(sprintf("arn:aws:iam::aws:policy/%s", [name])) {
			found(a[0], a[1]) == refused
		}
	}
	every a in attachments("arn:aws:iam::aws:policy/AdministratorAccess") {
		told := data.vishwa.access.deny with input as planned(a[0], a[1])
		{f.message | some f in told} == {"x.y attaches AdministratorAccess"}
	}
	every a in attachments("arn:aws:iam::1:policy/read") {
		found(a[0], a[1]) == set()
	}
	found("aws_iam_role", {"managed_policy_arns": null}) == set()
}

test_who_assumes if {
	trusts({"Principal": {"Service": "sagemaker.amazonaws.com"}}) == set()
	trusts({"Principal": {"AWS": "arn:aws:iam::1:role/controller"}}) == set()
	trusts({"Principal": "*"}) == refused
	trusts({"Principal": {"AWS": ["arn:aws:iam::1:root", "*"]}}) == refused
	trusts({"Principal": {"Service": ["sagemaker.amazonaws.com", "*"]}}) == refused
	trusts({"NotPrincipal": {"AWS": "arn:aws:iam::1:role/controller"}}) == refused
	trusts({"Principal": {"AWS": "arn:aws:iam::2:root"}, "Condition": {"StringEquals": {"sts:ExternalId": "churn"}}}) == set()
}

everybody_if(condition) := trusts({"Principal": {"AWS": "*"}, "Condition": condition})

test_conditions_that_name_who_assumes if {
	every key, values in {
		"aws:PrincipalOrgID": ["o-1"],
		"aws:principalorgid": [["o-1", "o-2"]],
		"aws:PrincipalOrgPaths": ["o-1/r-1/ou-1/*"],
		"aws:PrincipalAccount": ["123456789012"],
		"aws:PrincipalArn": ["arn:aws:iam::123456789012:role/training", "arn:aws:iam::123456789012:role/teams/*"],
		"aws:PrincipalServiceName": ["sagemaker.amazonaws.com"],
		"aws:userid": ["AROAEXAMPLE:*"],
		"aws:SourceAccount": ["123456789012"],
		"aws:SourceArn": ["arn:aws:sagemaker:eu-central-1:123456789012:*", "arn:aws:sagemaker:*:123456789012:training-job/*", "arn:aws:s3:::models"],
		"token.actions.githubusercontent.com:sub": ["repo:acme/models:*"],
	} {
		every value in values {
			everybody_if({"StringLike": {key: value}}) == set()
			everybody_if({"StringLike": {key: value}, "Bool": {"aws:MultiFactorAuthPresent": "true"}}) == set()
			everybody_if({"StringLikeIfExists": {key: value}}) == refused # one without the key may
			everybody_if({"ForAllValues:StringLike": {key: value}}) == refused
			everybody_if({"StringNotLike": {key: value}}) == refused
		}
	}
}

test_conditions_that_leave_everybody_in if {
	every key, values in {
		"aws:PrincipalOrgID": ["*", "o-*", ["o-1", "*"], [], "${aws:PrincipalOrgID}"],
		"aws:PrincipalOrgPaths": ["o-*/r-1/*"],
		"aws:PrincipalAccount": ["*", "12345678901?", "${aws:PrincipalAccount}"],
		"aws:PrincipalArn": ["*", "arn:aws:iam::*:role/training", "arn:aws:iam::12345678901?:role/training", "arn:*"],
		"aws:PrincipalServiceName": ["*.amazonaws.com"],
		"aws:PrincipalTag/team": ["churn"],
		"aws:userid": ["*", "*:churn"],
		"aws:SourceArn": ["*", "arn:aws:s3:::*", "arn:aws:sagemaker:*:*:training-job/churn", "arn:aws:sns:*:*:churn"],
		"aws:RequestedRegion": ["eu-central-1"],
		"aws:SourceVpc": ["vpc-1"],
		"sts:ExternalId": ["churn"],
		"sts:RoleSessionName": ["churn"],
		"token.actions.githubusercontent.com:aud": ["sts.amazonaws.com"],
		"token.actions.githubusercontent.com:sub": ["repo:*"],
	} {
		every value in values {
			everybody_if({"StringLike": {key: value}}) == refused
		}
	}
	everybody_if({"Bool": {"aws:MultiFactorAuthPresent": "true"}}) == refused
	everybody_if({"Bool": {"aws:PrincipalIsAWSService": "true"}}) == refused
	everybody_if({"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}) == refused
}

of_provider(provider, condition) := trusts({"Action": "sts:AssumeRoleWithWebIdentity", "Principal": {"Federated": provider}, "Condition": condition})

test_tokens_of_providers_of_every_account if {
	every provider, key in data.vishwa.escalation.applications {
		of_provider(provider, {"StringEquals": {key: "churn"}}) == set()
		of_provider(provider, {"StringLike": {key: "*"}}) == refused
		of_provider(provider, {"ForAnyValue:StringLike": {"cognito-identity.amazonaws.com:amr": "authenticated"}}) == refused
		of_provider(provider, {}) == refused
	}
	of_provider("accounts.google.com", {"StringEquals": {"accounts.google.com:sub": "1234567890"}}) == set()
}

github(condition) := trusts({"Action": "sts:AssumeRoleWithWebIdentity", "Principal": {"Federated": "arn:aws:iam::1:oidc-provider/token.actions.githubusercontent.com"}, "Condition": condition})

test_tokens_of_others if {
	github({"StringEquals": {"token.actions.githubusercontent.com:aud": "sts.amazonaws.com"}}) == refused
	github({"StringLike": {"token.actions.githubusercontent.com:sub": "repo:*"}}) == refused
	every value in ["*", "**", "r*", "repo*", "repo:?*", "repo:acme*", "repo:acm?/models:*", "system:*", "system:serviceaccount:*:models", "${token.actions.githubusercontent.com:sub}"] {
		github({"StringLike": {"token.actions.githubusercontent.com:sub": value}}) == refused
	}
	every value in ["repo:acme/*", "repo:acme/models:*", "project_path:acme/models:ref_type:branch:ref:*", "system:serviceaccount:models:*", "{7d7b3a5c-8a5f-4a1e-9a57-0c2f6d1d3c11}:*", "1234567890"] {
		github({"StringLike": {"token.actions.githubusercontent.com:sub": value}}) == set()
	}
	github({"StringEquals": {"token.actions.githubusercontent.com:sub": "repo:acme/models:ref:refs/heads/main"}}) == set()
}
