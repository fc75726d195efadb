# Tests of model.rego.
package vishwa.model_test

import data.vishwa.model

candidate := {
	"digest": "sha256:0", "candidate": "training/t:a", "metrics": {"auc": 0.8, "rmse": 2}, "signature": null,
	"live": {"digest": "sha256:1", "metrics": {"auc": 0.82, "rmse": 1}},
	"files": [{"path": "m.json", "format": "json", "digest": "sha256:2", "size": 1}],
}

about(gate, known) := {
	"phase": "act", "step": {"kind": "model", "do": "make", "pending": false},
	"project": {"modelFormats": null}, "model": known,
	"spec": {"select": {"metric": "auc"}, "gates": [gate]},
}

denied(doc) := ids if {
	found := model.deny with input as doc
	ids := {f.rule | some f in found}
}

test_good if denied(about({"metric": "auc", "min": 0.8, "maxRegression": 0.02}, candidate)) == set()

test_below if denied(about({"metric": "auc", "min": 0.81}, candidate)) == {"model/gate"}

test_above if denied(about({"metric": "rmse", "max": 1.9}, candidate)) == {"model/gate"}

test_absent if denied(about({"metric": "f1", "min": 0}, candidate)) == {"model/gate"}

test_regressed if denied(about({"metric": "auc", "maxRegression": 0.01}, candidate)) == {"model/regression"}

test_regressed_less_is_better if {
	denied(about({"metric": "rmse", "max": 9, "maxRegression": 0.5}, candidate)) == {"model/regression"}
}

test_live_without_metric if {
	known := json.patch(candidate, [{"op": "remove", "path": "/live/metrics/auc"}])
	doc := about({"metric": "auc", "maxRegression": 0}, known)
	count(model.warn) == 1 with input as doc
}

test_goal_minimize if {
	doc := about({"metric": "auc", "maxRegression": 0}, candidate)
	denied(object.union(doc, {"spec": {"select": {"goal": "minimize"}}})) == set()
}

test_known_at_plan if {
	doc := object.union(about({"metric": "auc", "min": 0.9}, candidate), {"phase": "plan"})
	denied(doc) == {"model/gate"}
}

test_deployment_format if {
	known := json.patch(candidate, [{"op": "replace", "path": "/files/0/format", "value": "pickle"}])
	doc := about({"metric": "auc"}, known)
	denied(object.union(doc, {"step": {"kind": "deployment"}})) == {"model/format"}
}

test_nothing_known if denied(about({"metric": "auc"}, null)) == {"policy/evidence"}

test_format if {
	some format in ["pickle", "torch", "unknown", "compressed"]
	files := [{"path": "m", "format": format, "digest": "sha256:2", "size": 1}]
	known := json.patch(candidate, [{"op": "replace", "path": "/files", "value": files}])
	denied(about({"metric": "auc"}, known)) == {"model/format"}
}

test_no_files if {
	known := json.patch(candidate, [{"op": "replace", "path": "/files", "value": []}])
	denied(about({"metric": "auc"}, known)) == {"model/format"}
}

test_project_narrows_formats if {
	doc := object.union(about({"metric": "auc"}, candidate), {"project": {"modelFormats": ["onnx", "pickle"]}})
	denied(doc) == {"model/format"}
}

# Weights that an ONNX model names come with it, and with no other.
test_weights_of_onnx if {
	files := [{"path": "m.onnx", "format": "onnx"}, {"path": "w.bin", "format": "onnx-data"}]
	known := json.patch(candidate, [{"op": "replace", "path": "/files", "value": files}])
	doc := about({"metric": "auc"}, known)
	denied(doc) == set()
	denied(object.union(doc, {"project": {"modelFormats": ["onnx"]}})) == set()
	denied(object.union(doc, {"project": {"modelFormats": ["safetensors"]}})) == {"model/format"}
}

# The variables of a SavedModel come with it, and with no other.
test_variables_of_a_saved_model if {
	files := [{"path": "m/saved_model.pb", "format": "saved-model"}, {"path": "m/variables/variables.index", "format": "saved-model-data"}]
	known := json.patch(candidate, [{"op": "replace", "path": "/files", "value": files}])
	doc := about({"metric": "auc"}, known)
	denied(doc) == set()
	denied(object.union(doc, {"project": {"modelFormats": ["saved-model"]}})) == set()
	denied(object.union(doc, {"project": {"modelFormats": ["onnx"]}})) == {"model/format"}
}

test_a_saved_model_of_unknown_operators if {
	known := json.patch(candidate, [{"op": "replace", "path": "/files", "value": [{"path": "saved_model.pb", "format": "saved-model-io"}]}])
	denied(about({"metric": "auc"}, known)) == {"model/format"}
	some f in model.deny with input as about({"metric": "auc"}, known)
	contains(f.hint, "tf.saved_model.save")
	narrow := object.union(about({"metric": "auc"}, known), {"project": {"modelFormats": ["onnx"]}})
	some g in model.deny with input as narrow
	g.hint == "save the model as one of: onnx"
}

# A pickle's hint names the formats in its place that the project allows.
test_pickles_have_a_hint if {
	some format in ["pickle", "torch", "numpy-object"]
	known := json.patch(candidate, [{"op": "replace", "path": "/files", "value": [{"path": "m", "format": format}]}])
	some f in model.deny with input as about({"metric": "auc"}, known)
	contains(f.hint, `serialization_format="skops")), or as safetensors if it is PyTorch's, or as ONNX`)
	some g in model.deny with input as object.union(about({"metric": "auc"}, known), {"project": {"modelFormats": ["onnx", "csv"]}})
	g.hint == "loading it runs whatever code is in it: save the model as ONNX"
	some h in model.deny with input as object.union(about({"metric": "auc"}, known), {"project": {"modelFormats": ["csv"]}})
	h.hint == "save the model as one of: csv"
}

test_files_of_keras_have_a_hint if {
	some format in ["hdf5", "keras", "keras-lambda"]
	known := json.patch(candidate, [{"op": "replace", "path": "/files", "value": [{"path": "m", "format": format}]}])
	some f in model.deny with input as about({"metric": "auc"}, known)
	contains(f.hint, "model.export of Keras 3")
}

test_a_pointer_of_git_lfs if {
	known := json.patch(candidate, [{"op": "replace", "path": "/files", "value": [{"path": "m.safetensors", "format": "lfs-pointer"}]}])
	some f in model.deny with input as about({"metric": "auc"}, known)
	contains(f.hint, "git lfs pull")
}

test_names_outside if {
	some format in ["onnx-outside", "shards-outside"]
	known := json.patch(candidate, [{"op": "replace", "path": "/files", "value": [{"path": "m", "format": format}]}])
	denied(about({"metric": "auc"}, known)) == {"model/format"}
	some f in model.deny with input as about({"metric": "auc"}, known)
	contains(f.hint, "keep all files of the model in its folder")
}

test_pending_waits if {
	doc := about({"metric": "auc", "min": 0.9}, null)
	denied(object.union(doc, {"phase": "plan", "step": {"pending": true}})) == set()
}

test_carries if {
	known := json.patch(candidate, [{"op": "add", "path": "/files/0/carries", "value": ["chat-template"]}])
	doc := about({"metric": "auc"}, known)
	denied(doc) == set()
	some w in model.warn with input as doc
	w.message == "model file m.json carries a chat template, which is a program"
}

test_nothing_known_tells_the_metrics if {
	doc := object.union(about({"metric": "auc"}, null), {"reported": ["test.rmse", "train.rmse"]})
	{f.message | some f in model.deny} == {"no candidate reports auc (spec.select.metric); they report test.rmse, train.rmse"} with input as doc
}

# Scores on rows that are declared: a gate names them, and waits for them while planning.
scored(champion, before) := object.union(candidate, {"scores": {"recent": object.union(
	{"data": "sha256:3", "metrics": {"auc": 0.8}, "champion": champion},
	before,
)}})

on_recent(gate) := object.union({"metric": "auc", "rows": "recent"}, gate)

champion(auc) := {"digest": "sha256:1", "metrics": {"auc": auc}}

test_scored if denied(about(on_recent({"min": 0.8, "maxRegression": 0.02}), scored(champion(0.82), {}))) == set()

test_scored_below if denied(about(on_recent({"min": 0.81}), scored(null, {}))) == {"model/gate"}

test_scored_above if denied(about(on_recent({"max": 0.7}), scored(null, {}))) == {"model/gate"}

test_scored_regressed if denied(about(on_recent({"maxRegression": 0.02}), scored(champion(0.83), {}))) == {"model/regression"}

test_scored_regressed_before if {
	before := {"before": {"data": "sha256:4", "metrics": {"auc": 0.7}, "champion": champion(0.8)}}
	denied(about(on_recent({"maxRegression": 0.02}), scored(champion(0.8), before))) == {"model/regression"}
	denied(about(on_recent({"maxRegression": 0.2}), scored(champion(0.8), before))) == set()
}

test_left_out_before if {
	silent := {"before": {"data": "sha256:4", "metrics": {}, "champion": champion(0.8)}}
	denied(about(on_recent({"maxRegression": 0.2}), scored(champion(0.8), silent))) == {"model/regression"}
	unlike := {"before": {"data": "sha256:4", "metrics": {"auc": 0.8}, "champion": {"digest": "sha256:1", "metrics": {}}}}
	denied(about(on_recent({"maxRegression": 0.2}), scored(champion(0.8), unlike))) == {"model/regression"}
	denied(about(on_recent({"min": 0.1}), scored(champion(0.8), silent))) == set()
}

test_scored_without_metric if denied(about(on_recent({"metric": "f1", "min": 0}), scored(null, {}))) == {"model/gate"}

test_champion_without_metric if {
	known := scored({"digest": "sha256:1", "metrics": {}}, {})
	denied(about(on_recent({"maxRegression": 1}), known)) == {"model/regression"}
}

# Without scores a gate waits while planning, and is broken when it acts.
test_scores_wait if {
	known := object.union(candidate, {"scores": {}})
	doc := about(on_recent({"min": 0.8}), known)
	denied(object.union(doc, {"phase": "plan"})) == set()
	denied(doc) == {"model/gate"}
}

test_scores_known_at_plan if {
	doc := object.union(about(on_recent({"min": 0.9}), scored(null, {})), {"phase": "plan"})
	denied(doc) == {"model/gate"}
}

# The live model's own report says nothing of rows that are declared.
test_scores_are_not_the_trainings if {
	gate := {"metric": "auc", "rows": "recent", "maxRegression": 0}
	denied(about(gate, scored(null, {}))) == set()
}

test_shown_as_people_read_numbers if {
	found := model.deny with input as about({"metric": "rmse", "max": 200}, json.patch(candidate, [{"op": "add", "path": "/metrics/rmse", "value": 397.2707153407625}]))
	{f.message | some f in found} == {"rmse is 397.271, above its gate of 200"}
}

test_shown_with_the_digits_that_tell_apart if {
	found := model.deny with input as about({"metric": "auc", "min": 0.8}, json.patch(candidate, [{"op": "add", "path": "/metrics/auc", "value": 0.7999999999}]))
	{f.message | some f in found} == {"auc is 0.7999999999, below its gate of 0.8"}
}

test_shown_whole if {
	found := model.deny with input as about({"metric": "rmse", "max": 200}, json.patch(candidate, [{"op": "add", "path": "/metrics/rmse", "value": 1234567}]))
	{f.message | some f in found} == {"rmse is 1234567, above its gate of 200"}
}
