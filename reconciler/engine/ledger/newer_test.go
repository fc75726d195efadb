// Programs of several versions write to one ledger: the older one says that it is the
// older one, and never that somebody tampered.

package ledger

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// stateAgain is a statement with a change that this program cannot write.
func stateAgain(t *testing.T, e Entry, change func(whole, entry map[string]any)) []byte {
	t.Helper()
	b, err := Statement(e)
	if err != nil {
		t.Fatal(err)
	}
	var whole map[string]any
	if err := json.Unmarshal(b, &whole); err != nil {
		t.Fatal(err)
	}
	change(whole, whole["predicate"].(map[string]any))
	if b, err = digest.Canonical(whole); err != nil {
		t.Fatal(err)
	}
	return b
}

var laterEntries = map[string]func(whole, entry map[string]any){
	"a field":                  func(_, e map[string]any) { e["weather"] = "fair" },
	"a field of what it holds": func(_, e map[string]any) { e["run"].(map[string]any)["carbon"] = 3.5 },
	"a field of an output": func(_, e map[string]any) {
		e["outputs"].(map[string]any)["model"].(map[string]any)["licence"] = "MIT"
	},
	"a field of the statement": func(w, _ map[string]any) { w["zone"] = "eu" },
	"a class of approvals": func(_, e map[string]any) {
		e["approvedBy"], e["approvers"] = []any{"principal:a (by token)"}, []any{map[string]any{"principal": "a", "class": "token"}}
	},
	"an action":                  func(_, e map[string]any) { e["action"] = "quarantine" },
	"an action, and its subject": func(w, e map[string]any) { e["action"], w["subject"] = "quarantine", []any{} },
	"a form":                     func(w, _ map[string]any) { w["predicateType"] = "https://vishwa.dev/ledger-entry/v2" },
}

// TestWhatANewerVishwaWroteIsNoTampering: signed by who is trusted, it asks for an upgrade;
// signed by nobody, it is what it was before: nobody's word.
func TestWhatANewerVishwaWroteIsNoTampering(t *testing.T) {
	e := work(2)[1]
	e.Run, e.Outputs = &Run{}, OutputsOf(map[string]port.Artifact{"model": {Digest: key(9)}})
	first := chain(t, work(1))[0]
	e.Seq, e.Prev = 1, digest.Of(first.Bundle)
	for name, change := range laterEntries {
		stated := stateAgain(t, e, change)
		if _, err := Parse(stated); fault.Of(err) != fault.Newer || !strings.Contains(fault.HintOf(err), "upgrade") {
			t.Errorf("%s: read: %v (%s)", name, err, fault.Of(err))
		}
		for signer, want := range map[string]fault.Kind{string(digest.Of(stated)): fault.Newer, "nobody": fault.Corrupt} {
			b, err := json.Marshal(bundle{port.Build, stated, signer})
			if err != nil {
				t.Fatal(err)
			}
			c := Commit{Tree: strings.Repeat("0", 40), Parent: first.ID, Author: "a <a> 1 +0000", Committer: "a <a> 1 +0000", Message: Message(e, digest.Of(b))}
			c.Signature = digest.Of([]byte(c.String())).Hex() + "\n"
			r := Record{CommitID([]byte(c.String())), []byte(c.String()), b}
			f := &Facts{}
			p := Replay{Trust: signers, Facts: f}
			if _, err := p.Next(first); err != nil {
				t.Fatal(err)
			}
			_, err = p.Next(r)
			if err == nil {
				err = p.End()
			}
			if fault.Of(err) != want || !strings.Contains(err.Error(), "entry 1 (commit "+r.ID[:12]) {
				t.Errorf("%s, signed by %.9s: %v (%s), want %s", name, signer, err, fault.Of(err), want)
			}
			if want == fault.Newer && (strings.Contains(fault.HintOf(err), "compare") || f.Count != 1) {
				t.Errorf("%s: %d entries, and the way out is %q", name, f.Count, fault.HintOf(err))
			}
		}
	}
}

// TestWhatNoProgramWroteIsStillRefused: a field more is no excuse for another spelling.
func TestWhatNoProgramWroteIsStillRefused(t *testing.T) {
	e := genesis
	s := string(stateAgain(t, e, laterEntries["a field"]))
	for name, bad := range map[string]string{
		"white space": " " + s,
		"key twice":   strings.Replace(s, `"actor":`, `"actor":"x","actor":`, 1),
		"order":       strings.Replace(s, `"actor":`, `"zz":1,"actor":`, 1),
		"no action":   string(stateAgain(t, e, func(_, e map[string]any) { e["action"] = "DEPLOY" })),
	} {
		if _, err := Parse([]byte(bad)); fault.Of(err) != fault.Invalid {
			t.Errorf("%s: %v (%s)", name, err, fault.Of(err))
		}
	}
}

// TestOneByteLessAnywhereShows: of each entry and of each commit, the newest ones too.
func TestOneByteLessAnywhereShows(t *testing.T) {
	rs := chain(t, work(3))
	for i, r := range rs {
		for what, whole := range map[string][]byte{"bundle": r.Bundle, "commit": r.Commit} {
			for at := range whole {
				bad := slices.Clone(rs)
				if less := slices.Concat(whole[:at], whole[at+1:]); what == "bundle" {
					bad[i].Bundle = less
				} else {
					bad[i].Commit = less
				}
				if _, err := Verify(each(bad), signers, nil); fault.Of(err) != fault.Corrupt || !strings.Contains(err.Error(), fmt.Sprintf("entry %d", i)) {
					t.Fatalf("%s of entry %d without byte %d: %v", what, i, at, err)
				}
			}
		}
	}
}
