// Whose a proposal is: a branch says what it likes of its authors, and only a signature says who
// wrote a commit.

package app

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/vishwaops/vishwa/reconciler/port"
)

// ours tells whether a controller wrote the commit at tip: it is signed by the key of this one, or of
// one that trust.yaml of the tracked branch lists. Where nothing is signed, people propose from
// their own clone, and nobody else writes its branches.
func (p *Proposer) ours(ctx context.Context, tip string) (bool, error) {
	if p.Sign == nil {
		return true, nil
	}
	hands, err := p.Repo.Hands(ctx, tip, tip)
	if err != nil {
		return false, err
	}
	wrote, err := p.wrote()
	return err == nil && wrote(hands[0]), err
}

// theirs tells whether anybody else has put commits on a proposal, also in a controller's name: what
// people amend, or pick from it, keeps the name of its author, and bears no signature of ours.
func (p *Proposer) theirs(ctx context.Context, tip string) (bool, error) {
	hands, err := p.Repo.Hands(ctx, p.Head, tip)
	if err != nil {
		return false, err
	}
	wrote, err := p.wrote()
	return err == nil && slices.ContainsFunc(hands, func(h port.Hand) bool { return !wrote(h) }), err
}

// wrote tells whether a controller wrote a commit, by its signature. Where nothing is signed, who
// Write says that it is by has to do.
func (p *Proposer) wrote() (func(port.Hand) bool, error) {
	if p.Sign == nil {
		const name = "Vishwa <vishwa@localhost>" // of repo.CommitDraft
		return func(h port.Hand) bool { return h.Author == name && h.Committer == name && len(h.With) == 0 }, nil
	}
	key, err := p.Sign()
	if err != nil {
		return nil, fmt.Errorf("tell whose a proposal is: %w", err)
	}
	ours := key.PublicKey().Marshal()
	return func(h port.Hand) bool {
		return h.Key != nil && (bytes.Equal(h.Key, ours) || p.Trust != nil && p.Trust.Controls(h.Key))
	}, nil
}
