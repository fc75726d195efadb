// Who vouches for models and packages. A signature has no date: a key that was stolen signs on after it was revoked, and what it
// signed counts as far as the ledger names that very signature from before.

package app

import (
	"context"
	"fmt"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/trust"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Vouching verifies by the keys of trust.yaml, and by the ledger where the term of a controller has an end.
func (h *Repository) Vouching(ctx context.Context) (port.Verifier, error) {
	if h.Trust == nil {
		return h.Signer.Verifier, nil
	}
	ends := false
	for _, c := range h.Trust.Controllers {
		ends = ends || c.Term != (trust.Term{})
	}
	if !ends {
		return h.Signer.Verifier, nil
	}
	facts, err := h.Ledger.Facts(ctx)
	if err != nil {
		return nil, err
	}
	return vouching{h.Signer.Verifier, h.Trust, named(facts)}, nil
}

// named are the entries that name a bundle, by its digest.
func named(facts *ledger.Facts) map[digest.Digest][]*ledger.Entry {
	out := map[digest.Digest][]*ledger.Entry{}
	for e := range facts.Made() {
		if e.Model != nil {
			out[e.Model.Signature] = append(out[e.Model.Signature], e)
			out[e.Model.Provenance] = append(out[e.Model.Provenance], e)
		}
		if e.Package != nil {
			for _, b := range e.Package.Evidence {
				out[b.Bundle] = append(out[b.Bundle], e)
			}
		}
	}
	return out
}

type vouching struct {
	port.Verifier
	trust *trust.Trust
	named map[digest.Digest][]*ledger.Entry
}

// lapsed is a signature that holds, by somebody whose word does not count for it.
type lapsed struct{ why string }

func (l lapsed) Error() string { return l.why }

func (v vouching) Verify(ctx context.Context, bundle []byte) ([]byte, port.Identity, error) {
	statement, by, err := v.Verifier.Verify(ctx, bundle)
	if err != nil {
		return nil, by, err
	}
	term := v.trust.Controllers[by.Name].Term
	if term == (trust.Term{}) {
		return statement, by, nil
	}
	for _, e := range v.named[digest.Of(bundle)] {
		if term.Holds(e.Seq, e.Time) == nil {
			return statement, by, nil
		}
	}
	why := fmt.Sprintf("signed by controller %s, whose term has an end, and no entry of that term names this signature", by.Name)
	if r := term.Revoked; r != nil {
		why = fmt.Sprintf("signed by controller %s, which was revoked after entry %d (%s), and no entry up to that names this signature", by.Name, r.After, r.Reason)
	}
	return nil, port.Identity{}, fault.WithHint(fault.New(fault.Denied, "%w", lapsed{why}), "do not use it; name what this repository's ledger has, as vishwa status prints it")
}
