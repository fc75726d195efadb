// What is released no more where it was: taken away, or declared for another environment. A forge shows it as active until it is told, which
// it may be unable to hear at that time; the ledger has it for every later pass.

package review

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// mostLeft is how many are shown as over in one pass, the newest first: a forge counts what it is asked.
const mostLeft = 20

// left shows as over what was released where it is no more. Once the forge has taken that, this process does not ask it again.
func (o *Service) left(ctx context.Context, h *Session) error {
	if o.Forge == nil {
		return nil
	}
	facts, err := h.Ledger.Facts(ctx)
	if err != nil {
		return err
	}
	shown := 0
	for _, e := range slices.SortedFunc(maps.Values(facts.Left), func(a, b *ledger.Entry) int { return cmp.Compare(b.Seq, a.Seq) }) {
		r := port.Deployment{SHA: e.Revision, Environment: e.Release.Environment, State: port.Gone, Description: over(facts.Latest[e.Ref])}
		name := fmt.Sprintf("%s %s %d", e.Ref, r.Environment, e.Seq)
		if o.told(name) || shown == mostLeft {
			continue
		}
		taken, err := o.deployment(ctx, e.Ref, e.Key, r)
		if err != nil || !taken { // who may not show one may show none
			return err
		}
		o.noteTold(name)
		shown++
	}
	return nil
}

// over is why a deployment whose newest entry is e is not where it was.
func over(e *ledger.Entry) string {
	switch {
	case e == nil:
		return ""
	case e.Action == ledger.Deploy && e.Release != nil:
		return "released to " + e.Release.Environment
	}
	return e.Reason
}

// told tells whether the forge has taken that something is over.
func (o *Service) told(name string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.over[name]
}

func (o *Service) noteTold(name string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.over == nil {
		o.over = map[string]bool{}
	}
	o.over[name] = true
}
