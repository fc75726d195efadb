// vishwa data profile: what a dataset's rows are like, as it was recorded with the pin.

package main

import (
	"context"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/cmd/internal/terminal"
	"github.com/vishwaops/vishwa/reconciler/adapter/repo"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/quality"
	"github.com/vishwaops/vishwa/reconciler/format/table"
	"github.com/vishwaops/vishwa/schemas"
	"github.com/vishwaops/vishwa/templates"
)

func (a *cli) dataProfile() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use: "profile REF|FILE|FOLDER", Short: "Show what a dataset's rows are like: counts, ranges, quantiles, top values", Args: cobra.ExactArgs(1),
		Long: `Shows what a dataset's rows are like: the profile that was recorded with its pin. For a
file, or a folder of tables, it reads the rows now; if a dataset declares that path, its
format and personal columns count. ≈ marks estimates: within 2 % for distinct values,
within 1 % for the median.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			raw, err := a.profiled(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if format == "json" {
				_, err := terminal.JSON(a.out).Write(append(raw, '\n'))
				return err
			}
			var p table.Profile
			if err := json.Unmarshal(raw, &p); err != nil {
				return fault.WithHint(fault.New(fault.Corrupt, "read the profile of %s: %w", args[0], err), "record it anew: vishwa data refresh, or change the pin and run vishwa apply")
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

// profiled is the profile of files, or of what is declared.
func (a *cli) profiled(ctx context.Context, arg string) ([]byte, error) {
	at := a.path(arg)
	ref, err := schemas.ParseRef(arg)
	if st, missing := os.Stat(at); missing == nil && (err != nil || !ref.Kind.Traits().Pinned) {
		files := []quality.File{fileAt(arg, at, st.Size())}
		if st.IsDir() {
			if files, err = filesBelow(arg, at); err != nil {
				return nil, err
			}
		}
		// Rows are asked for: what is no table is told so.
		found, err := quality.Data(ctx, declaredOver(ctx, at), files, a.now())
		if err != nil {
			return nil, err
		}
		return json.Marshal(found.Profile)
	}
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Invalid, "%s is neither a dataset nor a file: %w", arg, err), "name one as dataset/NAME, or the path of a file or folder")
	}
	s, err := a.open(ctx, reading)
	if err != nil {
		return nil, err
	}
	defer s.close()
	return profileOf(ctx, s, ref)
}

func fileAt(name, at string, size int64) quality.File {
	return quality.File{Path: name, Size: size, Open: func(context.Context) (quality.Content, error) { return os.Open(at) }}
}

func filesBelow(name, dir string) (files []quality.File, err error) {
	err = filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		st, err := e.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err == nil {
			files = append(files, fileAt(path.Join(filepath.ToSlash(name), filepath.ToSlash(rel)), p, st.Size()))
		}
		return err
	})
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Denied, "look into %s: %w", name, err), "make it readable")
	}
	return files, nil
}

// declaredOver is what datasets whose data is at a path, or above or below it, declare of
// personal columns, and those at it or above of its format. Outside of a repository, and where its declarations
// are broken, that is nothing.
func declaredOver(ctx context.Context, at string) *schemas.Dataset {
	out := &schemas.Dataset{Rows: &schemas.Bounds{}, Columns: map[string]schemas.Column{}}
	abs, err := filepath.Abs(at)
	if err != nil {
		return out
	}
	r, err := repo.Open(filepath.Dir(abs), repo.Options{})
	if err != nil {
		return out
	}
	defer r.Close()
	rel, err := filepath.Rel(r.Dir(), abs)
	if err != nil {
		return out
	}
	rel = filepath.ToSlash(rel)
	decls, _ := schemas.Load(ctx, os.DirFS(r.Dir()))
	for _, d := range decls {
		given, ok := d.Spec.(schemas.Data)
		if !ok {
			continue
		}
		spec := given.Data()
		src := spec.Source
		for _, p := range []string{src.Path, strings.TrimSuffix(src.Pin, ".dvc"), own(src)} {
			p = path.Clean(p)
			over, below := rel == p || strings.HasPrefix(rel, p+"/"), rel == "." || strings.HasPrefix(p, rel+"/")
			if p == "." || !over && !below {
				continue
			}
			if over {
				out.Format = spec.Format
			}
			for name, c := range spec.Columns {
				out.Columns[name] = schemas.Column{Tags: append(out.Columns[name].Tags, c.Tags...)}
			}
		}
	}
	return out
}

// own is where DVC keeps a source in this repository; "" elsewhere.
func own(src schemas.DataSource) string {
	if src.DVC == nil || src.DVC.Repo != "" {
		return ""
	}
	return src.DVC.Path
}

// profileOf is the profile under what is declared of ref, else under its newest pin.
func profileOf(ctx context.Context, s *station, ref schemas.Ref) ([]byte, error) {
	facts, err := s.Ledger.Facts(ctx)
	if err != nil {
		return nil, err
	}
	e := inForce(ctx, s, facts, ref)
	if e == nil {
		e = facts.Latest[ref]
	}
	if !ref.Kind.Traits().Pinned || e == nil {
		return nil, fault.WithHint(fault.New(fault.Missing, "%s is not a dataset that was pinned", ref), "name a dataset, and pin it: vishwa apply")
	}
	kept, ok := e.Outputs.Find("profile")
	if !ok {
		return nil, fault.WithHint(fault.New(fault.Missing, "%s was pinned without a profile", ref), "a profile is made of tables: declare spec.format, and apply again")
	}
	in, err := s.Store.Get(ctx, kept.Digest)
	if err != nil {
		return nil, s.absent(e, "the profile", err)
	}
	defer in.Close()
	return io.ReadAll(in)
}
