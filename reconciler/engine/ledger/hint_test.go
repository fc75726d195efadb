// The law of the two spellings: an entry that was signed with a finding's way reads, keeps
// its bytes, and says the same as one with a hint.

package ledger

import (
	"bytes"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/schemas"
)

func TestAnEntryOfBeforeTheFirstReleaseKeepsItsBytesAndItsHint(t *testing.T) {
	ref := schemas.Ref{Kind: "model", Name: "m"}
	e := Entry{Seq: 3, Action: Deny, Ref: ref, Time: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), Actor: "controller:c",
		Prev:     "sha256:" + "0000000000000000000000000000000000000000000000000000000000000000",
		Revision: "0123456789012345678901234567890123456789",
		Findings: []Finding{{Rule: "model/gate", Level: Denied, Ref: ref, Message: "m", Way: "train on"}}}
	old, err := Statement(e)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(old, []byte(`"way":"train on"`)) || bytes.Contains(old, []byte(`"hint"`)) {
		t.Fatalf("the entry is not spelt as it was: %s", old)
	}
	read, err := Parse(old)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Statement(read); err != nil || !bytes.Equal(again, old) {
		t.Errorf("read and written again it is %s, %v", again, err)
	}
	if got := read.PlainFindings()[0]; got.Hint != "train on" || got.Way != "" {
		t.Errorf("it says %+v", got)
	}
}
