// The contract of keys: what teams have trained stays theirs, whatever becomes of Vishwa.

package graph

import (
	"encoding/json"
	"flag"
	"os"
	"testing"
	"testing/fstest"

	"github.com/vishwaops/vishwa/reconciler/digest"
)

var write = flag.Bool("write-golden", false, "write keys of declarations that have none yet")

// TestKeysAreAsTheyWere holds the keys of testdata/golden, which are never changed.
func TestKeysAreAsTheyWere(t *testing.T) {
	const name = "testdata/golden/keys.json"
	yaml, err := os.ReadFile("testdata/golden/vishwa.yaml")
	if err != nil {
		t.Fatal(err)
	}
	tree := files(string(yaml))
	tree["h.csv.dvc"] = &fstest.MapFile{Data: []byte("outs:\n- md5: d41d8cd98f00b204e9800998ecf8427e\n  size: 0\n  hash: md5\n  path: h.csv\n")}
	got := keys(t, tree)
	want := map[string]digest.Digest{}
	raw, err := os.ReadFile(name)
	if err == nil {
		err = json.Unmarshal(raw, &want)
	}
	if err != nil && !*write {
		t.Fatal(err)
	}
	for ref, key := range got {
		switch was, there := want[ref]; {
		case !there && *write:
			want[ref] = key
		case was != key:
			t.Errorf("%s has the key %s, and had %s", ref, key, was)
		}
	}
	if len(want) != len(got) {
		t.Errorf("%d keys are kept, and %d declared", len(want), len(got))
	}
	if !*write {
		return
	}
	if raw, err = json.MarshalIndent(want, "", "  "); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, append(raw, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}
