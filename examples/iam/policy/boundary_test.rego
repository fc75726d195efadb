package team.boundary_test

found(after) := rules if {
	told := data.team.boundary.deny with input as {
		"step": {"kind": "infrastructure"},
		"terraform": {"resource_changes": [{"address": "aws_iam_role.x", "type": "aws_iam_role", "change": {"actions": ["create"], "after": after}}]},
	}
	rules := {f.rule | some f in told}
}

test_bounded if found({"permissions_boundary": "arn:aws:iam::1:policy/ml-boundary"}) == set()

test_unbounded if {
	found({}) == {"team/boundary"}
	found({"permissions_boundary": null}) == {"team/boundary"}
	found({"permissions_boundary": "arn:aws:iam::1:policy/other"}) == {"team/boundary"}
}
