// Controllers come and go: what they signed in their time stands, what they signed after
// it is named, and what nobody trusted has taken up does not count.

package ledger

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// by seals entries as controllers do: signers names one an entry.
func by(t *testing.T, signers string, entries []Entry) (out []Record) {
	t.Helper()
	var prev digest.Digest
	parent := ""
	for i, e := range entries {
		e.Seq, e.Prev = int64(i), prev
		stated, err := Statement(e)
		if err != nil {
			t.Fatal(err)
		}
		b := []byte(`{"dsseEnvelope":{"payload":"` + base64.StdEncoding.EncodeToString(stated) + `"},"by":"` + signers[i:i+1] + `"}`)
		prev = digest.Of(b)
		c := Commit{Tree: strings.Repeat("0", 40), Parent: parent, Author: "a <a> 1 +0000", Committer: "a <a> 1 +0000", Message: Message(e, prev), Signature: "x\n"}
		raw := []byte(c.String())
		parent = CommitID(raw)
		out = append(out, Record{parent, raw, b})
	}
	return out
}

// trusting trusts the controllers that are named by one letter each.
func trusting(names string) Trust {
	return Trust{Bundle: func(b []byte) ([]byte, port.Identity, error) {
		_, after, _ := strings.Cut(string(b), `"by":"`)
		if !strings.Contains(names, after[:1]) {
			return nil, port.Identity{}, fault.New(fault.Denied, "signed by a key that is not trusted")
		}
		e, err := Read(b)
		if err != nil {
			return nil, port.Identity{}, err
		}
		stated, err := Statement(e)
		return stated, port.Identity{Name: after[:1], Role: RoleOf(e.Action)}, err
	}}
}

func work(n int) []Entry {
	all := []Entry{genesis}
	for i := 1; i < n; i++ {
		all = append(all, Entry{Action: Train, Actor: "controller:x", Key: key(i), Time: time.Unix(int64(1000+i), 0).UTC()})
	}
	return all
}

func TestHistoryOutlivesItsControllers(t *testing.T) {
	revoked := func(name string, after int64) func(string, int64, time.Time) error {
		return func(who string, seq int64, _ time.Time) error {
			if who == name && seq > after {
				return errors.New("was revoked")
			}
			return nil
		}
	}
	for name, c := range map[string]struct {
		signers string // an entry each
		trusts  string
		stands  func(string, int64, time.Time) error
		want    string // in the error; "": it holds
		vouched int64
	}{
		"all by one that is trusted":               {"aaaa", "a", nil, "", 0},
		"the first is trusted no more":             {"aabb", "b", nil, "", 2},
		"one in between":                           {"abab", "b", nil, "", 2},
		"and none has taken up the newest":         {"bbaa", "b", nil, "entry 2", 0},
		"a stranger's at the end":                  {"bbbz", "b", nil, "entry 3", 0},
		"nobody is trusted":                        {"aaaa", "", nil, "entry 0", 0},
		"revoked after its last":                   {"aabb", "ab", revoked("a", 1), "", 0},
		"revoked before its last":                  {"aabb", "ab", revoked("a", 0), "entry 1 ", 0},
		"revoked, and each that came after":        {"abaa", "ab", revoked("a", 1), "entry 3 ", 0},
		"revoked, and taken up by who is trusted":  {"abab", "ab", revoked("a", 1), "entry 2 ", 0},
		"revoked in the middle, by a trusted tail": {"aaab", "ab", revoked("a", 0), "entry 2 ", 0},
	} {
		t.Run(name, func(t *testing.T) {
			signers := trusting(c.trusts)
			signers.Stands = c.stands
			records := by(t, c.signers, work(4))
			rep, err := Verify(each(records), signers, nil)
			facts := &Facts{}
			p := Replay{Trust: signers, Facts: facts}
			var replayed error
			for _, r := range records {
				if _, replayed = p.Next(r); replayed != nil {
					break
				}
			}
			if replayed == nil {
				replayed = p.End()
			}
			if c.want == "" {
				if err != nil || replayed != nil || rep.Vouched != c.vouched || rep.Signatures != 4-c.vouched {
					t.Fatalf("%v, %v, %+v", err, replayed, rep)
				}
				return
			}
			if fault.Of(err) != fault.Corrupt || !strings.Contains(err.Error(), c.want) || fault.HintOf(err) == "" {
				t.Errorf("verify: %v (%s); want %q", err, fault.HintOf(err), c.want)
			}
			if fault.Of(replayed) != fault.Corrupt || fault.HintOf(replayed) == "" {
				t.Errorf("replay: %v", replayed)
			}
		})
	}
}

// TestDoubtGoesBeforeWhatItLedTo: an entry that was changed is named, and not the next one.
func TestDoubtGoesBeforeWhatItLedTo(t *testing.T) {
	records := by(t, "aaaa", work(4))
	records[1].Bundle = []byte(strings.Replace(string(records[1].Bundle), `"by":"a"`, `"by":"z"`, 1))
	_, err := Verify(each(records), trusting("a"), nil)
	if fault.Of(err) != fault.Corrupt || !strings.Contains(err.Error(), "entry 1") {
		t.Error(err)
	}
}

func TestTimeDoesNotRunBackwards(t *testing.T) {
	noon := time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		step time.Duration
		ok   bool
	}{"on": {time.Hour, true}, "as clocks differ": {-Skew, true}, "back": {-Skew - time.Second, false}} {
		first, second := genesis, Entry{Action: Train, Actor: "x", Key: key(1), Time: noon.Add(c.step)}
		first.Time = noon
		_, err := Verify(each(by(t, "aa", []Entry{first, second})), trusting("a"), nil)
		if (err == nil) != c.ok || err != nil && !strings.Contains(err.Error(), "entry 1") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
