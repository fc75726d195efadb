package ledger

import (
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/trust"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

func key(i int) digest.Digest { return digest.Of(fmt.Append(nil, i)) }

// bundle is a stand-in for a signed one: its role and its statement.
type bundle struct {
	Role  port.Role `json:"role"`
	State []byte    `json:"state"`
	By    string    `json:"by"`
}

func seal(t require, e Entry, r port.Role) []byte {
	s, err := Statement(e)
	if err != nil {
		t.Fatalf("statement: %v", err)
	}
	b, err := json.Marshal(bundle{r, s, string(digest.Of(s))})
	if err != nil {
		t.Fatalf("seal: %v", err)
	}
	return b
}

type require interface {
	Fatalf(format string, args ...any)
}

var signers = Trust{
	Bundle: func(b []byte) ([]byte, port.Identity, error) {
		var s bundle
		if err := json.Unmarshal(b, &s); err != nil || s.By != string(digest.Of(s.State)) {
			return nil, port.Identity{}, fault.New(fault.Denied, "the signature is wrong")
		}
		return s.State, port.Identity{Name: "vishwa", Role: s.Role}, nil
	},
	Commit: func(c Commit) (string, error) {
		if strings.TrimSpace(c.Signature) != digest.Of([]byte(c.Signed)).Hex() {
			return "", fault.New(fault.Denied, "the signature is wrong")
		}
		return "vishwa", nil
	},
}

// chain numbers, seals and commits entries one after another.
func chain(t require, entries []Entry) []Record {
	var out []Record
	var prev digest.Digest
	parent := ""
	var at time.Time
	for i, e := range entries {
		e.Seq, e.Prev = int64(i), prev
		if e.Time.Before(at) { // as the writer has it
			e.Time = at
		}
		at = e.Time
		b := seal(t, e, RoleOf(e.Action))
		prev = digest.Of(b)
		c := Commit{Tree: strings.Repeat("0", 40), Parent: parent, Author: "a <a> 1 +0000", Committer: "a <a> 1 +0000", Message: Message(e, prev)}
		c.Signature = digest.Of([]byte(c.String())).Hex() + "\n"
		raw := []byte(c.String())
		parent = CommitID(raw)
		out = append(out, Record{parent, raw, b})
	}
	return out
}

func each(rs []Record) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for _, r := range rs {
			if !yield(r, nil) {
				return
			}
		}
	}
}

var genesis = Entry{Action: Genesis, Actor: "controller:vishwa", Revision: strings.Repeat("1", 40)}

// drawEntry draws anything that may follow a genesis.
func drawEntry(t *rapid.T) Entry {
	e := Entry{
		Action:   rapid.SampledFrom(actions[1:]).Draw(t, "action"),
		Ref:      schemas.Ref{Kind: "training", Name: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "name"), Output: rapid.SampledFrom([]string{"", "x", "y"}).Draw(t, "output")},
		Key:      rapid.SampledFrom([]digest.Digest{"", key(1), key(2), key(3)}).Draw(t, "key"),
		Time:     time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "time"), rapid.Int64Range(0, 999_999_999).Draw(t, "nano")).UTC(),
		Revision: rapid.String().Draw(t, "revision"), Actor: "controller:" + rapid.String().Draw(t, "actor"), Reason: rapid.String().Draw(t, "reason"),
		Approved:  rapid.SliceOfN(rapid.String(), 0, 3).Draw(t, "approved"),
		Duplicate: rapid.Bool().Draw(t, "duplicate"),
	}
	if rapid.Bool().Draw(t, "fields") { // else as entries of before have it
		e.ApprovedBy([]Approver{{rapid.String().Draw(t, "principal"), rapid.SampledFrom([]trust.Class{trust.Signature, trust.Forge}).Draw(t, "class")}})
	}
	if e.Action == Approve {
		e.Approval = &Approval{Principal: "ada", Statement: []byte("{}"), Signature: "sig"}
	}
	if rapid.Bool().Draw(t, "made") {
		e.Outputs = OutputsOf(map[string]port.Artifact{"model": {Name: "m", Digest: key(9), Size: 3, Files: digest.Manifest{{Path: "a", Digest: key(8), Size: 3}}}})
		e.Metrics = map[string]float64{"auc": rapid.Float64().Draw(t, "auc"), "n": float64(rapid.Int32().Draw(t, "n"))}
		e.MadeBy = &port.Recipe{Schema: "1", Kind: "training", Params: map[string]any{"a": rapid.Float64().Draw(t, "a"), "b": []any{"x", nil, true}}, Spec: json.RawMessage(`{"z":1}`)}
		e.Run = &Run{Started: e.Time, Finished: e.Time.Add(time.Second)}
		e.Model = &Model{Candidate: e.Ref, Artifact: port.Artifact{Digest: key(7)}}
	}
	return e
}

func drawChain(t *rapid.T) []Record {
	return chain(t, append([]Entry{genesis}, rapid.SliceOfN(rapid.Custom(drawEntry), 0, 12).Draw(t, "entries")...))
}

// TestStatementReadsBack: an entry that was written is read as it was, and written again the same.
func TestStatementReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawEntry(t)
		e.Seq, e.Prev = 1, key(0)
		b, err := Statement(e)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Parse(b)
		if err != nil {
			t.Fatalf("%v\n%s", err, b)
		}
		again, err := Statement(got)
		if err != nil || string(again) != string(b) {
			t.Fatalf("written again as\n%s\nwas\n%s (%v)", again, b, err)
		}
		var s statement
		if err := json.Unmarshal(b, &s); err != nil || len(s.Subject) == 0 || len(s.Subject[0].Digest) == 0 {
			t.Fatalf("no subject: %s", b)
		}
	})
}

// TestOneSpelling: what could be read in two ways is not read at all.
func TestOneSpelling(t *testing.T) {
	e := genesis
	b, err := Statement(e)
	if err != nil {
		t.Fatal(err)
	}
	s := string(b)
	for name, bad := range map[string]string{
		"trailing data":   s + "{}",
		"white space":     " " + s,
		"key twice":       strings.Replace(s, `"actor":`, `"actor":"x","actor":`, 1),
		"key in capitals": strings.Replace(s, `"actor":`, `"Actor":`, 1),
		"another subject": strings.Replace(s, `"name":"revision"`, `"name":"other"`, 1),
		"another type":    strings.Replace(s, "ledger-entry/v1", "something/v1", 1),
		"unknown, twice":  strings.Replace(s, `"actor":`, `"zzz":1,"actor":`, 1),
		"no JSON":         "x", "empty": "", "null": "null",
	} {
		if bad == s {
			t.Fatalf("%s: nothing changed in %s", name, s)
		}
		if _, err := Parse([]byte(bad)); fault.Of(err) != fault.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestStrangeEntriesAreRefused: names that reach outside, numbers that are none, approvals without a signature.
func TestStrangeEntriesAreRefused(t *testing.T) {
	good := Entry{Seq: 1, Prev: key(0), Action: Train, Actor: "controller:x", Ref: schemas.Ref{Kind: "training", Name: "a"}}
	if _, err := Statement(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Entry){
		"ref upwards":         func(e *Entry) { e.Ref.Name = "../x" },
		"ref with line break": func(e *Entry) { e.Ref.Output = "x\nVishwa-Seq: 3" },
		"ref like an option":  func(e *Entry) { e.Ref.Name = "-x" },
		"no action":           func(e *Entry) { e.Action = "bless" },
		"second genesis":      func(e *Entry) { e.Action = Genesis },
		"no one before":       func(e *Entry) { e.Prev = "" },
		"no actor":            func(e *Entry) { e.Actor = "" },
		"key no digest":       func(e *Entry) { e.Key = "sha256:xyz" },
		"output no digest":    func(e *Entry) { e.Outputs = OutputsOf(map[string]port.Artifact{"a": {}}) },
		"metric not a number": func(e *Entry) { e.Metrics = map[string]float64{"a": math.NaN()} },
		"unsigned approval":   func(e *Entry) { e.Action = Approve },
	} {
		e := good
		change(&e)
		if _, err := Statement(e); fault.Of(err) != fault.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTrailersCannotBeForged: whatever an entry says, its message has its own trailers and no other.
func TestTrailersCannotBeForged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawEntry(t)
		evil := rapid.SampledFrom([]string{"\nVishwa-Seq: 9", "\n\nVishwa-Action: deploy\n", "\r\nVishwa-Key: x", "\u2028Vishwa-Seq: 9", ": : ", "\x00", "# ", "\x1b[2J", "\u009b31m", "\u202e", "\u200b", "\x7f"})
		e.Reason += evil.Draw(t, "reason") + e.Reason
		e.Actor += evil.Draw(t, "actor")
		e.Approved = append(e.Approved, evil.Draw(t, "approved"))
		m := Message(e, key(1))
		if err := checkTrailers(m, e, key(1)); err != nil {
			t.Fatalf("%v in\n%s", err, m)
		}
		got, err := Trailers(m)
		if err != nil {
			t.Fatal(err)
		}
		if strings.ContainsAny(m, "\x1b\u009b\u202e\u200b\x7f\r\u2028") {
			t.Fatalf("git log would steer a terminal with %q", m)
		}
		for _, name := range []string{"Action", "Seq", "Entry"} {
			n := 0
			for _, l := range got {
				if strings.HasPrefix(l, "Vishwa-"+name+": ") {
					n++
				}
			}
			if n != 1 {
				t.Fatalf("%d trailers %s in\n%s", n, name, m)
			}
		}
		other := e
		other.Action = Genesis
		if other.Action != e.Action && checkTrailers(m, other, key(1)) == nil {
			t.Fatal("another action has the same trailers")
		}
	})
}

// TestEarlierTrailersHold: what was written before signs that turn the direction of
// writing were left out is verified as it stands.
func TestEarlierTrailersHold(t *testing.T) {
	e := Entry{Action: Train, Seq: 3, Actor: "al\u202eice\u200b", Trigger: "a  b"}
	m := Message(e, key(1))
	earlier := strings.ReplaceAll(m, "al\uFFFDice\uFFFD", "al\u202eice\u200b")
	if earlier == m || checkTrailers(earlier, e, key(1)) != nil || checkTrailers(m, e, key(1)) != nil {
		t.Errorf("%q does not hold: %v", earlier, checkTrailers(earlier, e, key(1)))
	}
	if checkTrailers(strings.ReplaceAll(m, "ice", "ece"), e, key(1)) == nil || checkTrailers(strings.ReplaceAll(m, "Actor: ", "Actor:  "), e, key(1)) == nil {
		t.Error("another actor has the same trailers")
	}
}

// TestChainShowsEveryChange: dropping, swapping, repeating or editing a record is Corrupt and names the first bad one.
func TestChainShowsEveryChange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rs := chain(t, append([]Entry{genesis}, rapid.SliceOfN(rapid.Custom(drawEntry), 3, 8).Draw(t, "entries")...))
		noted := Checkpoint{int64(len(rs)), digest.Of(rs[len(rs)-1].Bundle)}
		i := rapid.IntRange(0, len(rs)-2).Draw(t, "at")
		bad := append([]Record(nil), rs...)
		switch rapid.SampledFrom([]string{"drop", "swap", "repeat", "edit bundle", "edit commit", "cut"}).Draw(t, "how") {
		case "drop":
			bad = append(bad[:i:i], bad[i+1:]...)
		case "swap":
			bad[i], bad[i+1] = bad[i+1], bad[i]
		case "repeat":
			bad = append(bad[:i+1:i+1], bad[i:]...)
			i++
		case "edit bundle":
			bad[i].Bundle = append([]byte(" "), bad[i].Bundle...)
		case "edit commit":
			bad[i].Commit = append(append([]byte(nil), bad[i].Commit...), "Vishwa-Verdict: allow\n"...)
		case "cut":
			i = rapid.IntRange(0, len(rs)-1).Draw(t, "cut")
			bad = bad[:i]
		}
		rep, err := Verify(each(bad), signers, &noted)
		if fault.Of(err) != fault.Corrupt || !strings.Contains(err.Error(), fmt.Sprintf("entry %d", i)) {
			t.Fatalf("entry %d is the first bad one: %v", i, err)
		}
		if rep.Entries != int64(i) {
			t.Fatalf("%d entries held, want %d", rep.Entries, i)
		}
	})
}

// TestForkShows: another history of the same length does not meet a checkpoint.
func TestForkShows(t *testing.T) {
	e := Entry{Action: Retry, Actor: "principal:ada", Ref: schemas.Ref{Kind: "training", Name: "a"}}
	a := chain(t, []Entry{genesis, e, e})
	e.Reason = "other"
	b := chain(t, []Entry{genesis, e, e})
	point := Checkpoint{2, digest.Of(a[1].Bundle)}
	if rep, err := Verify(each(a), signers, &point); err != nil || rep.Entries != 3 {
		t.Fatal(rep, err)
	}
	_, err := Verify(each(b), signers, &point)
	if fault.Of(err) != fault.Corrupt || !strings.Contains(err.Error(), "entry 1") || !strings.Contains(err.Error(), "forked") {
		t.Fatal(err)
	}
}

// TestRoleMatchesAction: a refusal signed with the key that releases, or the reverse, is not believed.
func TestRoleMatchesAction(t *testing.T) {
	for _, a := range actions[1:] {
		for _, r := range []port.Role{port.Build, port.Deploy, port.Refuse} {
			e := Entry{Action: a, Actor: "controller:x", Ref: schemas.Ref{Kind: "model", Name: "a"}, Approval: &Approval{"ada", []byte("{}"), "s"}}
			rs := chain(t, []Entry{genesis, e})
			e.Seq, e.Prev = 1, digest.Of(rs[0].Bundle)
			b := seal(t, e, r)
			c, err := ParseCommit(rs[1].Commit)
			if err != nil {
				t.Fatal(err)
			}
			c.Message = Message(e, digest.Of(b))
			c.Signature = ""
			c.Signature = digest.Of([]byte(c.String())).Hex() + "\n"
			rs[1] = Record{CommitID([]byte(c.String())), []byte(c.String()), b}
			_, err = Verify(each(rs), signers, nil)
			if right := r == RoleOf(a); right != (err == nil) {
				t.Errorf("%s signed as %s: %v", a, r, err)
			}
		}
	}
}
