// When two failures are the same: what is tried again and again, and fails each time, is
// one thing to know.

package ledger

import (
	"strings"
	"unicode"

	"github.com/vishwaops/vishwa/reconciler/digest"
)

// KeyOf is the key that e was tried for, also where it does not count against the key.
func KeyOf(e Entry) digest.Digest {
	if e.Key != "" || !e.HasRecipe() {
		return e.Key
	}
	key, err := e.Recipe().Key()
	if err != nil {
		return ""
	}
	return key
}

// Gist is a failure's first line without its numbers: how long it took, the number of
// a process or of a port that was tried make no other failure.
func Gist(message string) string {
	head, _, _ := strings.Cut(message, "\n")
	return strings.Map(func(r rune) rune {
		if unicode.IsDigit(r) {
			return -1
		}
		return r
	}, head)
}

// alike tells whether b says of the same step, for the same pull request or none, what
// a said before.
func alike(a, b *Entry) bool {
	return a.Ref == b.Ref && pullOf(a) == pullOf(b) && a.Failure != nil && b.Failure != nil && a.Failure.Cause == b.Failure.Cause &&
		Gist(a.Failure.Message) == Gist(b.Failure.Message) && KeyOf(*a) == KeyOf(*b)
}

func pullOf(e *Entry) int {
	if e.PullRequest == nil {
		return 0
	}
	return e.PullRequest.Pull
}
