// Which ledger a tracked branch has, and who wrote what is newest on it: what the site
// wrote itself is no reason for it to look again.

package app

import (
	"context"
	"sync"

	"github.com/vishwaops/vishwa/reconciler/adapter/gitledger"
	"github.com/vishwaops/vishwa/reconciler/adapter/repo"
	"github.com/vishwaops/vishwa/reconciler/controller"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/pass"
)

// mostWrote is how many commits are known as the site's own: it is asked about the newest.
const mostWrote = 4096

// ledgers is safe for concurrent use.
type ledgers struct {
	mu    sync.Mutex
	names map[string]string // tracked branch -> its ledger's branch
	under map[string]string // commit that the site made -> the newest before it that it did not make
	order []string          // of under, oldest first
}

// wrote notes a commit that the site made.
func (l *ledgers) wrote(before, commit string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.under == nil {
		l.under = map[string]string{}
	}
	under, ours := l.under[before]
	switch {
	case ours:
	case before == "":
		under = controller.NoLedger
	default:
		under = before
	}
	if _, known := l.under[commit]; !known {
		l.order = append(l.order, commit)
	}
	l.under[commit] = under
	for len(l.order) > mostWrote {
		delete(l.under, l.order[0])
		l.order = l.order[1:]
	}
}

// before is what others wrote last, below the site's own commits up to tip; "" where
// tip is theirs.
func (l *ledgers) before(tip string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.under[tip]
}

// call notes that the ledger of a tracked branch is on the branch name.
func (l *ledgers) call(branch, name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.names == nil {
		l.names = map[string]string{}
	}
	l.names[branch] = name
}

// ledgerOf is the branch of the ledger that a tracked branch asks for, as of its last
// pass. After a start it is read from what was fetched before.
func (s *ManagedRepository) ledgerOf(ctx context.Context, branch string) string {
	s.ledgers.mu.Lock()
	name, known := s.ledgers.names[branch]
	s.ledgers.mu.Unlock()
	if known {
		return name
	}
	name = gitledger.UsualBranch
	r, err := repo.Open(s.mirror.Dir(), repo.Options{Branch: branch, URL: s.o.URL})
	if err != nil {
		return name // the pass says what is wrong
	}
	defer r.Close()
	head, err := r.Head(ctx)
	if err != nil {
		return name // nothing was fetched yet
	}
	tree, err := r.Open(ctx, head.SHA)
	if err != nil {
		return name
	}
	if project, _, err := pass.Settings(tree); err == nil && project.Ledger.Branch != "" {
		name = project.Ledger.Branch
	}
	s.ledgers.call(branch, name)
	return name
}

// notifyingLedger is a ledger that tells the site of all that is read and recorded.
type notifyingLedger struct {
	pass.Ledger
	site *ManagedRepository
}

func (t notifyingLedger) Facts(ctx context.Context) (*ledger.Facts, error) {
	f, err := t.Ledger.Facts(ctx)
	if err == nil {
		t.site.known(f)
	}
	return f, err
}

func (t notifyingLedger) Append(ctx context.Context, e ledger.Entry) (ledger.Entry, error) {
	got, err := t.Ledger.Append(ctx, e)
	if err == nil {
		t.site.recorded(got)
		if t.site.o.Recorded != nil {
			t.site.o.Recorded(got)
		}
	}
	return got, err
}

func (s *ManagedRepository) asked(operation string) {
	if s.o.Asked != nil {
		s.o.Asked(operation)
	}
}
