package ledger

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// TestOutputsAreWrittenAsAMapOfThemIs: by the same bytes, in an entry too, and read again; each is found by its name.
func TestOutputsAreWrittenAsAMapOfThemIs(t *testing.T) {
	type mapped struct {
		Outputs map[string]port.Artifact `json:"outputs,omitempty"`
	}
	type listed struct {
		Outputs Outputs `json:"outputs,omitempty"`
	}
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.MapOfN(rapid.String(), rapid.Custom(func(t *rapid.T) port.Artifact {
			a := port.Artifact{Name: rapid.String().Draw(t, "name"), Digest: key(rapid.IntRange(0, 9).Draw(t, "digest")), Size: rapid.Int64().Draw(t, "size")}
			if rapid.Bool().Draw(t, "folder") {
				a.Files = digest.Manifest{{Path: "a<b", Digest: key(1), Size: 1}}
			}
			return a
		}), 0, 3).Draw(t, "outputs")
		want, err := json.Marshal(mapped{all})
		if err != nil {
			t.Fatal(err)
		}
		is := OutputsOf(all)
		got, err := json.Marshal(listed{is})
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("got  %s, %v\nwant %s", got, err, want)
		}
		var again listed
		var asMap mapped
		if err := json.Unmarshal(want, &again); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(want, &asMap); err != nil || !reflect.DeepEqual(again.Outputs, OutputsOf(asMap.Outputs)) {
			t.Fatalf("%s is read as %v, %v", want, again.Outputs, err)
		}
		for name, a := range all {
			if found, ok := is.Find(name); !ok || !reflect.DeepEqual(found, a) {
				t.Fatalf("%q is %v, %v", name, found, ok)
			}
		}
		if a, ok := is.Find("none of these names, which are short"); ok || !reflect.DeepEqual(a, port.Artifact{}) {
			t.Fatalf("what is not there is %v", a)
		}
	})
}
