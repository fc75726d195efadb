// A set that is meant for findings and is none is named, also beside a right one.

package policy

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

func TestASetThatJudgesNothingIsNamed(t *testing.T) {
	const right = "package team\n\ndeny contains \"no\" if input.step.do == \"never\"\n"
	for text, meant := range map[string]string{
		"denies contains \"no\" if true\n":                                              "deny contains",
		"dney contains \"no\" if true\n":                                                "deny contains",
		"violation contains \"no\" if true\n":                                           "deny contains",
		"warnings contains \"no\" if true\n":                                            "warn contains",
		"violation contains \"no\" if true\n\nwarn contains v if some v in violation\n": "",
		"weights contains 1 if true\n":                                                  "",
		"denied if true\n":                                                              "deny contains",
		"denied if true\n\nwarn contains \"no\" if denied\n":                            "",
		"violation[msg] if { msg := \"no\" }\n":                                         "deny contains",
		"violation_of_ours contains \"no\" if true\n":                                   "deny contains",
		"deny_unpinned contains \"no\" if true\n":                                       "deny contains",
		"warn_large[msg] if { msg := \"no\" }\n":                                        "warn contains",
		"denies.ours contains \"no\" if true\n":                                         "deny contains",
		"denies := {\"no\"}\n":                                                          "deny contains",
		"reject contains \"no\" if true\n":                                              "deny contains",
		"denial contains \"no\" if true\n":                                              "deny contains",
		"disalow contains \"no\" if true\n":                                             "deny contains",
		"alow if true\n":                                                                "deny contains",
		"must_not contains \"no\" if true\n":                                            "deny contains",
		"prohibt contains \"no\" if true\n":                                             "deny contains",
		"not_allowed contains \"no\" if true\n":                                         "deny contains",
		"violaton contains \"no\" if true\n":                                            "deny contains",
		"warnigs contains \"no\" if true\n":                                             "warn contains",
		"allow if true\n\ndeny contains \"no\" if not allow\n":                          "",
		"default allow := false\n":                                                      "",
		"warn_above := 0.5\n":                                                           "",
		"node := 3\n":                                                                   "",
	} {
		for _, beside := range []string{right, "package team\n\n"} {
			_, err := New(fstest.MapFS{"policy/a.rego": {Data: []byte(beside + text)}}, []string{"policy"}, Options{})
			if meant == "" && beside == right && err != nil {
				t.Errorf("%s: %v", text, err)
			}
			if meant != "" && (fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), "policy/a.rego:") || !strings.Contains(fault.HintOf(err), meant)) {
				t.Errorf("%s: %v; %s", text, err, fault.HintOf(err))
			}
		}
	}
}

// TestARuleThatGitLFSKeepsIsNamed: it is neither rules nor a syntax error of theirs.
func TestARuleThatGitLFSKeepsIsNamed(t *testing.T) {
	pointer := "version https://git-lfs.github.com/spec/v1\noid sha256:" + strings.Repeat("7", 64) + "\nsize 12345\n"
	_, err := New(fstest.MapFS{"policy/a.rego": {Data: []byte(pointer)}}, []string{"policy"}, Options{})
	if fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), "policy/a.rego is a Git LFS pointer") || !strings.Contains(fault.HintOf(err), "git lfs pull --include policy/a.rego") {
		t.Errorf("%v; %s", err, fault.HintOf(err))
	}
}
