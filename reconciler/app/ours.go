// Whose a proposal is: a branch says what it likes of its authors, and only a signature says who
// wrote a commit.

package app

import (
	"bytes"
	"context"
	"fmt"
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
	key, err := p.Sign()
	if err != nil {
		return false, fmt.Errorf("tell whose a proposal is: %w", err)
	}
	by := hands[0].Key
	return by != nil && (bytes.Equal(by, key.PublicKey().Marshal()) || p.Trust != nil && p.Trust.Controls(by)), nil
}
