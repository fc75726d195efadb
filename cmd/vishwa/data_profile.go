// vishwa data profile: what a dataset's rows are like, as it was recorded with the pin.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/tables"
	"github.com/vishwaops/vishwa/schemas"
	"github.com/vishwaops/vishwa/templates"
)

func (a *app) dataProfile() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use: "profile REF", Short: "Show what a dataset's rows are like: counts, ranges, quantiles, top values", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ref, err := schemas.ParseRef(args[0])
			if err != nil {
				return usage(cmd, err)
			}
			s, err := a.open(cmd.Context(), reading)
			if err != nil {
				return err
			}
			defer s.close()
			raw, err := profileOf(cmd.Context(), s, ref)
			if err != nil {
				return err
			}
			if format == "json" {
				_, err := fmt.Fprintf(a.out, "%s\n", raw)
				return err
			}
			var p tables.Profile
			if err := json.Unmarshal(raw, &p); err != nil {
				return fault.New(fault.Corrupt, "read the profile of %s: %w", ref, err)
			}
			text := templates.Profile(p)
			if format == "html" {
				text = templates.ProfileHTML(p)
			}
			_, err = io.WriteString(a.out, text)
			return err
		},
	}
	formats(cmd, &format, "text", "json", "html")
	return cmd
}

// profileOf is the profile under what is declared of ref, else under its newest pin.
func profileOf(ctx context.Context, s *station, ref schemas.Ref) ([]byte, error) {
	facts, err := s.Book.Facts(ctx)
	if err != nil {
		return nil, err
	}
	e := inForce(ctx, s, facts, ref)
	if e == nil {
		e = facts.Latest[ref]
	}
	if ref.Kind != "dataset" || e == nil {
		return nil, fault.Hint(fault.New(fault.Missing, "%s is no dataset that was pinned", ref), "name a dataset, and pin it: vishwa apply")
	}
	kept, ok := e.Outputs["profile"]
	if !ok {
		return nil, fault.Hint(fault.New(fault.Missing, "%s was pinned without a profile", ref), "a profile is made of tables: declare spec.format, and apply again")
	}
	in, err := s.Store.Get(ctx, kept.Digest)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return io.ReadAll(in)
}
