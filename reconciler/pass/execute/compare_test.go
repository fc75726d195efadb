// Bytes that differ for no reason are warned of, once an output, and in the ledger.

package execute

import (
	"slices"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/port"
)

func TestBytesThatDifferForNoReasonAreWarnedOf(t *testing.T) {
	d := func(text string) digest.Digest { return digest.Of([]byte(text)) }
	made := func(seq int64, key, bytes, undated string) *ledger.Entry {
		e := &ledger.Entry{Seq: seq, Ref: ref("training/a:one"), Key: d(key), Outputs: ledger.OutputsOf(map[string]port.Artifact{"model": {Digest: d(bytes)}}), Run: &ledger.Run{}}
		if undated != "" {
			e.Run.Undated = map[string]digest.Digest{"model": d(undated)}
		}
		return e
	}
	now := made(9, "k", "new", "same")
	for name, c := range map[string]struct {
		before []*ledger.Entry
		want   string
	}{
		"nothing before":                  {nil, ""},
		"the same bytes":                  {[]*ledger.Entry{made(1, "k", "new", "same")}, ""},
		"the same bytes after others":     {[]*ledger.Entry{made(1, "k", "old", "other"), made(2, "k", "new", "same")}, ""},
		"dates under the key":             {[]*ledger.Entry{made(1, "k", "old", "same")}, "model differs from what entry 1 made only in the dates of zip members"},
		"dates under another key":         {[]*ledger.Entry{made(3, "before", "old", "same")}, "model differs from what entry 3 made only in the dates of zip members"},
		"something under the key":         {[]*ledger.Entry{made(1, "k", "old", "other")}, "model is not the bytes that entry 1 made with the same key"},
		"something under another key":     {[]*ledger.Entry{made(3, "before", "old", "other")}, ""},
		"dates of a later one":            {[]*ledger.Entry{made(1, "k", "old", "other"), made(2, "k", "older", "same")}, "entry 2 made only in"},
		"nobody looked then":              {[]*ledger.Entry{made(3, "before", "old", "")}, ""},
		"nobody looked, and the same key": {[]*ledger.Entry{made(1, "k", "old", "")}, "with the same key"},
	} {
		f := differs(now, "model", []string{"the dates of zip members"}, c.before)
		if c.want == "" && f != nil || c.want != "" && (f == nil || !strings.Contains(f.Message, c.want) || f.Hint == "" || f.Level != ledger.Warn || f.Ref != now.Ref) {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

func TestTheWarningIsToldAndRecorded(t *testing.T) {
	s, g := newShop(), project(t)
	s.run(t)
	was := *s.facts.Latest[ref("training/a:one")]
	s.undated = map[digest.Digest]digest.Digest{}
	other := port.Artifact{Digest: digest.Of([]byte("other")), Size: 1}
	s.undated[other.Digest] = digest.Of([]byte("undated"))
	s.results["training/a:one"] = []port.Result{{Model: &other}}
	seen := s.see(g)
	seen.MissingArtifacts = map[digest.Digest]string{was.Key: plan.NotInStore}
	s.act(t.Context(), g, seen)
	e := s.entries[slices.IndexFunc(s.entries, func(e ledger.Entry) bool { return e.Key == was.Key && e.Seq > was.Seq })]
	if len(e.Findings) != 1 || e.Findings[0].Rule != OtherBytes || e.Run.Undated["model"] != s.undated[other.Digest] {
		t.Errorf("recorded: %+v, %+v", e.Findings, e.Run)
	}
}
