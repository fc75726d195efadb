# Each role that machine learning gets is held by its boundary. The built-in rules see to wildcards, public buckets and ways to more rights.

# METADATA
# title: Boundaries
# custom:
#   kinds: [infrastructure]
package team.boundary

# METADATA
# title: Role without the boundary
# description: A role without a permissions boundary can be given any right later, by whoever may write its policies.
# custom:
#   id: team/boundary
deny contains {
	"rule": "team/boundary",
	"message": sprintf("%s is made without the permissions boundary ml-boundary", [r.address]),
	"hint": "set permissions_boundary to the policy that infra/main.tf makes",
} if {
	input.step.kind == "infrastructure"
	some r in input.terraform.resource_changes
	r.type == "aws_iam_role"
	some action in r.change.actions
	action in {"create", "update"}
	not bounded(r.change.after)
}

bounded(after) if {
	is_string(after.permissions_boundary)
	endswith(after.permissions_boundary, ":policy/ml-boundary")
}
