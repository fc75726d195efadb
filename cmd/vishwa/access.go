// vishwa access: who can read which dataset and model, by the policies that Terraform's states hold.

package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/reconciler/adapter/store"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/access"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

func (a *cli) accessVerb() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "access",
		Short: "List who can read which dataset and model, by the policies in Terraform's states",
		Long: `Tell who can read which dataset and model: which roles and users of AWS, by the
policies that the states of the declared infrastructure hold. Each dataset and each
model that is released is named with its digest, and looked for where its source and
the project's store keep it in a bucket.

It looks at each stack as vishwa plan does. An identity can read all or some of the data;
it says some also if only a condition, which is not evaluated, could allow it. Policies
that are not evaluated are listed: AWS's own, and those whose text is in no state. With
several stacks, each address begins with the name of its stack.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, w, err := a.openAndObserve(cmd.Context())
			if err != nil {
				return err
			}
			defer s.close()
			report := accessOf(w)
			if format == "json" {
				return a.json(report)
			}
			a.tellAccess(report)
			return nil
		},
	}
	formats(cmd, &format, "text", "json")
	return cmd
}

// accessOf is the report on what w declares.
func accessOf(w *pass.Snapshot) access.Report {
	var world access.World
	var blind []string
	var objects []access.Object
	stacks := 0
	for i := range w.Graph.Nodes {
		if w.Graph.Nodes[i].Ref.Kind.Traits().Provisioned {
			stacks++
		}
	}
	for i := range w.Graph.Nodes {
		n := &w.Graph.Nodes[i]
		if n.Ref.Kind.Traits().Provisioned {
			change, seen := w.Stacks[n.Ref]
			var stack string
			if stacks > 1 { // two of one module have the same addresses
				stack = n.Ref.String()
			}
			if !seen || world.Add(stack, change.Raw) != nil {
				blind = append(blind, n.Ref.String()+": its state was not looked at; vishwa plan says why")
			}
			continue
		}
		if o := kept(w, n.Ref, n.Decl.Spec); len(o.At) > 0 {
			objects = append(objects, o)
		}
	}
	report := world.Report(objects)
	report.Unknown = append(report.Unknown, blind...)
	return report
}

// kept is where data or a model lies in buckets; nowhere for all else.
func kept(w *pass.Snapshot, ref schemas.Ref, spec any) (o access.Object) {
	o.Ref = ref
	var made []port.Artifact
	last := w.Facts.Latest[ref]
	switch spec := spec.(type) {
	case schemas.Data:
		if last != nil {
			for _, a := range last.Outputs {
				made = append(made, a.Artifact)
			}
		}
		if at := spec.Data().Source.S3; at != nil {
			o.At = append(o.At, below(*at, made))
		}
	case schemas.Selects:
		if last != nil && last.Model != nil {
			made = append(made, last.Model.Artifact)
		}
	default:
		return o
	}
	for _, m := range made {
		if o.Digest == "" {
			o.Digest = m.Digest
		}
		if st := w.Project.Store; st != nil && st.S3 != nil {
			o.At = append(o.At, inStore(*st.S3, m)...)
		}
	}
	return o
}

// below is what a source reads: one object, or all below a prefix, as the last pin found it.
func below(at schemas.S3, made []port.Artifact) string {
	key := strings.TrimPrefix(at.URL, "s3://")
	switch {
	case len(made) == 1 && len(made[0].Files) == 0 && !strings.HasSuffix(key, "/"):
		return key
	case len(made) == 0:
		return key + "*"
	default:
		return strings.TrimRight(key, "/") + "/*"
	}
}

// mostPlaces is how many objects of one artifact are looked at one by one.
const mostPlaces = 20

// inStore is where a store in a bucket keeps an artifact.
func inStore(at schemas.S3, m port.Artifact) (out []string) {
	prefix := strings.TrimRight(strings.TrimPrefix(at.URL, "s3://"), "/") + "/"
	if len(m.Files) > mostPlaces {
		return []string{prefix + "sha256/*"}
	}
	names := map[digest.Digest]bool{m.Digest: len(m.Files) == 0}
	for _, f := range m.Files {
		names[f.Digest] = true
	}
	for name, there := range names {
		if there {
			out = append(out, prefix+store.Key(name))
		}
	}
	slices.Sort(out)
	return out
}

func (a *cli) tellAccess(r access.Report) {
	if len(r.Objects) == 0 {
		fmt.Fprintln(a.out, "Nothing that is declared is in a bucket.")
	}
	for _, o := range r.Objects {
		name := o.Ref.String()
		if o.Digest != "" {
			name += " " + o.Digest.Short()
		}
		fmt.Fprintf(a.out, "%s in %s\n", name, harmless.Line("s3://"+strings.Join(o.At[:min(3, len(o.At))], ", s3://")))
		if len(o.Readers) == 0 {
			fmt.Fprintln(a.out, "  nobody that a state knows can read it")
		}
		for _, who := range o.Readers {
			text := fmt.Sprintf("  %s reads %s, by %s", who.Identity, who.Part, strings.Join(who.By, ", "))
			if len(who.Conditions) > 0 {
				text += ", where " + strings.Join(who.Conditions, ", ") + " allows it"
			}
			fmt.Fprintln(a.out, harmless.Line(text))
		}
	}
	for _, u := range r.Unknown {
		fmt.Fprintln(a.out, harmless.Line("Not judged: "+u))
	}
}
