# What Terraform may do. Messages name addresses, never values: a plan holds secrets.

# METADATA
# title: Terraform
# custom:
#   kinds: [infrastructure]
package vishwa.terraform

import data.vishwa.step

changes if {
	input.step.kind == "infrastructure"
	input.step.do != "keep"
}

# A retired stack is judged at once: its plan of destruction is all there is.
due if step.due

due if input.step.do == "retire"

# METADATA
# title: No Terraform plan
# description: What cannot be looked at is not applied.
# custom:
#   id: policy/evidence
deny contains {
	"rule": "policy/evidence",
	"message": "there is no Terraform plan to judge",
	"hint": "see why terraform plan fails, and plan again",
} if {
	changes
	due
	not is_object(input.terraform)
}

# METADATA
# title: Terraform plan that cannot be trusted
# description: A plan that ended in an error, is not complete, or is in a format that is not known, does not say all that would be done.
# custom:
#   id: terraform/plan
deny contains {
	"rule": "terraform/plan",
	"message": sprintf("the Terraform plan %s", [flaw]),
	"hint": "correct the module so that it plans completely, with Terraform 1.x",
} if {
	changes
	due
	is_object(input.terraform)
	some flaw in flaws
}

flaws contains "ended in an error" if object.get(input.terraform, "errored", false) != false

flaws contains "is not complete: something was left out or deferred" if {
	object.get(input.terraform, "complete", true) != true
}

flaws contains "is in a format that is not known" if {
	not regex.match(`^1\.[0-9]+$`, object.get(input.terraform, "format_version", ""))
}

flaws contains "lists its changes in a way that is not known" if not is_array(resources)

flaws contains "lists a change without actions" if {
	some r in resources
	not is_array(object.get(r, ["change", "actions"], null))
}

# METADATA
# title: Tests of a Terraform module
# description: A module whose own tests (terraform test) fail does not do what its authors say it does.
# custom:
#   id: terraform/test
deny contains {
	"rule": "terraform/test",
	"message": sprintf("a test of the module fails: %s", [failure]),
	"hint": "correct the module, or the test; terraform test in the module's folder runs it",
} if {
	changes
	input.step.tests.failed > 0
	some failure in failures
}

failures := input.step.tests.failures if count(input.step.tests.failures) > 0

failures := ["it does not say why"] if count(input.step.tests.failures) == 0

# METADATA
# title: Tests of a Terraform module that say nothing
# description: Tests that cannot be kept apart from the machine that plans are not run there.
# custom:
#   id: terraform/test
warn contains {
	"rule": "terraform/test",
	"message": sprintf("the module's tests were not run: %s", [input.step.tests.notRun]),
	"hint": "plan the stack on a machine that keeps them apart: vishwa doctor tells what this one lacks",
} if {
	changes
	input.step.tests.notRun
}

# METADATA
# title: Tests of a Terraform module of which none passes
# description: A file of tests without a run, or with runs that are all skipped, says nothing of the module.
# custom:
#   id: terraform/test
warn contains {
	"rule": "terraform/test",
	"message": "the module has files of tests, and no test of them passed or failed",
	"hint": "write a run block into them, or remove them; terraform test in the module's folder shows what is run",
} if {
	changes
	input.step.tests.passed == 0
	input.step.tests.failed == 0
	not input.step.tests.notRun
}

# METADATA
# title: Terraform destroys
# description: Deleting and replacing lose what was there. They are allowed by name, each time.
# custom:
#   id: terraform/destroy
deny contains {
	"rule": "terraform/destroy",
	"message": sprintf("Terraform would destroy %s", [r.address]),
	"hint": "if that is meant, apply with --allow-destroy",
} if {
	changes
	input.allowDestroy == false
	some r in resources
	"delete" in r.change.actions
}

# All resource changes of the plan.
default resources := []

resources := input.terraform.resource_changes

# What is made or changed, with its values as they will be.
made contains r if {
	input.step.kind == "infrastructure"
	some r in resources
	some action in r.change.actions
	action in {"create", "update"}
}
