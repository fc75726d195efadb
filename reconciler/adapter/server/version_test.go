// A record that another version of vishwa reads: what is not understood is not served as something else.

package server

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
)

// An order for a starter has nothing that a vishwa without starters would run.
func TestAnOrderForAStarterIsNoProcess(t *testing.T) {
	o := order{Name: "one", Folder: "r-1", Starter: "docker", Run: []string{"serve"}, Settled: json.RawMessage(`{"image":"i"}`), Laid: digest.Manifest{{Path: "model/m", Digest: digest.Of(nil)}}}
	if err := o.check(); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	var before struct{ Command []string }
	if err := json.Unmarshal(raw, &before); err != nil || len(before.Command) > 0 {
		t.Errorf("a vishwa before would run %q, %v", before.Command, err)
	}
	for name, change := range map[string]func(*order){
		"with a command, too": func(o *order) { o.Command = []string{"evil"} },
		"without its command": func(o *order) { o.Run = nil },
		"without a word":      func(o *order) { o.Settled = nil },
		"of no starter":       func(o *order) { o.Starter = "" },
	} {
		c := o
		if change(&c); c.check() == nil {
			t.Errorf("%s: it is taken", name)
		}
	}
	place := folder(t.TempDir())
	key, err := seal.KeyOf(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(place.served("one"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := place.write(key, o); err != nil {
		t.Fatal(err)
	}
	if was, err := place.readOrder(key, "one"); err != nil || !o.alike(was) {
		t.Errorf("it is read as %+v, %v", was, err)
	}
	was := o
	was.Settled = json.RawMessage(`{"image":"j"}`)
	if o.alike(was) {
		t.Error("another image is the same")
	}
}
