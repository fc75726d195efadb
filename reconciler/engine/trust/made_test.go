// What a controller made is known again by its signature, and by nothing else.

package trust

import (
	"crypto/rand"
	"strings"
	"testing"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

func TestWhatAControllerMadeIsKnownAgain(t *testing.T) {
	one, two, former, stranger, person := signer(t), rsaSigner(t, 3072), signer(t), signer(t), signer(t)
	trusted := &Trust{Controllers: map[string]Controller{"one": {SSH: one.PublicKey()}, "two": {SSH: two.PublicKey()}, "former": {SSH: former.PublicKey()}},
		robots: map[string]string{string(one.PublicKey().Marshal()): "one", string(two.PublicKey().Marshal()): "two", string(former.PublicKey().Marshal()): "former"},
		people: map[string]string{string(person.PublicKey().Marshal()): "asha"}}
	const text = "run 7\n"
	signed := map[string]string{}
	for name, with := range map[string]ssh.Signer{"one": one, "two": two, "former": former} {
		s, err := trusted.SignMade(text, with, rand.Reader)
		if err != nil || !trusted.Made(text, s) {
			t.Fatalf("%s: %v", name, err)
		}
		signed[name] = s
	}
	revoked := *trusted
	revoked.Controllers = map[string]Controller{"one": {SSH: one.PublicKey()}, "two": {SSH: two.PublicKey()}, "former": {SSH: former.PublicKey(), Term: Term{Revoked: &Revocation{After: 9, Reason: "stolen"}}}}
	if !revoked.Made(text, signed["one"]) || revoked.Made(text, signed["former"]) {
		t.Error("whose word was taken back counts, or takes others with it")
	}
	for name, with := range map[string]ssh.Signer{"revoked": former, "a stranger": stranger, "a person": person} {
		if s, err := revoked.SignMade(text, with, rand.Reader); fault.Of(err) != fault.Denied || fault.HintOf(err) == "" || s != "" {
			t.Errorf("%s signs: %v", name, err)
		}
		raw, err := sshsig.Sign(strings.NewReader(text), with, sshsig.HashSHA512, MadeNamespace)
		if err != nil || revoked.Made(text, string(sshsig.Armor(raw))) {
			t.Errorf("%s counts (%v)", name, err)
		}
	}
	approval, err := sshsig.Sign(strings.NewReader(text), one, sshsig.HashSHA512, Namespace)
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]string{"nothing": "", "noise": "x", "of an approval": string(sshsig.Armor(approval)), "cut": signed["one"][:80]} {
		if trusted.Made(text, s) {
			t.Errorf("%s counts", name)
		}
	}
	if trusted.Made("run 8\n", signed["one"]) || (*Trust)(nil).Made(text, signed["one"]) {
		t.Error("it counts for another run, or where nobody is trusted")
	}
}
