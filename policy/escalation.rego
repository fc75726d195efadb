# Who could take more than Terraform gives. An identity that may change its own rights, hand a stronger role to what it
# begins, or make another without a boundary has all that it wants, however little its policy seems to allow.

# METADATA
# title: Escalation
# custom:
#   kinds: [infrastructure]
package vishwa.escalation

import data.vishwa.access
import data.vishwa.terraform

# METADATA
# title: IAM privilege escalation
# description: Rights to change rights are given with a permission boundary as their condition, roles are passed by name or to a named service, and a role is assumed by named principals.
# custom:
#   id: terraform/escalation
deny contains {
	"rule": "terraform/escalation",
	"message": sprintf("%s %s", [r.address, why]),
	"hint": "take it out; or require a boundary (condition iam:PermissionsBoundary), name the roles that are passed or assumed, and name who assumes the role",
} if {
	some r in terraform.made
	some why in paths(r.type, r.change.after)
}

paths(type, after) := (taken(type, after) | managed(type, after)) | assumed(type, after)

# What lets an identity give rights to itself or to another that it then uses, as IAM spells it in lower case.
rights := {
	"iam:createpolicyversion", "iam:setdefaultpolicyversion", "iam:attachuserpolicy", "iam:attachgrouppolicy", "iam:attachrolepolicy",
	"iam:putuserpolicy", "iam:putgrouppolicy", "iam:putrolepolicy", "iam:addusertogroup", "iam:createrole", "iam:createuser",
	"iam:putuserpermissionsboundary", "iam:putrolepermissionsboundary",
}

# What takes a boundary off. A condition on the boundary names the one that is taken off, so it excuses nothing.
unbinding := {"iam:deleteuserpermissionsboundary", "iam:deleterolepermissionsboundary"}

# What lets it become another as that one is: no boundary helps.
identities := {"iam:updateassumerolepolicy", "iam:createaccesskey", "iam:createloginprofile", "iam:updateloginprofile"}

taken(type, after) := {why |
	regex.match(`^aws_(iam|ssoadmin|organizations)_.*polic(y|ies)$|^aws_iam_role$`, type)
	some text in access.aws_texts(after)
	json.is_valid(text)
	some s in access.list(object.get(json.unmarshal(text), "Statement", []))
	lower(object.get(s, "Effect", "")) == "allow"
	some why in statement_paths(s)
}

statement_paths(s) := {sprintf("allows %s, by which an identity can give itself rights, without a boundary as its condition", [action]) |
	some action in access.list(object.get(s, "Action", []))
	some right in rights
	means(action, right)
	not bounded(s)
} | {sprintf("allows %s, by which an identity can take its own boundary off", [action]) |
	some action in access.list(object.get(s, "Action", []))
	some right in unbinding
	means(action, right)
} | {sprintf("allows %s, by which an identity can become another", [action]) |
	some action in access.list(object.get(s, "Action", []))
	some right in identities
	means(action, right)
	wide(s)
} | {sprintf("allows %s for %s: whatever service is begun may be given any of these roles", [action, resource]) |
	some action in access.list(object.get(s, "Action", []))
	means(action, "iam:passrole")
	some resource in access.list(object.get(s, "Resource", []))
	regex.match(`[*?]`, resource)
	not conditioned(s, "iam:passedtoservice")
} | {sprintf("allows %s for %s: any of these roles can be assumed", [action, resource]) |
	some action in access.list(object.get(s, "Action", []))
	means(action, "sts:assumerole")
	some resource in access.list(object.get(s, "Resource", []))
	nameless(resource)
}

# A pattern that leaves a role's account or its whole name to wildcards. One at the end of a part of an ARN covers later parts, too, so a
# pattern of fewer than six parts may be any role. aws:ResourceAccount is the account of whichever role is asked for: a wildcard.
nameless(resource) if {
	arn := regex.replace(regex.replace(resource, `(?i)\$\{aws:resource[^}]*\}`, "*"), `\$\{[^}]*\}`, "x")
	regex.match(`^([^:]*:){0,4}[^:]*$|^([^:]*:){2}(iam|[^:]*[*?][^:]*):[^:]*:([^:]*[*?][^:]*:|[^:]*:[role*?]*(/[*?/]*)?$)`, arn)
}

# An action of a policy, with its wildcards, that is or holds a right. A policy that allows every action is a finding of its own (terraform/iam).
means(action, right) if {
	not action in {"*", "*:*"}
	regex.match(`^[A-Za-z0-9:*?-]+$`, action)
	regex.match(sprintf("^%s$", [replace(replace(lower(action), "*", ".*"), "?", ".")]), right)
}

bounded(s) if conditioned(s, "iam:permissionsboundary")

# Keys for oneself, as AWS recommends them, name the user who asks.
wide(s) if {
	some resource in access.list(object.get(s, "Resource", []))
	not endswith(resource, ":user/${aws:username}")
}

# A condition on a key, by an operator that refuses where the key is absent, with values that name a service or a policy: a pattern may be
# any policy that is yet to be made, a variable what a caller sets, and policies of AWS's own are made to be attached: they bound nothing.
conditioned(s, key) if {
	some operator, keys in object.get(s, "Condition", {})
	regex.match(`^(foranyvalue:)?(string|arn)(equals|like)$`, lower(operator))
	some name, values in keys
	lower(name) == key
	access.list(values) != []
	every v in access.list(values) {
		is_string(v)
		not regex.match(`[*?$]|:iam::aws:policy/`, replace(v, "${aws:PrincipalAccount}", "1"))
	}
}

managed(type, after) := {sprintf("attaches %s, by which an identity can give itself rights", [name]) |
	some name in {"IAMFullAccess", "PowerUserAccess"}
	some arn in access.attached(type, after)
	endswith(arn, sprintf(":policy/%s", [name]))
}

# Who may assume a role that is made.
assumed(type, after) := {why |
	type == "aws_iam_role"
	text := object.get(after, "assume_role_policy", "")
	json.is_valid(text)
	some s in access.list(object.get(json.unmarshal(text), "Statement", []))
	lower(object.get(s, "Effect", "")) == "allow"
	some why in trusted(s)
}

trusted(s) := {"can be assumed by everybody: no condition names who, by organization, account, role or subject" |
	everybody(s)
	not named(s)
	not subject(s)
} | {sprintf("can be assumed by whoever has a token of %s: the condition names no subject", [provider]) |
	some provider in access.list(object.get(s, ["Principal", "Federated"], []))
	contains(provider, ":oidc-provider/")
	not subject(s)
} | {sprintf("can be assumed by whoever has a token of %s: the condition names neither an application nor a subject", [provider]) |
	some provider in access.list(object.get(s, ["Principal", "Federated"], []))
	provider in object.keys(applications)
	not application(s, applications[provider])
	not subject(s)
}

everybody(s) if s.NotPrincipal

everybody(s) if {
	some who in access.list(object.get(s, "Principal", ""))
	who == "*"
}

everybody(s) if {
	some who in access.list(object.get(s, "Principal", ""))
	some kind in who
	"*" in access.list(kind)
}

# Providers that every account of AWS has, and the key that says whose application a token was given to. Whoever makes an application gets tokens.
applications := {
	"cognito-identity.amazonaws.com": "cognito-identity.amazonaws.com:aud",
	"accounts.google.com": "accounts.google.com:aud",
	"www.amazon.com": "www.amazon.com:app_id",
	"graph.facebook.com": "graph.facebook.com:app_id",
}

application(s, key) if {
	some [name, values] in demanded(s)
	name == key
	every v in values {
		not regex.match(`[*?$]`, v)
	}
}

# What names who may assume a role, by the form of a value that does. An external id is given to partners, an address is no identity, whoever
# has an account of AWS sets tags of principals, and any service calls for anybody: none of these names who.
naming := {
	"aws:principalorgid": `^o-[a-z0-9]+$`,
	"aws:principalorgpaths": `^o-[a-z0-9]+/`,
	"aws:principalaccount": `^[0-9]+$`,
	"aws:principalarn": `^arn:[a-z-]+:(iam|sts)::[0-9]+:`,
	"aws:principalservicename": `^[a-z0-9.-]+$`,
	"aws:userid": `^[A-Z0-9]+(:|$)`,
	"aws:sourceorgid": `^o-[a-z0-9]+$`,
	"aws:sourceaccount": `^[0-9]+$`,
	"aws:sourcearn": `^arn:[a-z-]+:[a-z0-9-]+:([^:]*:[0-9]+:|[a-z0-9-]*::[^:*?$]+$)`,
}

named(s) if {
	some [name, values] in demanded(s)
	every v in values {
		regex.match(naming[name], v)
	}
}

# The keys of conditions that refuse where the key is absent, with the values that they admit, which are texts.
demanded(s) := {[lower(name), admitted] |
	some operator, keys in object.get(s, "Condition", {})
	regex.match(`^(foranyvalue:)?(string(equals|equalsignorecase|like)|arn(equals|like))$`, lower(operator))
	some name, values in keys
	admitted := access.list(values)
	admitted != []
	every v in admitted {
		is_string(v)
	}
}

# A subject is named where its owner is: the second part, as in repo:acme/models:*; the namespace, of Kubernetes; the repository's {uuid}, of Bitbucket.
subject(s) if {
	some operator, keys in object.get(s, "Condition", {})
	regex.match(`^(foranyvalue:)?string(equals|like)$`, lower(operator))
	some name, values in keys
	endswith(lower(name), ":sub")
	access.list(values) != []
	every v in access.list(values) {
		is_string(v)
		not regex.match(`^(system:serviceaccount:|[^:/{]*[:/])?[^:/{]*[*?$]`, v)
	}
}
