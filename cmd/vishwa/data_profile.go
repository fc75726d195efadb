// vishwa data profile: what a dataset's rows are like, as it was recorded with the pin.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/reconciler/examine"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/tables"
	"github.com/vishwaops/vishwa/schemas"
	"github.com/vishwaops/vishwa/templates"
)

func (a *app) dataProfile() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use: "profile REF|FILE", Short: "Show what a dataset's rows are like: counts, ranges, quantiles, top values", Args: cobra.ExactArgs(1),
		Long: `Shows what a dataset's rows are like: the profile that was recorded with its pin, or
that of a file, which is read now.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			raw, err := a.profiled(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if format == "json" {
				_, err := fmt.Fprintf(a.out, "%s\n", raw)
				return err
			}
			var p tables.Profile
			if err := json.Unmarshal(raw, &p); err != nil {
				return fault.New(fault.Corrupt, "read the profile of %s: %w", args[0], err)
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

// profiled is the profile of a file, or of what is declared.
func (a *app) profiled(ctx context.Context, arg string) ([]byte, error) {
	file := a.path(arg)
	ref, err := schemas.ParseRef(arg)
	if st, missing := os.Stat(file); missing == nil && st.Mode().IsRegular() && (err != nil || ref.Kind != "dataset") {
		one := examine.File{Path: arg, Size: st.Size(), Open: func(context.Context) (examine.Content, error) { return os.Open(file) }}
		// Rows are asked for: a file that is no table is told so.
		found, err := examine.Data(ctx, &schemas.Dataset{Rows: &schemas.Bounds{}}, []examine.File{one}, a.now())
		if err != nil {
			return nil, err
		}
		return json.Marshal(found.Profile)
	}
	if err != nil {
		return nil, fault.Hint(fault.New(fault.Invalid, "%s is neither a dataset nor a file: %w", arg, err), "name one as dataset/NAME, or the path of a file")
	}
	s, err := a.open(ctx, reading)
	if err != nil {
		return nil, err
	}
	defer s.close()
	return profileOf(ctx, s, ref)
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
