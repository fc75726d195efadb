# What a model must be in order to be released.

# METADATA
# title: Models
# custom:
#   kinds: [model, deployment]
package vishwa.model

import data.vishwa.step

# Formats that hold numbers and text, and nothing that runs when it is read.
safe_formats := {
	"csv", "gguf", "json", "onnx", "safetensors", "saved-model", "skops", "text",
	"xgboost-json", "xgboost-ubj", "yaml",
}

# The project can narrow the list, never widen it.
allowed_formats := safe_formats if input.project.modelFormats == null

allowed_formats := safe_formats & {f | some f in input.project.modelFormats} if {
	input.project.modelFormats != null
}

# What is allowed for a file as part of another: weights that an ONNX model of the folder names.
allowed(format) if format in allowed_formats

allowed("onnx-data") if "onnx" in allowed_formats

# The same of a SavedModel's variables.
allowed("saved-model-data") if "saved-model" in allowed_formats

# METADATA
# title: Nothing is known of the model
# description: A model that cannot be looked at is not released.
# custom:
#   id: policy/evidence
deny contains {
	"rule": "policy/evidence",
	"message": unknown_model,
	"hint": unknown_hint,
} if {
	step.due
	step.releases
	input.model == null
}

unknown_model := sprintf("no candidate reports %s (spec.select.metric); they report %s", [input.spec.select.metric, concat(", ", input.reported)]) if {
	count(input.reported) > 0
} else := "the files and metrics of this model are not known"

unknown_hint := "correct spec.select.metric, or have the training write it to the file that VISHWA_METRICS names" if {
	count(input.reported) > 0
} else := "train it again, or restore the store that held it"

# Gates are asked of a model that is known, when it is its turn.
gated if {
	step.due
	is_object(input.model)
}

# What a gate is about: the metrics that the training reported, or those of rows that both models
# were scored on. While planning, a gate waits for its scores.
judged(gate) if not gate.rows

judged(gate) if is_object(input.model.scores[gate.rows])

judged(gate) if {
	input.phase == "act"
	gate.rows
}

measured(gate) := input.model.metrics[gate.metric] if not gate.rows

measured(gate) := input.model.scores[gate.rows].metrics[gate.metric] if gate.rows

live(gate) := input.model.live.metrics[gate.metric] if not gate.rows

live(gate) := input.model.scores[gate.rows].champion.metrics[gate.metric] if gate.rows

known(gate) if is_number(measured(gate))

lives(gate) if is_number(live(gate))

named(gate) := gate.metric if not gate.rows

named(gate) := sprintf("%s on %s", [gate.metric, gate.rows]) if gate.rows

# shown is a number as people read it, with six digits, and with all of them where fewer would hide that it differs from other.
shown(value, other) := short(value) if short(value) != short(other)

shown(value, other) := sprintf("%v", [value]) if short(value) == short(other)

short(value) := sprintf("%v", [value]) if floor(value) == value

short(value) := sprintf("%.6g", [value]) if floor(value) != value

# METADATA
# title: Gate metric absent
# description: A gate holds only where its metric was measured.
# custom:
#   id: model/gate
deny contains {
	"rule": "model/gate",
	"message": sprintf("metric %s was not measured, and a gate asks for it", [named(gate)]),
	"hint": "write the metric to the file at VISHWA_METRICS, or correct the gate's name",
} if {
	input.step.kind == "model"
	gated
	some gate in input.spec.gates
	judged(gate)
	not known(gate)
}

# METADATA
# title: Metric below its gate
# description: The selected candidate must reach every gate's min.
# custom:
#   id: model/gate
deny contains {
	"rule": "model/gate",
	"message": sprintf("%s is %v, below its gate of %v", [named(gate), shown(value, gate.min), gate.min]),
	"hint": "improve the model, or change spec.gates by a reviewed commit",
} if {
	input.step.kind == "model"
	gated
	some gate in input.spec.gates
	judged(gate)
	value := measured(gate)
	value < gate.min
}

# METADATA
# title: Metric above its gate
# description: The selected candidate must stay at or below every gate's max.
# custom:
#   id: model/gate
deny contains {
	"rule": "model/gate",
	"message": sprintf("%s is %v, above its gate of %v", [named(gate), shown(value, gate.max), gate.max]),
	"hint": "improve the model, or change spec.gates by a reviewed commit",
} if {
	input.step.kind == "model"
	gated
	some gate in input.spec.gates
	judged(gate)
	value := measured(gate)
	value > gate.max
}

# METADATA
# title: Metric regressed against the live model
# description: The selected candidate may be worse than the live model by maxRegression at most.
# custom:
#   id: model/regression
deny contains {
	"rule": "model/regression",
	"message": sprintf("%s is %v and the live model's is %v: worse by more than %v", [named(gate), shown(value, was), shown(was, value), gate.maxRegression]),
	"hint": "improve the model, or change maxRegression by a reviewed commit",
} if {
	input.step.kind == "model"
	gated
	some gate in input.spec.gates
	judged(gate)
	value := measured(gate)
	was := live(gate)
	worse_by(gate, value, was) > gate.maxRegression + rounding
}

# METADATA
# title: Metric regressed against the live model on the rows of before
# description: Where the rows have changed since the live model was released, both are scored on those that it was released with too.
# custom:
#   id: model/regression
deny contains {
	"rule": "model/regression",
	"message": sprintf("%s as the live model was released with is %v and the live model's is %v: worse by more than %v", [named(gate), shown(value, was), shown(was, value), gate.maxRegression]),
	"hint": "improve the model, or change maxRegression by a reviewed commit",
} if {
	input.step.kind == "model"
	gated
	some gate in input.spec.gates
	judged(gate)
	before := input.model.scores[gate.rows].before
	value := before.metrics[gate.metric]
	was := before.champion.metrics[gate.metric]
	worse_by(gate, value, was) > gate.maxRegression + rounding
}

# METADATA
# title: Live model without a metric that both are to be scored by
# description: The same command scored both models on the same rows; one that leaves a metric out of one of them cannot be gone by.
# custom:
#   id: model/regression
deny contains {
	"rule": "model/regression",
	"message": sprintf("%s was not measured of the live model, and a gate compares both", [named(gate)]),
	"hint": "have the command of spec.evaluate report the same metrics of every model",
} if {
	input.step.kind == "model"
	gated
	some gate in input.spec.gates
	gate.maxRegression >= 0
	judged(gate)
	is_object(input.model.scores[gate.rows].champion)
	not lives(gate)
}

# METADATA
# title: A metric that is left out on the rows of before
# description: A command that reports a metric on new rows alone leaves nothing to compare the old ones by.
# custom:
#   id: model/regression
deny contains {
	"rule": "model/regression",
	"message": sprintf("%s was not measured of both models on the rows that the live model was released with, and a gate compares both", [named(gate)]),
	"hint": "have the command of spec.evaluate report the same metrics on all rows",
} if {
	input.step.kind == "model"
	gated
	some gate in input.spec.gates
	gate.maxRegression >= 0
	judged(gate)
	before := input.model.scores[gate.rows].before
	not both(before, gate.metric)
}

both(score, metric) if {
	is_number(score.metrics[metric])
	is_number(score.champion.metrics[metric])
}

# METADATA
# title: Live model without the gate's metric
# description: Where the live model was never measured by a metric, there is nothing to compare with.
# custom:
#   id: model/regression
warn contains {
	"rule": "model/regression",
	"message": sprintf("the live model has no %s, so that a regression cannot be seen", [gate.metric]),
	"hint": "look at both models before they are exchanged",
} if {
	input.step.kind == "model"
	gated
	some gate in input.spec.gates
	not gate.rows
	judged(gate)
	gate.maxRegression >= 0
	is_object(input.model.live)
	not input.model.live.metrics[gate.metric]
}

# Decimal fractions have no exact binary form: 0.85 - 0.845 is a little more than 0.005.
rounding := 0.000000001

worse_by(gate, value, live) := live - value if higher_is_better(gate)

worse_by(gate, value, live) := value - live if not higher_is_better(gate)

# The selection's goal says which way is better; for other metrics a max says that less is.
higher_is_better(gate) if {
	gate.metric == input.spec.select.metric
	object.get(input.spec.select, "goal", "maximize") == "maximize"
}

higher_is_better(gate) if {
	gate.metric != input.spec.select.metric
	not gate.max
}

# METADATA
# title: Model file in a format that is not allowed
# description: Every file of a model is looked into. Pickle, and what holds it, runs code when it is read; so does a format that is not known.
# custom:
#   id: model/format
deny contains {
	"rule": "model/format",
	"message": sprintf("model file %s is %s, which is not an allowed format", [file.path, file.format]),
	"hint": better(file.format),
} if {
	step.due
	step.releases
	some file in input.model.files
	not allowed(file.format)
}

better(format) := "keep all files of the model in its folder, and let it name them by paths below its own, with bytes that they have" if {
	format in {"onnx-outside", "shards-outside"}
} else := "it is a pointer to a file that Git LFS keeps: have the run fetch that (git lfs pull where it was cloned) and write the file itself" if {
	format == "lfs-pointer"
} else := "save it with tf.saved_model.save or Keras's model.export of TensorFlow 2, and without operators that read or write files, call Python, or are a library's own" if {
	format == "saved-model-io"
	"saved-model" in allowed_formats
} else := "save it with model.export of Keras 3, which makes a SavedModel of it: what a file of Keras names is imported and called when it is read" if {
	format in {"hdf5", "keras", "keras-lambda"}
	"saved-model" in allowed_formats
} else := sprintf("loading it runs whatever code is in it: save the model %s", [concat(", or ", ways)]) if {
	format in {"numpy-object", "pickle", "torch"}
	ways := [way.how | some way in unpickled; way.format in allowed_formats]
	count(ways) > 0
} else := sprintf("save the model as one of: %s", [concat(", ", sort(allowed_formats))])

# How what people pickle is saved without that.
unpickled := [
	{"format": "skops", "how": `with skops if it is scikit-learn's (in MLflow: log_model(..., serialization_format="skops"))`},
	{"format": "safetensors", "how": "as safetensors if it is PyTorch's"},
	{"format": "onnx", "how": "as ONNX"},
]

# METADATA
# title: Model without files
# description: A model of no files cannot be looked into.
# custom:
#   id: model/format
deny contains {
	"rule": "model/format",
	"message": "the model holds no files",
	"hint": "write the model to the folder at VISHWA_MODEL_DIR",
} if {
	step.due
	step.releases
	count(input.model.files) == 0
}

# METADATA
# title: Model file that carries a program of its own kind
# description: A chat template is a program that a chat server runs; a name of remote code is fetched and imported by loaders that are set to trust it, and what _target_ names is called by loaders of Hydra's kind.
# custom:
#   id: model/carries
warn contains {
	"rule": "model/carries",
	"message": sprintf("model file %s carries %s", [file.path, carried[what]]),
	"hint": "read it before you approve, and render templates in a sandbox (Jinja2's ImmutableSandboxedEnvironment); load with trust_remote_code off, and nothing by _target_ that is not of the library itself",
} if {
	step.due
	step.releases
	some file in input.model.files
	some what in file.carries
}

carried := {
	"chat-template": "a chat template, which is a program",
	"remote-code": "the name of code that is kept elsewhere (auto_map)",
	"call-by-name": "names of functions or classes that a loader imports and calls (_target_)",
}
