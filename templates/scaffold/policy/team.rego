# Your own rules. They add to the built-in ones (vishwa policy list) and can only tighten.
package team

# METADATA
# title: A dataset says what it holds
# custom: {id: team/dataset-description}
warn contains {"rule": "team/dataset-description", "message": msg, "hint": "add a purpose or columns to its declaration"} if {
	input.step.kind == "dataset"
	not input.spec.columns
	msg := sprintf("%s declares no columns", [input.step.ref])
}
