// What a controller made in the systems of others, where anybody may write what he likes next to it.

package trust

import (
	"io"
	"strings"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// MadeNamespace sets such signatures apart from every other use of an SSH key:
// ssh-keygen -Y sign -n vishwa-made.
const MadeNamespace = "vishwa-made"

// SignMade is the signature of a controller that it made what text says, which has to name the one thing that it means.
// A key that does not count is refused: nobody would know again what it signed.
func (t *Trust) SignMade(text string, with ssh.Signer, rand io.Reader) (string, error) {
	if !t.counts(with.PublicKey()) {
		return "", fault.WithHint(fault.New(fault.Denied, "sign what was recorded: the SSH key of this controller (%s) is not one of trust.yaml, or was revoked", ssh.FingerprintSHA256(with.PublicKey())),
			"run it where the keys of a controller are that trust.yaml names, or add this one to it by a reviewed change")
	}
	sig, err := sshsig.SignWithRand(strings.NewReader(text), rand, with, sshsig.HashSHA512, MadeNamespace)
	if err != nil {
		return "", fault.WithHint(fault.New(fault.Denied, "sign what was recorded: %w", err), "see that the controller's keys are in their place")
	}
	return string(sshsig.Armor(sig)), nil
}

// Made tells whether a controller signed text. A signature has no date: those of a controller that was revoked do not count,
// since whoever stole its key signs on.
func (t *Trust) Made(text, signature string) bool {
	sig, err := sshsig.Unarmor([]byte(signature))
	return err == nil && t.counts(sig.PublicKey) && sig.Namespace == MadeNamespace &&
		sshsig.Verify(strings.NewReader(text), sig, sig.PublicKey, sig.HashAlgorithm, MadeNamespace) == nil
}

func (t *Trust) counts(key ssh.PublicKey) bool {
	if t == nil || key == nil {
		return false
	}
	name, known := t.robots[string(key.Marshal())]
	return known && t.Controllers[name].Revoked == nil
}
