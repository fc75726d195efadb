// vishwa explain: where something comes from, as a tree; and what a name may have meant that
// the ledger does not have.

package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/lineage"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/schemas"
	"github.com/vishwaops/vishwa/templates"
)

func (a *cli) explainVerb() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "explain REF|DIGEST",
		Short: "Show where something comes from: deployment, model, run, params, data, author",
		Long: `Show where something comes from: deployment, model, run, params, data, author. A REF that
is declared no longer, since it was renamed or retired, keeps its record; what became of
it is shown with it. A DIGEST, or its first digits, may be of anything that the ledger
ever recorded: a model, one of its files, a signature, a key, a plan, an entry.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.open(cmd.Context(), reading)
			if err != nil {
				return err
			}
			defer s.close()
			n, err := explained(cmd.Context(), s, args[0])
			if err != nil {
				return err
			}
			if format == "json" {
				return a.json(n)
			}
			return templates.Tree(a.out, n)
		},
	}
	formats(cmd, &format, "text", "json")
	return cmd
}

// explained is the tree under a ref or a digest. A ref means what is in force for what is
// declared now; where that was not made, or cannot be known because the declarations are
// broken, its newest entry.
func explained(ctx context.Context, s *station, name string) (lineage.Node, error) {
	r, err := s.record(ctx)
	if err != nil {
		return lineage.Node{}, err
	}
	ref, notRef := schemas.ParseRef(name)
	if notRef != nil {
		return r.Digest(name)
	}
	return r.Ref(ref)
}

// record is all that the ledger says, and what is declared now.
func (s *station) record(ctx context.Context) (r lineage.Record, err error) {
	if r.Facts, err = s.Ledger.Facts(ctx); err != nil { // fetched, and verified as far as it is new
		return r, err
	}
	for e, err := range s.Entries(ctx) {
		if err != nil {
			return r, err
		}
		r.Entries = append(r.Entries, &e)
	}
	if in, err := s.Intent(ctx); err == nil {
		r.Declared = map[schemas.Ref]digest.Digest{}
		for _, st := range plan.Compute(in.Graph, plan.Observed{Facts: r.Facts}).Steps {
			if st.Do != plan.Retire {
				r.Declared[st.Ref] = st.Key
			}
		}
	}
	return r, nil
}

// inForce is the entry that stands under ref, on this machine, for what the work tree
// declares; nil where there is none. After a revert it is not the newest one. Where nobody
// can say what this machine has, it goes by the ledger's first.
func inForce(ctx context.Context, s *station, facts *ledger.Facts, ref schemas.Ref) *ledger.Entry {
	if ref.Kind.Traits().Observed {
		return facts.On(s.Machine, ref)
	}
	in, err := s.Intent(ctx)
	if err != nil {
		return nil
	}
	if here, err := s.Here(ctx, facts, in.Graph); err == nil {
		facts = here
	}
	for _, st := range plan.Compute(in.Graph, plan.Observed{Facts: facts}).Steps {
		if st.Ref == ref && st.Do == plan.Keep {
			return facts.ByKey[st.Key]
		}
	}
	return nil
}

// noEntries says that nothing is recorded, and under which name it is where something was renamed
// or the name may be a slip.
func (a *cli) noEntries(ctx context.Context, s *station, f filter) error {
	fmt.Fprintln(a.err, "No entries.")
	if len(f.refs) == 0 {
		return nil
	}
	r, err := s.record(ctx)
	if err != nil {
		return err
	}
	for _, ref := range f.refs {
		for _, as := range r.RecordedAs(ref) {
			fmt.Fprintf(a.err, "%s was renamed: what it makes is recorded as %s. See: vishwa log %s\n", ref, as, as)
		}
		if known, near := r.Known(ref); !known && near != "" {
			fmt.Fprintf(a.err, "Nothing is declared or recorded as %s. Did you mean %s?\n", ref, near)
		} else if !known {
			fmt.Fprintf(a.err, "Nothing is declared or recorded as %s. vishwa status lists what is declared.\n", ref)
		}
	}
	return nil
}
