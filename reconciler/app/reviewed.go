// What code of a pull request may reach: what the branch that it is for declares, since
// that was reviewed. The pull request's own declarations add nothing.

package app

import (
	"context"
	"sync"

	"github.com/vishwaops/vishwa/reconciler/adapter/repo"
	"github.com/vishwaops/vishwa/reconciler/port/wrap"
	"github.com/vishwaops/vishwa/schemas"
)

// reviewed are the hosts that the branch's newest revision lists for a ref; a network
// of all is not handed on to code that nobody reviewed. They are read once.
func reviewed(r *repo.Repo) wrap.Hosts {
	var once sync.Mutex
	var known map[schemas.Ref][]string
	return func(ctx context.Context, ref schemas.Ref) ([]string, error) {
		once.Lock()
		defer once.Unlock()
		if known == nil {
			head, err := r.Head(ctx)
			if err != nil {
				return nil, err
			}
			tree, err := r.Open(ctx, head.SHA)
			if err != nil {
				return nil, err
			}
			decls, _ := schemas.Load(ctx, tree) // what has problems declares nothing
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			known = map[schemas.Ref][]string{}
			for _, d := range decls {
				if spec, ok := d.Spec.(schemas.Bounded); ok {
					known[d.Ref()] = spec.Bounds().Network.Hosts()
				}
				if spec, ok := d.Spec.(schemas.Asks); ok && spec.Asked() != nil {
					for i := range spec.Asked().Rounds() {
						known[schemas.AskRef(d.Metadata.Name, i+1)] = spec.Asked().Network.Hosts()
					}
				}
			}
		}
		return known[ref.Whole()], nil
	}
}
