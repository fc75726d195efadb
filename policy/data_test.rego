# Tests of data.rego.
package vishwa.data_test

run(inputs) := {
	"phase": "act", "step": {"kind": "training", "do": "make", "pending": false},
	"spec": {"inputs": {"a": "dataset/a"}}, "inputs": inputs,
}

dataset(spec, pin) := {
	"phase": "act", "step": {"kind": "dataset", "do": "pin", "pending": false},
	"spec": spec, "dataset": {"pin": pin, "pointer": null},
}

known := {"name": "a", "ref": "dataset/a", "digest": "sha256:0", "declared": true}

personal := {"columns": {"home": {"tags": ["Personal"]}}}

denied(doc) := ids if {
	found := data.vishwa.data.deny with input as doc
	ids := {f.rule | some f in found}
}

warned(doc) := ids if {
	found := data.vishwa.data.warn with input as doc
	ids := {f.message | some f in found}
}

bare := {"ref": "dataset/a", "rows": 9, "bytes": 90, "violations": []}

broken := object.union(bare, {"violations": [{"column": "age", "rule": "min 0", "count": 3, "file": "a.csv", "row": 7}, {"column": "", "rule": "rows min 10", "count": 9}]})

test_sound if warned({"step": {"do": "make"}, "data": [bare]}) == set()

unknown := object.union(bare, {"violations": [], "unknown": true})

test_broken if {
	warned({"step": {"do": "make"}, "data": [bare, broken]}) == {
		"dataset/a violates a constraint 3 times: min 0 of column age, first in a.csv, row 7",
		"dataset/a violates a constraint 9 times: rows min 10",
	}
}

test_profile_gone if {
	warned({"step": {"do": "make"}, "data": [unknown]}) == {"whether dataset/a violates a constraint is not known: its profile is not in this store"}
}

test_broken_and_gone if warned({"step": {"do": "retire"}, "data": [broken]}) == set()

test_pinned if denied(run([known])) == set()

test_missing if denied(run([])) == {"input/unpinned"}

test_unpinned if denied(run([object.union(known, {"digest": null})])) == {"input/unpinned"}

test_undeclared if {
	denied(run([known, object.union(known, {"name": "b", "declared": false})])) == {"input/undeclared"}
}

test_transform if denied(object.union(run([]), {"step": {"kind": "transform"}})) == {"input/unpinned"}

test_dataset if denied(dataset({}, "sha256:0")) == set()

test_dataset_of_dvc_alone if {
	denied(object.union(dataset({}, null), {"dataset": {"pointer": "d41d8cd98f00b204e9800998ecf8427e"}})) == set()
}

test_dataset_unpinned if denied(dataset({}, null)) == {"input/unpinned"}

test_personal if denied(dataset(personal, "sha256:0")) == {"data/purpose"}

test_personal_with_purpose if denied(dataset(object.union(personal, {"purpose": "advice"}), "sha256:0")) == set()
