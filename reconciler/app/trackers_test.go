// Who recorded is known to have ended, where that can be known.

package app

import (
	"os"
	"os/exec"
	"testing"
)

func TestAProcessThatEndedIsNotWaitedFor(t *testing.T) {
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	gone := cmd.Process.Pid
	for name, c := range map[string]struct {
		who  string
		want bool
	}{
		"it ended":          {writer("m", gone), true},
		"it runs":           {writer("m", os.Getpid()), false},
		"another machine's": {writer("n", gone), false},
		"another place's":   {"m-1-" + writer("m", gone)[len("m-"):], false},
		"of an older one":   {"m-4711", false},
		"nobody":            {"", false},
		"noise":             {"m--", false},
		"all":               {"m--1", false},
	} {
		if got := ended("m", c.who); got != c.want {
			t.Errorf("%s (%s): %v", name, c.who, got)
		}
	}
}
