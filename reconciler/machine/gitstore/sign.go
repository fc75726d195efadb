// Who writes a commit or a tag, and its signature, which is made with SSH as git does it itself: git
// verify-commit and git verify-tag are the second opinion.

package gitstore

import (
	"strings"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Namespace is what git signs commits under.
const Namespace = "git"

// SignCommit is the armored signature that git verify-commit calls good.
func SignCommit(c ledger.Commit, with ssh.Signer) (string, error) { return sign(c.String(), with) }

// SignTag is a tag's bytes with the signature at their end that git verify-tag calls good.
func SignTag(raw string, with ssh.Signer) (string, error) {
	sig, err := sign(raw, with)
	return raw + sig, err
}

func sign(raw string, with ssh.Signer) (string, error) {
	sig, err := sshsig.Sign(strings.NewReader(raw), with, sshsig.HashSHA512, Namespace)
	if err != nil {
		return "", err
	}
	return string(sshsig.Armor(sig)), nil
}

// VerifyCommit tells whose trusted key signed c, as Git signs with SSH.
func VerifyCommit(c ledger.Commit, trusted map[string][]ssh.PublicKey) (string, error) {
	sig, err := sshsig.Unarmor([]byte(c.Signature))
	if err != nil {
		return "", fault.New(fault.Denied, "read SSH signature: %w", err)
	}
	for name, keys := range trusted {
		for _, k := range keys {
			if string(k.Marshal()) != string(sig.PublicKey.Marshal()) {
				continue
			}
			if err := sshsig.Verify(strings.NewReader(c.Signed), sig, k, sig.HashAlgorithm, Namespace); err != nil {
				return "", fault.New(fault.Denied, "verify SSH signature: %w", err)
			}
			return name, nil
		}
	}
	return "", fault.New(fault.Denied, "key %s is not trusted", ssh.FingerprintSHA256(sig.PublicKey))
}

// Mailbox is one line of text that names a person, in the form that Git writes.
func Mailbox(name, email string) string {
	clean := strings.NewReplacer("<", "", ">", "", "\n", " ", "\r", " ", "\x00", "")
	return strings.TrimSpace(clean.Replace(name)) + " <" + strings.TrimSpace(clean.Replace(email)) + ">"
}
