// Commits of the ledger are signed with SSH, as git does it itself: git
// verify-commit is the second opinion.

package repo

import (
	"fmt"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

// sign is the raw commit that carries e.
func (l *Ledger) sign(e ledger.Entry, bundle digest.Digest, root plumbing.Hash) ([]byte, error) {
	if l.signer == nil {
		if l.opts.SSH == nil {
			return nil, fault.New(fault.Denied, "sign commit of entry %d: there is no key", e.Seq)
		}
		s, err := l.opts.SSH()
		if err != nil {
			return nil, fmt.Errorf("sign commit of entry %d: %w", e.Seq, err)
		}
		l.signer = s
	}
	who := fmt.Sprintf("%s %d +0000", mailbox(l.opts.Name, l.opts.Email), e.Time.Unix())
	c := ledger.Commit{Tree: root.String(), Author: who, Committer: who, Message: ledger.Message(e, bundle)}
	if !l.at.IsZero() {
		c.Parent = l.at.String()
	}
	sig, err := signCommit(c, l.signer)
	if err != nil {
		return nil, fault.New(fault.Internal, "sign commit of entry %d: %w", e.Seq, err)
	}
	c.Signature = sig
	return []byte(c.String()), nil
}

// namespace is what git signs commits under.
const namespace = "git"

// signCommit is the armored signature that git verify-commit calls good.
func signCommit(c ledger.Commit, with ssh.Signer) (string, error) {
	sig, err := sshsig.Sign(readerOf(c.String()), with, sshsig.HashSHA512, namespace)
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
			if err := sshsig.Verify(readerOf(c.Signed), sig, k, sig.HashAlgorithm, namespace); err != nil {
				return "", fault.New(fault.Denied, "verify SSH signature: %w", err)
			}
			return name, nil
		}
	}
	return "", fault.New(fault.Denied, "key %s is not trusted", ssh.FingerprintSHA256(sig.PublicKey))
}
