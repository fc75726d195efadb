# Who would be let in by what Terraform makes. A wildcard lets in more than was meant.

# METADATA
# title: Access
# custom:
#   kinds: [infrastructure]
package vishwa.access

import data.vishwa.terraform

# METADATA
# title: IAM wildcard
# description: Policies name the actions and the resources that they allow; "*" in either, everybody as a member, and ownership of a whole account are refused.
# custom:
#   id: terraform/iam
deny contains {
	"rule": "terraform/iam",
	"message": sprintf("%s %s", [r.address, why]),
	"hint": "name the actions, the resources and the members that are needed",
} if {
	some r in terraform.made
	some why in wide(r.type, r.change.after)
}

# METADATA
# title: IAM policy that cannot be read yet
# description: A policy whose text is known only after apply cannot be judged before.
# custom:
#   id: terraform/iam
warn contains {
	"rule": "terraform/iam",
	"message": sprintf("%s: the policy's text is known only after apply, and was not judged", [r.address]),
	"hint": "build it from values that are known, or look at it after apply",
} if {
	some r in terraform.made
	some field in aws_fields
	startswith(r.type, "aws_")
	r.change.after_unknown[field] == true
}

aws_fields := {"policy", "assume_role_policy"}

everybody := {"allUsers", "allAuthenticatedUsers"}

# Each wide(type, after) is a set of reasons; the sets below are joined.
wide(type, after) := ((aws_policy(type, after) | aws_managed(type, after)) | google(type, after)) | azure(type, after)

aws_policy(type, after) := {why |
	regex.match(`^aws_(iam|ssoadmin|organizations)_.*polic(y|ies)$|^aws_iam_role$`, type)
	some text in aws_texts(after)
	some why in aws_text_flaws(text)
}

aws_texts(after) := {text |
	some field in {"policy", "inline_policy"}
	walk(object.get(after, field, null), [_, text])
	is_string(text)
	startswith(trim_space(text), "{")
}

aws_text_flaws(text) := {"holds a policy that is not JSON"} if not json.is_valid(text)

aws_text_flaws(text) := {why |
	some s in list(object.get(json.unmarshal(text), "Statement", []))
	lower(object.get(s, "Effect", "")) == "allow"
	some why in aws_statement_flaws(s)
} if {
	json.is_valid(text)
}

aws_statement_flaws(s) := {why |
	some why, key in {
		"allows every action (\"*\")": "Action",
		"allows every resource (\"*\")": "Resource",
	}
	some value in list(object.get(s, key, []))
	value in {"*", "*:*", "arn:aws:*"}
} | {why |
	some why, key in {
		"allows all actions but some (NotAction)": "NotAction",
		"allows all resources but some (NotResource)": "NotResource",
	}
	object.get(s, key, null) != null
}

aws_managed(type, after) := {"attaches AdministratorAccess" |
	some arn in attached(type, after)
	endswith(arn, ":policy/AdministratorAccess")
}

# The policies that are attached by their ARN.
attached(type, after) := {arn |
	regex.match(`^aws_(iam|ssoadmin)_`, type)
	some field in {"policy_arn", "policy_arns", "managed_policy_arn", "managed_policy_arns"}
	some arn in list(object.get(after, field, []))
	is_string(arn)
}

google(type, after) := {"lets in everybody (allUsers or allAuthenticatedUsers)" |
	regex.match(`^google_.*_iam_(member|binding)$`, type)
	some member in ({object.get(after, "member", "")} | {m | some m in object.get(after, "members", [])})
	member in everybody
} | {"makes an owner or editor of a whole project" |
	regex.match(`^google_(project|folder|organization)_iam_(member|binding)$`, type)
	object.get(after, "role", "") in {"roles/owner", "roles/editor"}
}

azure(type, after) := {"gives a role over a whole subscription" |
	type == "azurerm_role_assignment"
	object.get(after, "role_definition_name", "") in {"Owner", "Contributor", "User Access Administrator"}
	regex.match(`^(/|/subscriptions/[^/]+/?|/providers/Microsoft\.Management/managementGroups/[^/]+/?)$`, object.get(after, "scope", ""))
} | {"allows every action (\"*\")" |
	type == "azurerm_role_definition"
	some p in object.get(after, "permissions", [])
	"*" in list(object.get(p, "actions", []))
}

# AWS writes one value and a list of one value alike.
list(x) := x if is_array(x)

list(x) := [x] if not is_array(x)
