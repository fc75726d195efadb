// The Jenkinsfile that is written, as Jenkins runs it: every one of its shell steps, in a
// shell that traces and ends at the first error.

package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/vishwaops/vishwa/templates"
)

var (
	shellStep   = regexp.MustCompile(`\bsh\s*\([^()]*\bscript:\s*'((?:[^'\\\n]|\\.)*)'`)
	anyShell    = regexp.MustCompile(`\b(sh|bat|powershell|pwsh)\b\s*[('"]`)
	groovyWord  = regexp.MustCompile(`\\(.)`)
	lineComment = regexp.MustCompile(`(?m)(^|\s)//.*$`)
)

// shellSteps are the texts that a Jenkinsfile gives to a shell. One that is written in
// another way than these is not overlooked: it is an error.
func shellSteps(file string) ([]string, error) {
	code := lineComment.ReplaceAllString(file, "")
	found := shellStep.FindAllStringSubmatch(code, -1)
	if len(found) == 0 || len(found) != len(anyShell.FindAllString(code, -1)) {
		return nil, errors.New("it has shell steps that this test does not know how to run")
	}
	var out []string
	for _, f := range found {
		out = append(out, groovyWord.ReplaceAllStringFunc(f[1], func(s string) string {
			if s == `\n` {
				return "\n"
			}
			return s[1:]
		}))
	}
	return out, nil
}

// jenkins runs the shell steps of the Jenkinsfile in the working folder and insists on the
// exit code of the last: jenkins CODE.
func jenkins(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: jenkins CODE")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	steps, err := shellSteps(ts.ReadFile("Jenkinsfile"))
	ts.Check(err)
	got := 0
	for _, step := range steps {
		script := filepath.Join(ts.Getenv("WORK"), "script.sh")
		ts.Check(os.WriteFile(script, []byte("#!/bin/sh -xe\n"+step), 0o700))
		err := ts.Exec(script)
		var exit *exec.ExitError
		if got = 0; errors.As(err, &exit) {
			got = exit.ExitCode()
		} else {
			ts.Check(err)
		}
		if said := ts.ReadFile("stderr") + ts.ReadFile("stdout"); strings.Contains(said, password) {
			ts.Fatalf("the build's log shows the password")
		}
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func TestEveryShellStepOfAJenkinsfileIsSeen(t *testing.T) {
	raw, err := templates.Jenkinsfile(templates.Pipeline{Branch: "main"})
	if err != nil {
		t.Fatal(err)
	}
	steps, err := shellSteps(string(raw))
	if err != nil || len(steps) != 1 || !strings.HasPrefix(steps[0], "exec vishwa ci ") {
		t.Errorf("%q, %v", steps, err)
	}
	for _, other := range []string{"\nsh 'make'\n", "\nsh \"make\"\n", "\nsh(script: \"make\")\n", "\nbat 'make'\n"} {
		if _, err := shellSteps(string(raw) + other); err == nil {
			t.Errorf("%q is overlooked", other)
		}
	}
}
