// The forge's place of checkpoints: commit statuses at the first commit of the
// repository. GitHub adds statuses and takes none away, whoever asks; the author of a
// pull request cannot make one. Somebody who may write to the repository can add to
// them, and so each is signed, and all that are looked at are held against each other.

package witness

import (
	"context"
	"fmt"

	"golang.org/x/crypto/ssh"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Statuses are a forge's commit statuses.
type Statuses interface {
	// Post adds a status of that name, which says text, to the commit sha.
	Post(ctx context.Context, sha, name, text string) error
	// Posted lists what the statuses of sha say whose names begin with prefix, the
	// newest first: as far as one of ours is among them, or so many that there may be
	// others behind them.
	Posted(ctx context.Context, sha, prefix string) ([]string, error)
}

const (
	statusName = "vishwa/checkpoint/"
	oneName    = 500 // statuses; GitHub takes a thousand of a name at a commit
)

// Forge keeps checkpoints of the ledger origin beside the commit that at tells.
func Forge(s Statuses, at func(ctx context.Context) (string, error), origin string, keys map[string][]ssh.PublicKey) port.Witness {
	return forge{s, at, origin, keys}
}

type forge struct {
	Statuses
	at     func(ctx context.Context) (string, error)
	origin string
	keys   map[string][]ssh.PublicKey
}

// Newest implements port.Witness.
func (f forge) Newest(ctx context.Context) (out [][]byte, err error) {
	sha, err := f.at(ctx)
	if err != nil {
		return nil, err
	}
	all, err := f.Posted(ctx, sha, statusName)
	if err != nil {
		return nil, fmt.Errorf("list statuses of %.12s: %w", sha, err)
	}
	seen := map[string]bool{}
	for _, text := range all {
		if !seen[text] {
			seen[text] = true
			out = append(out, ledger.Unbrief(text, f.origin, f.keys)...)
		}
	}
	if len(all) > 0 && len(out) == 0 {
		return nil, fault.WithHint(fault.New(fault.Denied, "%d statuses of %.12s are called checkpoints, and none is one", len(all), sha), "somebody else writes statuses of that name on the forge: find out who, and take that right away")
	}
	return out, nil
}

// Keep implements port.Witness; the note is one of ledger.Brief.
func (f forge) Keep(ctx context.Context, count int64, note []byte) error {
	text, err := ledger.Brief(note)
	if err != nil {
		return err
	}
	sha, err := f.at(ctx)
	if err != nil {
		return err
	}
	return f.Post(ctx, sha, fmt.Sprintf("%s%d", statusName, count/oneName), text)
}
