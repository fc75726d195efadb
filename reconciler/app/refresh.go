// Refreshing: mutable sources are looked at, and where their data has moved, it is
// taken in under its pin.

package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/repo"
	"github.com/vishwaops/vishwa/reconciler/adapter/source"
	"github.com/vishwaops/vishwa/reconciler/data"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
	"github.com/vishwaops/vishwa/reconciler/format/quality"
	"github.com/vishwaops/vishwa/reconciler/format/table"
	"github.com/vishwaops/vishwa/reconciler/machine/bucket"
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
	Env   port.Env
	Store port.Store                     // has the profiles
	Refs  []schemas.Ref                  // none: every dataset with a source that can change
	Due   func(schemas.Declaration) bool // nil: all are
	Allow []string                       // private hosts and networks that may be read over HTTP
	Tell  func(line string)
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
	s, err := o.look(ctx, tree, d)
	if err != nil || !s.moved {
		return s.Refreshed, err
	}
	return o.take(ctx, w, s)
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

// look asks the source whether its data is another than the one that tree pins.
func (o RefreshOptions) look(ctx context.Context, tree fs.FS, d schemas.Declaration) (sight, error) {
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
	if s.from, err = o.open(src, s.was.Said[data.Token]); err != nil {
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
	return source.Open(src, source.Options{
		Env: o.Env, Last: last, Allow: o.Allow, Bucket: o.bucket, Clone: cloned(o.Env),
		Remote: func(ctx context.Context, config *dvc.Config, name string) (port.Objects, error) {
			return o.remote(ctx, config, name, src)
		},
	})
}

// take fetches what was seen, holds it against what is declared of it, and pins it in
// w. Data that breaks a promise is not pinned, but where that only warns.
func (o RefreshOptions) take(ctx context.Context, w *data.Workspace, s sight) (r Refreshed, err error) {
	spec := s.decl.Spec.(schemas.Data).Data()
	r = s.Refreshed
	o.Tell("taking in " + r.Ref.String())
	dir, release, err := w.Staging(ctx, r.Pin, s.seen.Token)
	if err != nil {
		return r, err
	}
	defer func() { release(err == nil) }()
	if err := s.from.Fetch(ctx, s.seen, dir, nil); err != nil {
		return r, err
	}
	fetched := dir
	if one := single(spec.Source, s.seen); one != "" {
		fetched = filepath.Join(dir, filepath.FromSlash(one))
	}
	if err := data.CheckFetched(ctx, fetched); err != nil {
		return r, err
	}
	said := map[string]string{data.Token: s.seen.Token, data.From: r.From}
	if err := o.examine(ctx, &r, s, fetched, said); err != nil {
		return r, err
	}
	if r.Added, err = w.Pin(ctx, r.Pin, fetched, said); err != nil {
		return r, err
	}
	r.Moved = true
	return r, nil
}

// examine holds what was fetched against what is declared of it, and profiles it.
func (o RefreshOptions) examine(ctx context.Context, r *Refreshed, s sight, fetched string, said map[string]string) error {
	spec := s.decl.Spec.(schemas.Data).Data()
	at := strings.TrimSuffix(r.Pin, ".dvc") // where the data stands once it is pinned
	files := make([]quality.File, len(s.seen.Files))
	for i, f := range s.seen.Files {
		where, told := filepath.Join(fetched, filepath.FromSlash(f.Path)), path.Join(at, f.Path)
		if single(spec.Source, s.seen) != "" {
			where, told = fetched, at
		}
		st, err := os.Stat(where)
		if err != nil {
			return fault.New(fault.Internal, "read what was fetched: %w", err)
		}
		files[i] = quality.File{Path: told, Size: st.Size(), Open: func(context.Context) (quality.Content, error) { return os.Open(where) }}
	}
	found, err := quality.Data(ctx, spec, files, o.Env.Now())
	if err != nil {
		return err
	}
	if passed := found.Passed(); passed != "" {
		o.Tell(r.Ref.String() + ": " + passed)
	}
	if broken := quality.Sentence(found.Violations); len(broken) > 0 {
		if spec.Violations != "warn" {
			return fault.WithHint(fault.New(fault.Invalid, "the data violates what is declared of it:\n    %s", quality.Broken(&s.decl, found.Violations)), "have the data at %s corrected, or what is declared of it; its pin stays as it was", r.From)
		}
		r.Warnings = broken
	}
	if found.Profile == nil {
		return nil
	}
	r.Rows, r.Columns = found.Profile.Rows, len(found.Profile.Columns)
	said[data.Rows], said[data.Columns] = strconv.FormatInt(r.Rows, 10), strconv.Itoa(r.Columns)
	found.Profile.Violations = found.Violations
	b, err := json.Marshal(found.Profile)
	if err != nil {
		return fault.New(fault.Internal, "encode the profile: %w", err)
	}
	kept, _, err := o.Store.Put(ctx, bytes.NewReader(b))
	if err != nil {
		return fmt.Errorf("keep the profile: %w", err)
	}
	said[data.Profile] = string(kept)
	if was := o.profile(ctx, s.was.Said[data.Profile]); was != nil {
		r.Changes = table.Compare(*was, *found.Profile)
	}
	return nil
}

// profile is the one of the last pin, where this store has it.
func (o RefreshOptions) profile(ctx context.Context, named string) *table.Profile {
	d, err := digest.Parse(named)
	if err != nil {
		return nil
	}
	in, err := o.Store.Get(ctx, d)
	if err != nil {
		return nil
	}
	defer in.Close()
	var p table.Profile
	if raw, err := io.ReadAll(in); err != nil || json.Unmarshal(raw, &p) != nil {
		return nil
	}
	return &p
}

// remote opens a remote of the repository that src is of. What another repository's
// configuration names is its own people's to say; of one on this machine, its folders
// are no further away.
func (o RefreshOptions) remote(ctx context.Context, config *dvc.Config, name string, src schemas.DataSource) (port.Objects, error) {
	if src.DVC == nil || src.DVC.Repo == "" || local(src.DVC.Repo) {
		r, err := data.OpenRemote(config, name, "", o.Env, 0)
		if err != nil {
			return nil, err
		}
		return r.Bucket, nil
	}
	r, err := data.Wary{Whose: data.RedactURL(src.DVC.Repo), Allow: o.Allow}.Open(ctx, config, name, o.Env)
	if err != nil {
		return nil, err
	}
	return r.Bucket, nil
}

// single is the name of the only file, where a file and no folder is meant.
func single(src schemas.DataSource, seen port.Snapshot) string {
	if len(seen.Files) != 1 {
		return ""
	}
	name := seen.Files[0].Path
	if src.HTTP != nil || src.DVC != nil && name == path.Base(src.DVC.Path) || !strings.HasSuffix(address(src), "/") && path.Base(address(src)) == path.Base(name) {
		return name
	}
	return ""
}

func address(src schemas.DataSource) string {
	switch {
	case src.HTTP != nil:
		return src.HTTP.URL
	case src.S3 != nil:
		return src.S3.URL
	case src.DVC != nil:
		return src.DVC.Repo
	}
	return src.Path
}

// cloned opens another repository at a revision, in a mirror that is kept for the next time.
func cloned(env port.Env) func(ctx context.Context, url, rev string) (fs.FS, string, error) {
	return func(ctx context.Context, url, rev string) (fs.FS, string, error) {
		dir, err := mirrorDir(env.Lookup, url)
		if err != nil {
			return nil, "", err
		}
		m, err := repo.OpenMirror(ctx, repo.MirrorOptions{URL: url, Dir: dir, Env: env})
		if err != nil {
			return nil, "", err
		}
		refs, err := m.Refs(ctx)
		if err != nil {
			return nil, "", err
		}
		if rev == "" {
			if rev = strings.TrimPrefix(refs["HEAD"], "refs/heads/"); rev == "" {
				return nil, "", fault.WithHint(fault.New(fault.Missing, "%s has no default branch", data.RedactURL(url)), "name a branch, a tag or a commit of it")
			}
		}
		named := ""
		for _, name := range []string{"refs/heads/" + rev, "refs/tags/" + rev} {
			if refs[name] != "" && named == "" {
				named = name
			}
		}
		if named != "" {
			if err := m.Fetch(ctx, named); err != nil {
				return nil, "", err
			}
			rev = named
		}
		r, err := repo.Open(dir, repo.Options{URL: url})
		if err != nil {
			return nil, "", err
		}
		sha, err := r.Resolve(rev)
		if err != nil && named == "" { // a commit that no branch was read for yet
			if err := m.Fetch(ctx, published(refs)...); err != nil {
				return nil, "", err
			}
			if r, err = repo.Open(dir, repo.Options{URL: url}); err != nil { // which sees what came
				return nil, "", err
			}
			sha, err = r.Resolve(rev)
		}
		if err != nil {
			return nil, "", err
		}
		tree, err := r.Open(ctx, sha)
		return tree, sha, err
	}
}

// published are the branches and tags of a remote.
func published(refs map[string]string) (names []string) {
	for name := range refs {
		if (strings.HasPrefix(name, "refs/heads/") || strings.HasPrefix(name, "refs/tags/")) && !strings.HasSuffix(name, "^{}") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// bucket opens the bucket of a declaration, whole. An endpoint that it names is reached
// as a web server is: where it is public, or allowed.
func (o RefreshOptions) bucket(s schemas.S3) (port.Objects, error) {
	name, _, _ := strings.Cut(strings.TrimPrefix(s.URL, "s3://"), "/")
	return bucket.S3(bucket.S3Options{Bucket: name, Endpoint: s.Endpoint, Region: s.Region, Profile: s.Profile, PathStyle: s.PathStyle,
		Anonymous: s.Anonymous, Lookup: o.Env.Lookup, Guarded: s.Endpoint != "", Allow: o.Allow})
}
