// Refreshing: mutable sources are looked at, and where their data has moved, it is
// taken in under its pin.

package app

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/source"
	"github.com/vishwaops/vishwa/reconciler/data"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
	"github.com/vishwaops/vishwa/reconciler/format/quality"
	"github.com/vishwaops/vishwa/reconciler/format/table"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Refreshed is what came of looking at one dataset's source.
type Refreshed struct {
	Ref   schemas.Ref `json:"ref"`
	Pin   string      `json:"pin"`
	Moved bool        `json:"moved"` // and was taken in
	// Waits says why data that moved was not taken in yet.
	Waits      string         `json:"waits,omitempty"`
	From       string         `json:"from,omitempty"`
	Rows       int64          `json:"rows"` // -1: not of tables
	Columns    int            `json:"columns,omitempty"`
	WasBytes   int64          `json:"wasBytes"` // -1: not known, as with rows
	WasRows    int64          `json:"wasRows"`
	WasColumns int            `json:"wasColumns,omitempty"`
	Changes    []table.Change `json:"changes,omitempty"`  // from the profile of the last pin
	Warnings   []string       `json:"warnings,omitempty"` // broken promises that only warn
	Proposed   *Proposed      `json:"proposed,omitempty"`
	data.Added
}

// RefreshOptions are the caller's.
type RefreshOptions struct {
	Env     port.Env
	Store   port.Store                     // has the profiles
	Refs    []schemas.Ref                  // none: every dataset with a source that can change
	Due     func(schemas.Declaration) bool // nil: all are
	Allow   []string                       // private hosts and networks that may be read over HTTP
	Serving string                         // the state folder of this machine's serving host: for logs of predictions
	Tell    func(line string)
	Heard   func(data.Progress) // how far data has come, now and then; may be nil
}

// coming tells how far what is fetched has come.
func (o RefreshOptions) coming(what string) func(done, total int64) {
	if o.Heard == nil {
		return nil
	}
	return func(done, total int64) { o.Heard(data.Progress{What: what, Bytes: done, Of: max(total, 0)}) }
}

// refreshable are the datasets that are asked for.
func (o RefreshOptions) refreshable(ctx context.Context, tree fs.FS) ([]schemas.Declaration, error) {
	decls, problems := schemas.Load(ctx, tree)
	if ctx.Err() != nil {
		return nil, fault.New(fault.Cancelled, "read the declarations: %w", context.Cause(ctx))
	}
	if len(problems) > 0 {
		return nil, fault.WithHint(fault.New(fault.Invalid, "%w", problems[0]), "correct the declarations; vishwa validate tells all that is wrong")
	}
	wanted := map[schemas.Ref]bool{}
	for _, r := range o.Refs {
		wanted[r] = true
	}
	var out []schemas.Declaration
	for _, d := range decls {
		given, ok := d.Spec.(schemas.Data)
		if !ok || len(o.Refs) > 0 && !wanted[d.Ref()] {
			continue
		}
		spec := given.Data()
		delete(wanted, d.Ref())
		switch {
		case spec.Source.Mutable():
			if o.Due == nil || o.Due(d) {
				out = append(out, d)
			}
		case len(o.Refs) > 0:
			return nil, fault.WithHint(fault.New(fault.Invalid, "%s changes with commits alone", d.Ref()), "there is nothing to refresh")
		}
	}
	for r := range wanted {
		return nil, fault.WithHint(fault.New(fault.Missing, "%s is not declared", r), "name a dataset of the repository")
	}
	return out, nil
}

// Refresh looks at the sources that the work tree of w declares, and takes in what has
// moved: the pins are written there.
func Refresh(ctx context.Context, w *data.Workspace, o RefreshOptions) ([]Refreshed, error) {
	tree := os.DirFS(w.Root())
	decls, err := o.refreshable(ctx, tree)
	if err != nil {
		return nil, err
	}
	var out []Refreshed
	for _, d := range decls {
		r, err := o.refresh(ctx, w, tree, d)
		if err != nil {
			return out, about(d, err)
		}
		out = append(out, r)
	}
	return out, nil
}

func about(d schemas.Declaration, err error) error {
	return fault.WithHint(fault.New(fault.Of(err), "refresh %s: %w", d.Ref(), err), "%s", fault.HintOf(err))
}

func (o RefreshOptions) refresh(ctx context.Context, w *data.Workspace, tree fs.FS, d schemas.Declaration) (Refreshed, error) {
	s, err := o.inspectSource(ctx, tree, d)
	if err != nil || !s.moved {
		return s.Refreshed, err
	}
	return o.fetchAndPin(ctx, w, s)
}

// sight is a source that was looked at.
type sight struct {
	Refreshed
	decl  schemas.Declaration
	was   data.Pinning
	from  port.Source
	seen  port.Snapshot
	moved bool
}

// inspectSource asks the source whether its data is another than the one that tree pins.
func (o RefreshOptions) inspectSource(ctx context.Context, tree fs.FS, d schemas.Declaration) (sight, error) {
	src := d.Spec.(schemas.Data).Data().Source
	pin := path.Clean(src.Pin)
	s := sight{Refreshed: Refreshed{Ref: d.Ref(), Pin: pin, Rows: -1, WasBytes: -1, WasRows: -1, From: data.RedactURL(address(src))}, decl: d}
	was, err := data.Pinned(tree, pin)
	if err != nil {
		return s, err
	}
	if was != nil {
		s.was, s.WasBytes = *was, was.Size
		s.WasColumns, _ = strconv.Atoi(was.Said[data.Columns])
		if n, err := strconv.ParseInt(was.Said[data.Rows], 10, 64); err == nil {
			s.WasRows = n
		}
	}
	if s.from, err = o.openIn(ctx, tree, src, s.was.Said[data.Token]); err != nil {
		return s, err
	}
	if s.seen, err = s.from.Inspect(ctx); err != nil {
		return s, err
	}
	if !s.seen.Changed && s.was.Said[data.Token] != "" {
		return s, nil
	}
	s.Waits = unsettled(src, s.seen, o.Env.Now())
	s.moved = s.Waits == ""
	return s, nil
}

// unsettled says that what was seen is younger than the declaration lets it be. A place
// that tells no times is taken at its word.
func unsettled(src schemas.DataSource, seen port.Snapshot, now time.Time) string {
	if src.Refresh == nil || src.Refresh.Settle == "" {
		return ""
	}
	settle, err := schemas.ParseDuration(string(src.Refresh.Settle))
	if err != nil {
		return ""
	}
	var newest time.Time
	for _, f := range seen.Files {
		if f.Modified.After(newest) {
			newest = f.Modified
		}
	}
	if age := now.Sub(newest); !newest.IsZero() && age < settle {
		return fmt.Sprintf("it changed %s ago, and must not change for %s", max(age, 0).Round(time.Second), settle)
	}
	return ""
}

func (o RefreshOptions) open(src schemas.DataSource, last string) (port.Source, error) {
	return source.Open(src, o.options(src, last))
}

// options are what a source that src names may know of the world.
func (o RefreshOptions) options(src schemas.DataSource, last string) source.Options {
	return source.Options{
		Env: o.Env, Last: last, Allow: o.Allow, Bucket: o.bucket, Clone: cloned(o.Env),
		Remote: func(ctx context.Context, config *dvc.Config, name string) (port.Objects, error) {
			return o.remote(ctx, config, name, src)
		},
	}
}

// fetchAndPin fetches what was seen, holds it against what is declared of it, and pins it in
// w. Data that breaks a promise is not pinned, but where that only warns.
func (o RefreshOptions) fetchAndPin(ctx context.Context, w *data.Workspace, s sight) (r Refreshed, err error) {
	r = s.Refreshed
	o.Tell("taking in " + r.Ref.String())
	dir, release, err := w.Staging(ctx, r.Pin, s.seen.Token)
	if err != nil {
		return r, err
	}
	defer func() { release(err == nil) }()
	fetched := dir
	one := single(s.decl.Spec.(schemas.Data).Data().Source, s.seen)
	if one != "" {
		fetched = filepath.Join(dir, filepath.FromSlash(one))
	}
	taken, err := pass.Intake{
		Decl: &s.decl, Store: o.Store, Now: o.Env.Now(), Tell: func(line string) { o.Tell(r.Ref.String() + ": " + line) },
		Hint: "have the data at " + r.From + " corrected, or what is declared of it; its pin stays as it was",
		Fetch: func(ctx context.Context) ([]quality.File, error) {
			if err := s.from.Fetch(ctx, s.seen, dir, o.coming("fetching "+r.Ref.String())); err != nil {
				return nil, err
			}
			if err := data.CheckFetched(ctx, fetched); err != nil {
				return nil, err
			}
			return s.files(fetched, one != "")
		},
	}.Take(ctx)
	if err != nil {
		return r, err
	}
	if r.Added, err = w.Pin(ctx, r.Pin, fetched, o.said(ctx, &r, s, taken)); err != nil {
		return r, err
	}
	r.Moved = true
	return r, nil
}

// files are those that were fetched, by the paths that they have once they are pinned.
func (s sight) files(fetched string, single bool) ([]quality.File, error) {
	at := strings.TrimSuffix(s.Pin, ".dvc")
	files := make([]quality.File, len(s.seen.Files))
	for i, f := range s.seen.Files {
		where, told := filepath.Join(fetched, filepath.FromSlash(f.Path)), path.Join(at, f.Path)
		if single {
			where, told = fetched, at
		}
		st, err := os.Stat(where)
		if err != nil {
			return nil, fault.New(fault.Internal, "read what was fetched: %w", err)
		}
		files[i] = quality.File{Path: told, Size: st.Size(), Open: func(context.Context) (quality.Content, error) { return os.Open(where) }}
	}
	return files, nil
}

// said is what the pin says of what was taken in; r tells it, too.
func (o RefreshOptions) said(ctx context.Context, r *Refreshed, s sight, t pass.Taken) map[string]string {
	said := map[string]string{data.Token: s.seen.Token, data.From: r.From}
	if by, ok := s.from.(interface{ SchemasUsed() string }); ok && by.SchemasUsed() != "" {
		said[data.Schemas] = by.SchemasUsed()
	}
	r.Warnings = t.Broken
	if t.Profile == nil {
		return said
	}
	r.Rows, r.Columns = t.Profile.Rows, len(t.Profile.Columns)
	said[data.Rows], said[data.Columns], said[data.Profile] = strconv.FormatInt(r.Rows, 10), strconv.Itoa(r.Columns), string(t.Kept.Digest)
	if named, err := digest.Parse(s.was.Said[data.Profile]); err == nil {
		if was, err := pass.Profile(ctx, o.Store, named); err == nil && was != nil { // what cannot be read is compared with nothing
			r.Changes = table.Compare(*was, *t.Profile)
		}
	}
	return said
}
