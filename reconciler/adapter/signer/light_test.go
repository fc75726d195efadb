// What checks signatures without a library says what the library says.

package signer

import (
	"bytes"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/attest"
	"github.com/vishwaops/vishwa/reconciler/port"
)

func TestASignatureIsCheckedWithoutALibrary(t *testing.T) {
	k, library := open(t)
	dir, _ := keys(t)
	var mine [][]byte
	for _, key := range trusted(t, dir) {
		if key.Role == port.Build {
			mine = append(mine, key.PEM)
		}
	}
	said, err := attest.StateModel("enrollment", digest.Manifest{{Path: "model.json", Digest: digest.Of([]byte("weights")), Size: 7}})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := k.Sign(t.Context(), port.Build, said)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := attest.Verify(raw, mine); err != nil || !bytes.Equal(got, said) {
		t.Fatalf("%s, %v", got, err)
	}
	for i := range raw {
		bad := bytes.Clone(raw)
		bad[i] ^= 1
		_, light := attest.Verify(bad, mine)
		if light == nil {
			t.Errorf("bit of byte %d is changed, and nobody sees it", i)
		}
		if _, _, err := library.Verify(t.Context(), bad); i%37 == 0 && err == nil {
			t.Errorf("the library takes byte %d", i)
		}
	}
	other, err := k.Sign(t.Context(), port.Deploy, said)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		raw  []byte
		keys [][]byte
	}{
		"a key of another role": {other, mine}, "no key": {raw, nil}, "what is no key": {raw, [][]byte{[]byte("x")}}, "nothing": {nil, mine},
	} {
		if _, err := attest.Verify(c.raw, c.keys); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
