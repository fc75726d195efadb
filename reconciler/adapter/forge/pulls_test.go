// Pull requests on their way to the base branch, and who may do what.

package forge_test

import (
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/port"
)

// TestAMergedPullIsFoundByItsCommit: however it was merged.
func TestAMergedPullIsFoundByItsCommit(t *testing.T) {
	for _, method := range []string{"merge", "squash", "rebase"} {
		t.Run(method, func(t *testing.T) {
			f, head := start(t)
			c := open(t, f, f.Token("vishwa"))
			list, err := c.Open(t.Context(), "main")
			if err != nil || len(list) != 1 || list[0].HeadSHA != head || list[0].Fork || list[0].Closed {
				t.Fatalf("open: %+v, %v", list, err)
			}
			sha, err := f.Merge(repoName, 1, "vishwa", method)
			ok(t, err)
			of, err := c.MergedAs(t.Context(), sha)
			if err != nil || len(of) != 1 || !of[0].Merged || of[0].MergeSHA != sha {
				t.Fatalf("of %s: %+v, %v", sha, of, err)
			}
			if list, err = c.Open(t.Context(), "main"); err != nil || len(list) != 0 {
				t.Fatalf("open after the merge: %+v, %v", list, err)
			}
		})
	}
}

// TestEveryRoleIsTold: also those that lie between read, write and admin.
func TestEveryRoleIsTold(t *testing.T) {
	f, _ := start(t)
	c := open(t, f, f.Token("vishwa"))
	for role, want := range map[string]port.Permission{
		"read": port.Reading, "triage": port.Triaging, "write": port.Writing, "maintain": port.Maintaining, "admin": port.Administering,
	} {
		ok(t, f.Grant(repoName, "asha", role))
		if got, err := c.Permission(t.Context(), "asha"); got != want || err != nil {
			t.Errorf("%s: %v, %v", role, got, err)
		}
	}
}

// TestAProposalThatWasWithdrawnIsOpenedAgain: and not one that people closed, before or after that; what somebody else opened is never
// withdrawn.
func TestAProposalThatWasWithdrawnIsOpenedAgain(t *testing.T) {
	f, head := start(t)
	c := open(t, f, f.Token("vishwa"))
	ok(t, f.Grant(repoName, "asha", "write"))
	if err := open(t, f, f.Token("asha")).Withdraw(t.Context(), 1, "No."); err != nil {
		t.Fatal(err)
	}
	if theirs, err := c.Pull(t.Context(), 1); err != nil || theirs.Closed {
		t.Fatalf("another's: %+v, %v", theirs, err)
	}
	ok(t, f.ClosePull(repoName, 1, "vishwa"))
	p := port.Proposal{Base: "main", Head: "topic", SHA: "another", Title: "Serve it", Body: "It moved."}
	if first, err := c.Propose(t.Context(), p); err != nil || first.Number != 2 {
		t.Fatalf("%+v, %v", first, err)
	}
	p.SHA = head
	for range 2 { // asked for twice is once
		if err := c.Withdraw(t.Context(), 2, "It moved on."); err != nil {
			t.Fatal(err)
		}
		if got, err := c.Pull(t.Context(), 2); err != nil || !got.Closed {
			t.Fatalf("withdrawn: %+v, %v", got, err)
		}
	}
	if said, err := c.OwnComment(t.Context(), 2, "<!-- vishwa:withdrawn -->"); err != nil || !strings.Contains(said, "It moved on.") {
		t.Fatalf("%q, %v", said, err)
	}
	if again, err := c.Propose(t.Context(), p); err != nil || again.Number != 2 || again.Closed {
		t.Fatalf("asked for again: %+v, %v", again, err)
	}
	if err := c.Withdraw(t.Context(), 2, "It moved on."); err != nil {
		t.Fatal(err)
	}
	withdraw := func(why, then string, closed bool) {
		t.Helper()
		if err := c.Withdraw(t.Context(), 2, why); err != nil {
			t.Fatal(err)
		}
		if got, err := c.Pull(t.Context(), 2); err != nil || got.Closed != closed {
			t.Fatalf("%s: %+v, %v", then, got, err)
		}
	}
	ok(t, f.ReopenPull(repoName, 2, "asha"))
	withdraw("It moved on.", "opened by people, for the same reason", false)
	withdraw("It moved on again.", "opened by people, for another reason", true)
	ok(t, f.ReopenPull(repoName, 2, "asha"))
	if _, err := c.UpsertComment(t.Context(), 2, "<!-- vishwa:withdrawn -->\n", "<!-- vishwa:withdrawn -->\nIt is back."); err != nil { // as a process leaves it that is killed before it closes
		t.Fatal(err)
	}
	withdraw("It is back.", "after a kill", true)
	if again, err := c.Propose(t.Context(), p); err != nil || again.Number != 2 || again.Closed {
		t.Fatalf("asked for again: %+v, %v", again, err)
	}
	ok(t, f.ClosePull(repoName, 2, "vishwa"))
	if no, err := c.Propose(t.Context(), p); err != nil || no.Number != 2 || !no.Closed {
		t.Fatalf("closed by people: %+v, %v", no, err)
	}
}

// TestAProposalIsOnePullRequest: asked for again it is the same, and one that people
// closed is not opened again for the same commit.
func TestAProposalIsOnePullRequest(t *testing.T) {
	f, head := start(t)
	c := open(t, f, f.Token("vishwa"))
	ok(t, f.ClosePull(repoName, 1, "vishwa"))
	p := port.Proposal{Base: "main", Head: "topic", SHA: "another", Title: "Refresh", Body: "It moved."}
	first, err := c.Propose(t.Context(), p)
	if err != nil || first.Number != 2 || first.Title != "Refresh" {
		t.Fatalf("%+v, %v", first, err)
	}
	if again, err := c.Propose(t.Context(), p); err != nil || again.Number != 2 {
		t.Fatalf("asked again: %+v, %v", again, err)
	}
	ok(t, f.ClosePull(repoName, 2, "vishwa"))
	p.SHA = head
	if no, err := c.Propose(t.Context(), p); err != nil || !no.Closed {
		t.Fatalf("after it was closed: %+v, %v", no, err)
	}
}
