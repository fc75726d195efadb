# The team's own rules. They add to the built-in ones and can only tighten.
package team.student

# METADATA
# title: Production model whose probabilities are off
# description: Places are planned from probabilities, so the Brier score matters as much as the ranking.
# custom:
#   id: student/brier
deny contains {
	"rule": "student/brier",
	"message": sprintf("test.brier is %v; production needs at most 0.19", [object.get(input.model.metrics, "test.brier", "not reported")]),
	"hint": "train a model whose probabilities are closer, or agree on another bound",
} if {
	input.step.kind == "deployment"
	input.environment.production
	is_object(input.model)
	not well_calibrated
}

well_calibrated if input.model.metrics["test.brier"] <= 0.19

# METADATA
# title: Production deployment without an owner
# custom:
#   id: student/owner
deny contains {
	"rule": "student/owner",
	"message": sprintf("%s names no owner", [input.step.ref]),
	"hint": "add the label owner to its metadata",
} if {
	input.step.kind == "deployment"
	input.step.do != "retire"
	input.environment.production
	not input.metadata.labels.owner
}

# METADATA
# title: Training without a seed
# description: Without one, the same declaration makes another model each time.
# custom:
#   id: student/seed
warn contains {
	"rule": "student/seed",
	"message": sprintf("%s declares no seed", [input.step.ref]),
	"hint": "add seed to its params",
} if {
	input.step.kind == "training"
	not input.spec.params.seed
}
