package team.student_test

import data.team.student

production(brier, labels) := {
	"step": {"kind": "deployment", "ref": "deployment/p", "do": "make"},
	"environment": {"production": true},
	"metadata": {"labels": labels},
	"model": {"metrics": {"test.brier": brier}},
}

test_good_production_model_passes if {
	count(student.deny) == 0 with input as production(0.15, {"owner": "admissions"})
}

test_uncalibrated_production_model_is_denied if {
	some f in student.deny with input as production(0.3, {"owner": "admissions"})
	f.rule == "student/brier"
}

test_production_model_without_brier_is_denied if {
	some f in student.deny with input as json.remove(production(0.1, {"owner": "x"}), ["/model/metrics/test.brier"])
	f.rule == "student/brier"
}

test_production_without_owner_is_denied if {
	some f in student.deny with input as production(0.15, {})
	f.rule == "student/owner"
}

test_staging_is_free if {
	count(student.deny) == 0 with input as json.patch(production(0.3, {}), [{"op": "replace", "path": "/environment/production", "value": false}])
}

test_training_without_seed_is_warned_of if {
	count(student.warn) == 1 with input as {"step": {"kind": "training", "ref": "training/t:a"}, "spec": {"params": {}}}
}

test_training_with_seed_passes if {
	count(student.warn) == 0 with input as {"step": {"kind": "training", "ref": "training/t:a"}, "spec": {"params": {"seed": 7}}}
}
