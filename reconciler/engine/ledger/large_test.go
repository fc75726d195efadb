// An entry that nobody could read is not made: a run decides how many files it leaves.

package ledger

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// trained is an entry of a model of so many files.
func trained(files int, path string) Entry {
	m := make(digest.Manifest, files)
	for i := range m {
		m[i] = digest.File{Path: fmt.Sprintf("%s/%06d.bin", path, i), Digest: digest.Of([]byte{byte(i)}), Size: 1}
	}
	key := digest.Of([]byte("key"))
	return Entry{Seq: 1, Prev: key, Time: time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC), Action: Train, Ref: schemas.Ref{Kind: schemas.KindTraining, Name: "t", Output: "default"}, Key: key, Actor: "controller:main", Verdict: "allow",
		Outputs: OutputsOf(map[string]port.Artifact{"model": {Name: "model", Digest: m.Digest(), Size: m.Size(), Files: m}})}
}

func TestAModelOfFiftyThousandFilesIsRecorded(t *testing.T) {
	raw, err := Statement(trained(50_000, "shards/of/the/model"))
	if err != nil {
		t.Fatal(err)
	}
	e, err := Parse(raw)
	if err != nil || len(e.Outputs.Named("model").Files) != 50_000 {
		t.Errorf("%d files, %v", len(e.Outputs.Named("model").Files), err)
	}
}

func TestWhatNobodyCouldReadIsNotMade(t *testing.T) {
	raw, err := Statement(trained(20_000, strings.Repeat("a/very/long/way/", 200)))
	if fault.Of(err) != fault.Invalid || fault.HintOf(err) == "" || raw != nil || !strings.Contains(err.Error(), "training/t") {
		t.Errorf("%d bytes, %v (%s)", len(raw), err, fault.HintOf(err))
	}
}
