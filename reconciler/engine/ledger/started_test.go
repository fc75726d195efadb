package ledger

import (
	"fmt"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
)

// TestWhatAPullRequestProposesWasCarriedOutNowhere: a ledger that a pull request's run
// begins does not start at what its author wrote.
func TestWhatAPullRequestProposesWasCarriedOutNowhere(t *testing.T) {
	var f Facts
	fold := func(e Entry) {
		t.Helper()
		e.Seq, e.Prev = f.Count, f.Head
		if err := f.Fold(e, digest.Of(fmt.Append(nil, e.Seq))); err != nil {
			t.Fatal(err)
		}
	}
	theirs := &PullRequest{Pull: 1, Head: "theirs"}
	fold(Entry{Action: Genesis, Revision: "theirs", PullRequest: theirs})
	fold(Entry{Action: Train, Revision: "theirs", PullRequest: theirs, Key: digest.Of([]byte("k"))})
	if f.Started != "" {
		t.Errorf("it started at %q, which is a pull request's", f.Started)
	}
	fold(Entry{Action: Train, Revision: "ours", Key: digest.Of([]byte("l"))})
	fold(Entry{Action: Train, Revision: "later", Key: digest.Of([]byte("m"))})
	if f.Started != "ours" {
		t.Errorf("it started at %q, want the branch's first", f.Started)
	}
}
