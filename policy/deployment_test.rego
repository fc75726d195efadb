# Tests of deployment.rego.
package vishwa.deployment_test

import data.vishwa.deployment

about(signature, environment, approvals) := {
	"phase": "act", "step": {"kind": "deployment", "do": "make", "pending": false},
	"model": {"signature": signature}, "environment": environment, "approvals": approvals,
}

signed := {"verified": true, "by": "ci", "message": ""}

staging := {"name": "staging", "approvals": 0, "roles": ["approver"], "production": false}

live := {"name": "production", "approvals": 0, "roles": ["approver", "owner"], "production": true}

asha := {"principal": "asha", "roles": ["approver", "owner"], "class": "signature"}

denied(doc) := ids if {
	found := deployment.deny with input as doc
	ids := {f.rule | some f in found}
}

test_signed if denied(about(signed, staging, [])) == set()

test_unsigned if denied(about(null, staging, [])) == {"model/signature"}

test_unverifiable if {
	denied(about({"verified": false, "by": "", "message": "no"}, staging, [])) == {"model/signature"}
}

test_unknown_environment if denied(about(signed, null, [])) == {"policy/evidence"}

test_unapproved if denied(about(signed, live, [])) == {"deployment/approval"}

test_approved if denied(about(signed, live, [asha])) == set()

test_forge_review_does_not_count if {
	denied(about(signed, live, [object.union(asha, {"class": "forge"})])) == {"deployment/approval"}
}

test_forge_review_counts_where_reviews_do if {
	denied(about(signed, object.union(live, {"reviews": true}), [object.union(asha, {"class": "forge"})])) == set()
}

test_run_for_a_pull_request if {
	model := {"model": {"signature": signed, "onBehalf": 7}}
	denied(object.union(about(signed, object.union(staging, {"trackedRuns": true}), []), model)) == {"deployment/tracked-run"}
	denied(object.union(about(signed, staging, []), model)) == set()
}

test_external_work_is_no_run_of_the_tracked_branch if {
	model := {"model": {"signature": signed, "onBehalf": null, "runs": [object.union(ran("none"), {"external": true})]}}
	denied(object.union(about(signed, object.union(staging, {"trackedRuns": true}), []), model)) == {"deployment/tracked-run"}
	denied(object.union(about(signed, staging, []), model)) == set()
}

ran(level) := {"ref": "training/e:x", "level": level, "isolation": {"level": level}, "onBehalf": null}

unknown := {"ref": "training/e:x", "level": "none", "isolation": null, "onBehalf": null}

made_by(least, runs) := object.union(
	about(signed, object.union(staging, {"isolation": least}), []),
	{"model": {"signature": signed, "runs": runs}},
)

test_runs_that_were_kept_apart_as_asked if {
	denied(made_by("landlock", [ran("landlock"), ran("namespaces")])) == set()
	denied(made_by("namespaces", [ran("namespaces")])) == set()
	denied(made_by(null, [ran("none"), unknown])) == set()
}

test_runs_that_were_kept_apart_too_little if {
	denied(made_by("landlock", [ran("namespaces"), ran("none")])) == {"deployment/isolation"}
	denied(made_by("namespaces", [ran("landlock")])) == {"deployment/isolation"}
	denied(made_by("landlock", [unknown])) == {"deployment/isolation"}
}

test_the_run_and_its_level_are_named if {
	found := deployment.deny with input as made_by("namespaces", [ran("landlock"), unknown])
	texts := concat(" ", [f.message | some f in found])
	contains(texts, "training/e:x, which the model is made from, ran at landlock")
	contains(texts, "ran at none, as nothing is recorded of its isolation")
}

test_nothing_is_asked_of_runs_while_they_are_pending_or_the_release_stays if {
	denied(object.union(made_by("landlock", [ran("none")]), {"phase": "plan", "step": {"pending": true}})) == set()
	denied(object.union(made_by("landlock", [ran("none")]), {"step": {"do": "keep"}})) == set()
}

served(level) := object.union(made_by("namespaces", []), {"step": {"do": "keep"}, "serving": {"level": level}})

test_served_with_too_little_isolation if {
	denied(served("landlock")) == {"deployment/isolation"}
	denied(served("namespaces")) == set()
	denied(object.union(served("landlock"), {"step": {"do": "remake"}})) == set()
	denied(object.union(served("landlock"), {"serving": null})) == set()
}

test_one_person_counts_once if {
	two := object.union(live, {"approvals": 2})
	denied(about(signed, two, [asha, object.union(asha, {"roles": ["owner"]})])) == {"deployment/approval"}
}

test_pending_says_what_will_be_needed if {
	doc := object.union(about(null, live, []), {"phase": "plan", "step": {"pending": true}, "model": null})
	denied(doc) == set()
	count(deployment.note) == 1 with input as doc
}

test_kept_needs_no_approval if {
	denied(object.union(about(signed, live, []), {"step": {"do": "keep"}})) == set()
}

test_revoked_signer if {
	gone := object.union(signed, {"revoked": "was revoked after entry 7 (stolen)"})
	denied(about(gone, staging, [])) == {"deployment/revoked-signer"}
	denied(about(gone, staging, [asha])) == {"deployment/revoked-signer"}
	lenient := object.union(staging, {"roles": ["approver"], "revokedSigner": "approve", "reviews": false})
	denied(about(gone, lenient, [])) == {"deployment/approval"}
	denied(about(gone, lenient, [asha])) == set()
	denied(object.union(about(gone, staging, []), {"step": {"kind": "deployment", "do": "keep", "pending": false}})) == set()
}

unmet := {"environment": "production", "revision": "1", "needs": 1, "roles": ["approver"], "by": [], "met": false, "message": "production needs 1", "hint": "ask"}

test_a_later_step_of_a_rollout_goes_by_the_approval_of_its_first if {
	denied(object.union(about(signed, live, []), {"step": {"begun": true}})) == set()
	denied(object.union(about(null, live, []), {"step": {"begun": true}})) == {"model/signature"}
}

test_a_guard_that_is_not_satisfied if {
	doc := object.union(about(signed, staging, []), {"guards": [unmet]})
	denied(doc) == {"deployment/approval"}
	denied(object.union(doc, {"guards": [object.union(unmet, {"met": true})]})) == set()
	denied(object.union(doc, {"step": {"do": "keep"}})) == set()
	denied(object.union(doc, {"step": {"restores": true}})) == set()
}

test_a_guard_that_no_approval_satisfies if {
	refuses := object.union(unmet, {"refused": true})
	denied(object.union(about(signed, staging, [asha]), {"guards": [refuses]})) == {"deployment/guard"}
	denied(object.union(about(signed, staging, []), {"guards": [unmet, refuses]})) == {"deployment/approval", "deployment/guard"}
	early := object.union(about(null, live, []), {"phase": "plan", "step": {"pending": true}, "model": null, "guards": [refuses]})
	denied(early) == set()
	deployment.note == {{"rule": "deployment/guard", "message": "production needs 1"}} with input as early
}

test_a_guard_stands_before_what_is_taken_away if {
	doc := {"phase": "plan", "step": {"kind": "deployment", "do": "retire", "pending": false}, "environment": null, "model": null, "guards": [unmet]}
	denied(doc) == {"deployment/approval"}
	denied(object.union(doc, {"guards": []})) == set()
}

test_pending_says_what_a_guard_will_need if {
	doc := object.union(about(null, live, []), {"phase": "plan", "step": {"pending": true}, "model": null, "guards": [unmet]})
	denied(doc) == set()
	count(deployment.note) == 1 with input as doc
}

vouching(bytes, environment) := object.union(about(signed, environment, [asha]), {"bytes": bytes})

test_bytes_of_a_weaker_class if {
	denied(vouching("trusted", object.union(live, {"bytes": "by-digest"}))) == {"deployment/bytes"}
	denied(vouching("by-digest", object.union(live, {"bytes": "verified"}))) == {"deployment/bytes"}
}

test_bytes_that_suffice if {
	denied(vouching("trusted", object.union(live, {"bytes": "trusted"}))) == set()
	denied(vouching("by-digest", object.union(live, {"bytes": "by-digest"}))) == set()
	denied(vouching("verified", object.union(live, {"bytes": "verified"}))) == set()
	denied(vouching(null, object.union(live, {"bytes": "verified"}))) == set()
}

test_bytes_that_are_kept_or_retired if {
	retire := object.union(vouching("trusted", object.union(live, {"bytes": "verified"})), {"step": {"kind": "deployment", "do": "keep", "pending": false}})
	denied(retire) == set()
}
