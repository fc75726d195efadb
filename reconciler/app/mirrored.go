// A mirror as reviews read it: its own program merges, its revisions are read as a repository's.

package app

import (
	"context"

	"github.com/vishwaops/vishwa/reconciler/adapter/mirror"
	"github.com/vishwaops/vishwa/reconciler/adapter/repo"
	"github.com/vishwaops/vishwa/reconciler/app/review"
)

// Mirrored is a mirror whose history is read, too.
type Mirrored struct{ *mirror.Mirror }

var _ review.Mirror = Mirrored{}

// Merges implements review.Mirror.
func (m Mirrored) Merges(ctx context.Context, head, since string, n int) ([]string, error) {
	r, err := repo.Open(m.Dir(), repo.Options{URL: m.URL()})
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return r.Merges(ctx, head, since, n)
}
