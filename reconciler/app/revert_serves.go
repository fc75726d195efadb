// What serves, and which commit declares it: the newest entry of a deployment says when it was last made to serve, which after a rollback
// is when the branch declared what was rolled back.

package app

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/schemas"
)

// stated is what a commit declares of a deployment.
type stated struct {
	at  string        // the commit
	key digest.Digest // of the release; "": not known, as something that it comes from was never made
	all digest.Digest // of all that is declared of it; "": the commit declares none, or cannot be read
	bad string        // what is wrong with the commit's declarations
}

// same tells whether both make one release.
func (s stated) same(o stated) bool {
	if s.key != "" && o.key != "" {
		return s.key == o.key
	}
	return s.all == o.all
}

// mostServed bounds how many entries of one release are looked at for the one whose revision declares it.
const mostServed = 10

// served is what serves, as the newest commit declares it that it was released from. A rollback restores the release of another entry,
// and what is put right while another is tried serves again; their own revisions declare something else.
func (p *Proposer) served(ctx context.Context, ref schemas.Ref, serves *ledger.Entry) (stated, error) {
	releases := []ledger.Entry{*serves}
	if p.Releases != nil {
		var err error
		if releases, err = p.Releases(ctx, ref); err != nil {
			return stated{}, err
		}
	}
	none := Unreverted{fmt.Sprintf("no revision is known that declares what serves since entry %d; declare something else", serves.Seq)}
	e := ledger.ReleaseOf(releases, serves.Seq)
	if e == nil || e.Rollback() || e.Key != serves.Key {
		return stated{}, none
	}
	i := slices.IndexFunc(releases, func(r ledger.Entry) bool { return r.Seq == e.Seq })
	for n := 0; i >= 0 && n < mostServed && releases[i].Key == serves.Key; i, n = i-1, n+1 {
		if releases[i].Rollback() {
			continue
		}
		d, err := p.declares(ctx, releases[i].Revision, ref)
		if fault.Of(err) == fault.Missing {
			return stated{}, Unreverted{fmt.Sprintf("the branch does not hold %.7s any more, which made what serves; declare something else", releases[i].Revision)}
		}
		if err != nil {
			return stated{}, err
		}
		if d.all != "" && (d.key == "" || d.key == serves.Key) {
			d.key = serves.Key
			return d, nil
		}
	}
	return stated{}, none
}

// remembered is what commits of the tracked branch were found to declare of deployments, so that a release that stays rolled back has no
// revision read twice. Its zero value is empty.
type remembered struct {
	mu sync.Mutex
	of map[schemas.Ref]map[string]found
}

// found is what a commit declares, as of a ledger of so many entries: a key that was not known then may be by now.
type found struct {
	stated
	entries int64
}

// walk is what the commits that are looked through for ref now were found to declare, which alone is kept.
type walk struct {
	was, now map[string]found
}

func (m *remembered) begin(ref schemas.Ref) walk {
	w := walk{now: map[string]found{}}
	if m != nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		w.was = m.of[ref]
	}
	return w
}

func (m *remembered) end(ref schemas.Ref, w walk) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.of == nil {
		m.of = map[schemas.Ref]map[string]found{}
	}
	m.of[ref] = w.now
}

// declared is what a commit declares of ref, as it was found before or is read.
func (p *Proposer) declared(ctx context.Context, w walk, sha string, ref schemas.Ref) (stated, error) {
	known, is := w.was[sha]
	if !is || known.key == "" && known.all != "" && known.entries != p.Facts.Count {
		s, err := p.declares(ctx, sha, ref)
		if err != nil {
			return s, err
		}
		known = found{s, p.Facts.Count}
	}
	w.now[sha] = known
	return known.stated, nil
}

// declares is what a commit declares of ref.
func (p *Proposer) declares(ctx context.Context, sha string, ref schemas.Ref) (stated, error) {
	out := stated{at: sha}
	tree, err := p.Repo.Open(ctx, sha)
	if err != nil {
		return out, err
	}
	in, err := pass.Read(ctx, tree)
	if fault.Of(err) == fault.Invalid {
		out.bad, _, _ = strings.Cut(err.Error(), "\n")
		return out, nil
	}
	if err != nil {
		return out, err
	}
	out.all = in.Graph.Declares(ref)
	for _, s := range plan.Compute(in.Graph, plan.Observed{Facts: p.Facts}).Steps {
		if s.Ref == ref && !s.Pending && s.Do != plan.Retire {
			out.key = s.Key
		}
	}
	return out, nil
}
