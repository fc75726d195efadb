// URLs are shown without their secrets, and one remote has one name.

package gitremote

import (
	"testing"
)

// TestRedactKeepsTheRest: only credentials and queries leave a text.
func TestRedactKeepsTheRest(t *testing.T) {
	for in, want := range map[string]string{
		"https://u:p@h/x failed":       "https://h/x failed",
		"https://h/x?token=1: 401":     "https://h/x 401",
		"git@github.com:acme/ml":       "git@github.com:acme/ml",
		"dial tcp 127.0.0.1:1: no way": "dial tcp 127.0.0.1:1: no way",
	} {
		if got := Redact(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

// TestOneRemoteOneName: spellings of one remote are one repository; others are not.
func TestOneRemoteOneName(t *testing.T) {
	same := []string{
		"https://github.com/acme/ml.git", "https://github.com/acme/ml", "https://GitHub.com/acme/ml/", "https://ada:pw@github.com:443/acme/ml.git",
		"git@github.com:acme/ml.git", "ssh://git@github.com/acme/ml.git", "ssh://git@github.com:22/acme/ml",
	}
	for _, u := range same {
		if Canonical(u) != "github.com/acme/ml" {
			t.Errorf("%s is %s", u, Canonical(u))
		}
	}
	for _, u := range []string{"https://github.com/acme/other", "https://gitlab.com/acme/ml", "https://github.com:8443/acme/ml", "/srv/github.com/acme/ml"} {
		if Canonical(u) == "github.com/acme/ml" {
			t.Errorf("%s is another repository", u)
		}
	}
}
