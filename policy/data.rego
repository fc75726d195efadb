# What data must say of itself before anything is made from it.

# METADATA
# title: Data
# custom:
#   kinds: [dataset, transform, training, model, deployment]
package vishwa.data

import data.vishwa.step

runs if input.step.kind == "transform"

runs if input.step.kind == "training"

# METADATA
# title: Unpinned dataset
# description: Data that has no digest cannot be named, and so not be explained later.
# custom:
#   id: input/unpinned
deny contains {
	"rule": "input/unpinned",
	"message": "the data is not pinned to a digest",
	"hint": "see that the source can be read, and plan again",
} if {
	input.step.kind == "dataset"
	step.due
	object.get(input.dataset, "pin", null) == null
	object.get(input.dataset, "pointer", null) == null
}

# METADATA
# title: Unpinned input
# description: A run reads only what has a digest.
# custom:
#   id: input/unpinned
deny contains {
	"rule": "input/unpinned",
	"message": sprintf("input %s (%s) is not pinned to a digest", [name, ref]),
	"hint": "make what it comes from first, and plan again",
} if {
	runs
	step.due
	some name, ref in input.spec.inputs
	not name in pinned
}

pinned contains i.name if {
	some i in input.inputs
	i.digest != null
}

# METADATA
# title: Undeclared input
# description: A run reads only what its declaration names.
# custom:
#   id: input/undeclared
deny contains {
	"rule": "input/undeclared",
	"message": sprintf("input %s (%s) is not declared", [i.name, i.ref]),
	"hint": "name it under spec.inputs",
} if {
	runs
	some i in input.inputs
	not i.declared
}

times(1) := "once"

times(n) := sprintf("%d times", [n]) if n != 1

# METADATA
# title: Data that violates its constraints
# description: What is made from rows that break what is declared of them is reported so; a rule of your own over input.data can refuse it.
# custom:
#   id: data/violations
warn contains {
	"rule": "data/violations",
	"message": sprintf("%s violates a constraint %s: %s%s", [d.ref, times(v.count), constraint(v), first(v)]),
	"hint": "correct the data or what is declared of it; violations: deny refuses such data",
} if {
	input.step.do != "retire"
	some d in input.data
	some v in d.violations
}

first(v) := sprintf(", first in %s, row %d", [v.file, v.row]) if v.row > 0

else := ""

# METADATA
# title: Data whose profile is missing
# description: Where rows may violate constraints, and the record of it is not in this store, nobody knows.
# custom:
#   id: data/violations
warn contains {
	"rule": "data/violations",
	"message": sprintf("whether %s violates a constraint is not known: its profile is not in this store", [d.ref]),
	"hint": "use the store that it was recorded in, such as spec.store.s3, or restore it from a copy",
} if {
	input.step.do != "retire"
	some d in input.data
	d.unknown
}

constraint(v) := v.rule if v.column == ""

constraint(v) := sprintf("%s of column %s", [v.rule, v.column]) if v.column != ""

# METADATA
# title: Personal data without a purpose
# description: Columns tagged personal are used for a declared purpose, or not at all.
# custom:
#   id: data/purpose
deny contains {
	"rule": "data/purpose",
	"message": sprintf("column %s is tagged personal, and the dataset declares no purpose", [name]),
	"hint": "say under spec.purpose why it is used, or leave the column out",
} if {
	input.step.kind == "dataset"
	input.step.do != "retire"
	some name, column in input.spec.columns
	some tag in column.tags
	lower(tag) == "personal"
	trim_space(object.get(input.spec, "purpose", "")) == ""
}
