# Tests of data.rego.
package vishwa.data_test

run(inputs) := {
	"phase": "act", "step": {"kind": "training", "do": "make", "pending": false},
	"spec": {"inputs": {"a": "dataset/a"}}, "inputs": inputs,
}

dataset(spec, pin) := {
	"phase": "act", "step": {"kind": "dataset", "do": "pin", "pending": false},
	"spec": spec, "dataset": {"pin": pin},
}

known := {"name": "a", "ref": "dataset/a", "digest": "sha256:0", "declared": true}

personal := {"columns": {"home": {"tags": ["Personal"]}}}

denied(doc) := ids if {
	found := data.vishwa.data.deny with input as doc
	ids := {f.rule | some f in found}
}

test_pinned if denied(run([known])) == set()

test_missing if denied(run([])) == {"input/unpinned"}

test_unpinned if denied(run([object.union(known, {"digest": null})])) == {"input/unpinned"}

test_undeclared if {
	denied(run([known, object.union(known, {"name": "b", "declared": false})])) == {"input/undeclared"}
}

test_transform if denied(object.union(run([]), {"step": {"kind": "transform"}})) == {"input/unpinned"}

test_dataset if denied(dataset({}, "sha256:0")) == set()

test_dataset_unpinned if denied(dataset({}, null)) == {"input/unpinned"}

test_personal if denied(dataset(personal, "sha256:0")) == {"data/purpose"}

test_personal_with_purpose if denied(dataset(object.union(personal, {"purpose": "advice"}), "sha256:0")) == set()
