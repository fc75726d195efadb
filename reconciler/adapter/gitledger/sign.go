// Commits of the ledger are signed with SSH, as git does it itself: git
// verify-commit is the second opinion.

package gitledger

import (
	"fmt"

	"github.com/go-git/go-git/v5/plumbing"
	"golang.org/x/crypto/ssh"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore"
)

// sign is the raw commit that carries e.
func (l *Ledger) sign(e ledger.Entry, bundle digest.Digest, root plumbing.Hash) ([]byte, error) {
	signer, err := l.signs()
	if err != nil {
		return nil, fmt.Errorf("sign commit of entry %d: %w", e.Seq, err)
	}
	who := fmt.Sprintf("%s %d +0000", gitstore.Mailbox(l.opts.Name, l.opts.Email), e.Time.Unix())
	c := ledger.Commit{Tree: root.String(), Author: who, Committer: who, Message: ledger.Message(e, bundle)}
	if !l.at.IsZero() {
		c.Parent = l.at.String()
	}
	sig, err := gitstore.SignCommit(c, signer)
	if err != nil {
		return nil, fault.New(fault.Internal, "sign commit of entry %d: %w", e.Seq, err)
	}
	c.Signature = sig
	return []byte(c.String()), nil
}

// signs is who signs, asked for at its first use.
func (l *Ledger) signs() (ssh.Signer, error) {
	if l.signer != nil {
		return l.signer, nil
	}
	if l.opts.SSH == nil {
		return nil, fault.WithHint(fault.New(fault.Denied, "there is no key"), "name the folder of this controller's keys in VISHWA_KEYS, or make keys: vishwa keys generate")
	}
	s, err := l.opts.SSH()
	if err != nil {
		return nil, err
	}
	l.signer = s
	return s, nil
}
