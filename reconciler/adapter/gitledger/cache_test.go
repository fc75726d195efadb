package gitledger

import (
	"fmt"
	"os"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// One entry that tells of many files costs as much to verify as many small ones: it is folded once.
func TestALargeEntryIsFoldedOnce(t *testing.T) {
	for _, c := range []struct {
		name  string
		files int
		kept  int
	}{{"small", 1, 0}, {"large", 3_000, 1}} {
		t.Run(c.name, func(t *testing.T) {
			dir, cache := newRepo(t), t.TempDir()
			e := trained(0)
			var files digest.Manifest
			for i := range c.files {
				files = append(files, digest.File{Path: fmt.Sprintf("part-%06d.bin", i), Digest: key(i), Size: 1})
			}
			e.Outputs = ledger.OutputsOf(map[string]port.Artifact{"model": {Name: "model", Digest: files.Digest(), Size: int64(c.files), Files: files}})
			mustAppend(t, openLedger(t, dir), e)
			cached := func(o *Options) { o.CacheDir = cache }
			first := mustFacts(t, openLedger(t, dir, cached))
			if all, err := os.ReadDir(cache); err != nil || len(all) != c.kept {
				t.Errorf("the cache holds %v, %v", all, err)
			}
			if again := mustFacts(t, openLedger(t, dir, cached)); again.Count != first.Count || again.Head != first.Head {
				t.Errorf("folded again it is %d entries to %s, want %d to %s", again.Count, again.Head, first.Count, first.Head)
			}
		})
	}
}
