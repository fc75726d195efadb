# What a deployment must show before it replaces what is served.

# METADATA
# title: Deployments
# custom:
#   kinds: [deployment]
package vishwa.deployment

import data.vishwa.step

# METADATA
# title: Unsigned model
# description: Only a model that a controller of trust.yaml signed is served.
# custom:
#   id: model/signature
deny contains {
	"rule": "model/signature",
	"message": "the model is not signed",
	"hint": "let vishwa apply sign it; a model from elsewhere is not served",
} if {
	input.step.kind == "deployment"
	step.due
	is_object(input.model)
	input.model.signature == null
}

# METADATA
# title: Model whose signature does not hold
# description: The signature must verify over the very bytes that will be served.
# custom:
#   id: model/signature
deny contains {
	"rule": "model/signature",
	"message": sprintf("the model's signature does not hold: %s", [input.model.signature.message]),
	"hint": "restore the store from a good copy, or have the model made and signed again",
} if {
	input.step.kind == "deployment"
	step.due
	not input.model.signature.verified
	input.model.signature.verified == false
}

# METADATA
# title: Model whose signer was revoked
# description: What a controller signed before it was revoked is not released anew, by a revert or to another place, unless the environment lets people decide.
# custom:
#   id: deployment/revoked-signer
deny contains {
	"rule": "deployment/revoked-signer",
	"message": sprintf("%s signed the model, and %s", [input.model.signature.by, input.model.signature.revoked]),
	"hint": sprintf("release a model that another controller has made and signed, or let people decide: revokedSigner: approve under spec.environments.%s of vishwa.yaml", [input.environment.name]),
} if {
	changes_release
	step.due
	is_string(input.model.signature.revoked)
	object.get(input.environment, "revokedSigner", "refuse") != "approve"
}

# METADATA
# title: Model whose signer was revoked, without a yes
# description: Where the environment lets people decide, one of its approvers at least does.
# custom:
#   id: deployment/approval
deny contains {
	"rule": "deployment/approval",
	"message": sprintf("%s signed the model, and %s: it needs an approval by %s", [input.model.signature.by, input.model.signature.revoked, roles]),
	"hint": hint_to_approve,
} if {
	changes_release
	step.due
	is_string(input.model.signature.revoked)
	object.get(input.environment, "revokedSigner", "refuse") == "approve"
	count(approvers) == 0
}

# METADATA
# title: Unknown environment
# description: The project says how many people must approve a release to an environment; one that it does not name is not deployed to.
# custom:
#   id: policy/evidence
deny contains {
	"rule": "policy/evidence",
	"message": "the deployment's environment is none of the project's environments",
	"hint": "declare it under spec.environments of vishwa.yaml",
} if {
	input.step.kind == "deployment"
	input.step.do != "retire"
	input.environment == null
}

# METADATA
# title: Release without enough approvals
# description: Distinct people, each in a matching role, approve by signature over the plan, the rules and the model. A second key of the same person does not count, nor does a review that only a forge asserts, unless the environment says that reviews do.
# custom:
#   id: deployment/approval
deny contains {
	"rule": "deployment/approval",
	"message": sprintf("%s needs %s by %s, and has %d", [input.environment.name, approvals(needed), roles, count(approvers)]),
	"hint": hint_to_approve,
} if {
	changes_release
	step.due
	not begun
	count(object.get(input, "guards", [])) == 0
	count(approvers) < needed
}

# METADATA
# title: Guard that is not satisfied
# description: What guarded an environment before a change guards it until people whom it named have approved the change. That holds for whatever goes there under whatever name, for what leaves it by its label, its name, its address or by being taken away, and for a change of what guards it.
# custom:
#   id: deployment/approval
deny contains {
	"rule": "deployment/approval",
	"message": g.message,
	"hint": g.hint,
} if {
	guarded
	some g in unmet
	not refused(g)
}

# METADATA
# title: Guard that no approval satisfies
# description: An environment that takes no change by authors whom trust.yaml does not know, or of which is not known what guards it, is not released to, whoever approves.
# custom:
#   id: deployment/guard
deny contains {
	"rule": "deployment/guard",
	"message": g.message,
	"hint": g.hint,
} if {
	guarded
	some g in unmet
	refused(g)
}

refused(g) if object.get(g, "refused", false)

unmet contains g if {
	some g in input.guards
	not g.met
}

guarded if {
	changes_release
	step.due
}

guarded if {
	input.step.kind == "deployment"
	input.step.do == "retire"
}

# METADATA
# title: Release that will need approvals
# description: What is approved includes the model, so that approval comes once it is known.
# custom:
#   id: deployment/approval
note contains {
	"rule": "deployment/approval",
	"message": sprintf("%s will need %s by %s once the model is known", [input.environment.name, approvals(needed), roles]),
} if {
	changes_release
	not step.due
	count(unmet) == 0
	needed > 0
}

# METADATA
# title: Change that will need approvals
# description: A guard from before the change waits for the model too.
# custom:
#   id: deployment/approval
note contains {
	"rule": "deployment/approval",
	"message": sprintf("%s will need %s by %s once the model is known", [g.environment, approvals(g.needs), concat(" or ", g.roles)]),
} if {
	changes_release
	not step.due
	some g in unmet
	not refused(g)
}

# METADATA
# title: Change that no approval will let through
# description: What is refused whoever approves is said before the model is made.
# custom:
#   id: deployment/guard
note contains {
	"rule": "deployment/guard",
	"message": g.message,
} if {
	changes_release
	not step.due
	some g in unmet
	refused(g)
}

# approvals counts them in English.
approvals(1) := "1 approval"

approvals(n) := sprintf("%d approvals", [n]) if n != 1

# A deployment that is kept releases nothing; nor does one that is
# brought back as it was recorded, after a reboot or a crash.
changes_release if {
	input.step.kind == "deployment"
	not input.step.do in {"keep", "retire"}
	not restored
}

restored if object.get(input.step, "restores", false)

# An approval of the first step of a rollout covers its later ones.
begun if object.get(input.step, "begun", false)

approvers contains a.principal if {
	some a in input.approvals
	counts(a.class)
	some role in a.roles
	role in input.environment.roles
}

hint_to_approve := "have it approved: an approving review of the pull request, or vishwa approve PLAN" if input.environment.reviews

hint_to_approve := "have it approved: vishwa approve PLAN" if not input.environment.reviews

counts("signature")

counts("forge") if input.environment.reviews

# METADATA
# title: Model from a pull request's run
# description: Where the environment asks for it, what is deployed was made by runs on the tracked branch, whose code is reviewed.
# custom:
#   id: deployment/tracked-run
deny contains {
	"rule": "deployment/tracked-run",
	"message": sprintf("%s asks for runs on the tracked branch, and what the model is made from was run for pull request %d", [input.environment.name, input.model.onBehalf]),
	"hint": "let vishwa apply run it again on the tracked branch, after the merge",
} if {
	changes_release
	step.due
	input.environment.trackedRuns
	is_number(input.model.onBehalf)
}

# METADATA
# title: Model from external work
# description: Where the environment asks for runs on the tracked branch, what is deployed was made by commands of the repository. What a DAG, a Job or a script of the team's made is not, wherever it was begun.
# custom:
#   id: deployment/tracked-run
deny contains {
	"rule": "deployment/tracked-run",
	"message": sprintf("%s asks for runs on the tracked branch, and %s, which the model is made from, is external work", [input.environment.name, run.ref]),
	"hint": "make it by a command of the repository (spec.run), or take trackedRuns from the environment",
} if {
	changes_release
	step.due
	input.environment.trackedRuns
	some run in input.model.runs
	run.external
}

# METADATA
# title: Run that was kept apart too little
# description: Where the environment asks for a level of isolation, every run that what is deployed was made by had that level or a stronger one. A run that was recorded before levels were has none.
# custom:
#   id: deployment/isolation
deny contains {
	"rule": "deployment/isolation",
	"message": sprintf("%s asks for runs at the level of isolation %s, and %s, which the model is made from, ran at %s%s", [input.environment.name, input.environment.isolation, run.ref, run.level, recorded(run)]),
	"hint": "run vishwa apply, after the merge, where that level is available: it runs this again by itself; vishwa doctor tells what a machine and its settings allow",
} if {
	changes_release
	step.due
	some run in input.model.runs
	weaker(run.level)
}

# METADATA
# title: Release that is served with too little isolation
# description: Where the environment asks for a level of isolation, what is served has that level or a stronger one. A release that is begun is refused where it cannot be; this tells of one that was begun before.
# custom:
#   id: deployment/isolation
deny contains {
	"rule": "deployment/isolation",
	"message": sprintf("%s asks for the level of isolation %s, and what is served has %s", [input.environment.name, input.environment.isolation, input.serving.level]),
	"hint": "run vishwa down, and then vishwa apply, where that level is available: it is begun anew; vishwa doctor tells what a machine and its settings allow",
} if {
	input.step.kind == "deployment"
	input.step.do == "keep"
	weaker(input.serving.level)
}

# METADATA
# title: Model that is not checked where it is served
# description: An environment that asks for approvals serves bytes whose digest or signature is checked by whoever serves them, unless it says otherwise. Else whoever may write to where they are read changes what people approved.
# custom:
#   id: deployment/bytes
deny contains {
	"rule": "deployment/bytes",
	"message": sprintf("%s serves bytes of the class %s at the least, and what this target serves is %s: nobody checks it where it is served", [input.environment.name, input.environment.bytes, input.bytes]),
	"hint": sprintf("serve it from local, docker, kubernetes or kserve; or say bytes: %s in the environment, below spec.environments of vishwa.yaml", [input.bytes]),
} if {
	changes_release
	is_string(input.bytes)
	vouched[input.bytes] < vouched[input.environment.bytes]
}

# The classes of bytes, by who vouches for them.
vouched := {"trusted": 0, "by-digest": 1, "verified": 2}

# The levels of isolation, by their strength.
strength := {"none": 0, "landlock": 1, "namespaces": 2}

weaker(level) if object.get(strength, level, 0) < strength[input.environment.isolation]

recorded(run) := "" if run.isolation != null

recorded(run) := ", as nothing is recorded of its isolation" if run.isolation == null

roles := concat(" or ", input.environment.roles)

needed := max({input.environment.approvals, 1}) if input.environment.production

needed := input.environment.approvals if not input.environment.production
