// A round is written into a declaration as people wrote it, and into nothing else.

package schemas

import (
	"strings"
	"testing"
)

func TestARoundIsWrittenAndNothingElseChanges(t *testing.T) {
	ref := Ref{Kind: KindTraining, Name: "t"}
	const head = "# mine\nkind: Dataset\nmetadata: {name: t}\nspec: {x: 1}\n---\nkind: Training\nmetadata: {name: t}\n"
	for name, c := range map[string]struct{ was, want string }{
		"none yet":        {"spec:\n  run: [x] # so\n", "spec:\n  round: {number: 2, reason: \"drift of area in entry 11\"}\n  run: [x] # so\n"},
		"none, in a line": {"spec: {run: [x]}\n", "spec: {round: {number: 2, reason: \"drift of area in entry 11\"}, run: [x]}\n"},
		"one before":      {"spec:\n  round: {number: 1, reason: \"so\"}\n  run: [x]\n", "spec:\n  round: {number: 2, reason: \"drift of area in entry 11\"}\n  run: [x]\n"},
		"below its name":  {"spec:\n  round:\n    number: 1\n    reason: because\n  run: [x]\n", "spec:\n  round:\n    number: 2\n    reason: drift of area in entry 11\n  run: [x]\n"},
	} {
		got, err := SetRound([]byte(head+c.was), ref, Round{2, "drift of area in entry 11"})
		if err != nil || string(got) != head+c.want {
			t.Errorf("%s: %v\n%s", name, err, got)
		}
	}
	for name, was := range map[string]string{
		"an anchor":  "spec:\n  round: &r {number: 1}\n  params: {a: *r}\n",
		"no mapping": "spec: []\n",
		"an alias":   "x: &r {number: 1, reason: a}\nspec:\n  round: *r\n",
	} {
		if got, err := SetRound([]byte(head+was), ref, Round{2, "so"}); err == nil {
			t.Errorf("%s:\n%s", name, got)
		} else if !strings.Contains(err.Error(), "not edited") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
