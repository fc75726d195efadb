// Refreshing: mutable sources are looked at, and where their data has moved, it is
// taken in under its pin.
package adapter

import (
	"context"
	"io/fs"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/adapter/bucket"
	"github.com/vishwaops/vishwa/reconciler/adapter/repo"
	"github.com/vishwaops/vishwa/reconciler/adapter/source"
	"github.com/vishwaops/vishwa/reconciler/data"
	"github.com/vishwaops/vishwa/reconciler/dvc"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Refreshed is what came of looking at one dataset's source.
type Refreshed struct {
	Ref   schemas.Ref `json:"ref"`
	Pin   string      `json:"pin"`
	Moved bool        `json:"moved"`
	data.Added
}

// RefreshOptions are the caller's.
type RefreshOptions struct {
	Env   port.Env
	Refs  []schemas.Ref // none: every dataset with a source that can change
	Allow []string      // private hosts and networks that may be read over HTTP
	Tell  func(line string)
}

// Refresh looks at the sources that tree declares and takes in what has moved. tree
// is the work tree that w is in.
func Refresh(ctx context.Context, w *data.Workspace, tree fs.FS, o RefreshOptions) ([]Refreshed, error) {
	decls, problems := schemas.Load(tree)
	if len(problems) > 0 {
		return nil, fault.Hint(fault.New(fault.Invalid, "%w", problems[0]), "correct the declarations; vishwa validate tells all that is wrong")
	}
	wanted := map[schemas.Ref]bool{}
	for _, r := range o.Refs {
		wanted[r] = true
	}
	var out []Refreshed
	for _, d := range decls {
		spec, ok := d.Spec.(*schemas.Dataset)
		if !ok || len(wanted) > 0 && !wanted[d.Ref()] {
			continue
		}
		delete(wanted, d.Ref())
		if !spec.Source.Mutable() {
			if len(o.Refs) > 0 {
				return out, fault.Hint(fault.New(fault.Invalid, "%s changes with commits alone", d.Ref()), "there is nothing to refresh")
			}
			continue
		}
		r, err := refresh(ctx, w, d.Ref(), spec.Source, o)
		if err != nil {
			return out, fault.Hint(fault.New(fault.Of(err), "refresh %s: %w", d.Ref(), err), "%s", fault.Way(err))
		}
		out = append(out, r)
	}
	for r := range wanted {
		return out, fault.Hint(fault.New(fault.Missing, "%s is not declared", r), "name a dataset of the repository")
	}
	return out, nil
}

func refresh(ctx context.Context, w *data.Workspace, ref schemas.Ref, src schemas.DataSource, o RefreshOptions) (Refreshed, error) {
	pin := path.Clean(src.Pin)
	r := Refreshed{Ref: ref, Pin: pin}
	last, err := w.Pinned(pin)
	if err != nil {
		return r, err
	}
	s, err := source.Open(src, source.Options{
		Env: o.Env, Last: last, Allow: o.Allow, Bucket: bucketOf(o.Env), Clone: cloned(o.Env),
		Remote: func(config *dvc.Config, name string) (port.Objects, error) {
			if err := modest(config, name, src, o.Allow); err != nil {
				return nil, err
			}
			r, err := data.OpenRemote(config, name, "", o.Env, 0)
			if err != nil {
				return nil, err
			}
			return r.Bucket, nil
		},
	})
	if err != nil {
		return r, err
	}
	seen, err := s.Look(ctx)
	if err != nil || !seen.Moved && last != "" {
		return r, err
	}
	o.Tell("taking in " + ref.String())
	dir, remove, err := w.Aside()
	if err != nil {
		return r, err
	}
	defer remove()
	if err := s.Fetch(ctx, seen, dir, nil); err != nil {
		return r, err
	}
	fetched := dir
	if one := single(src, seen); one != "" {
		fetched = filepath.Join(dir, filepath.FromSlash(one))
	}
	r.Moved = true
	r.Added, err = w.Pin(ctx, pin, fetched, data.RedactURL(address(src)), seen.Token)
	return r, err
}

// modest refuses a remote of another repository that reaches into this machine or its
// network: what that repository's configuration names is its own people's to say, and
// would be asked with our credentials.
func modest(config *dvc.Config, name string, src schemas.DataSource, allow []string) error {
	rc, err := config.Remote(name)
	if err != nil || src.DVC == nil || !strings.Contains(src.DVC.Repo, "://") {
		return err // of a repository on this machine, its folders are no further away
	}
	if !strings.HasPrefix(rc.URL, "s3://") {
		return fault.Hint(fault.New(fault.Denied, "the remote %s of %s is a folder of this machine", rc.Name, data.RedactURL(src.DVC.Repo)), "have them use a remote that others can reach")
	}
	at := rc.Options["endpointurl"]
	if at == "" {
		return nil
	}
	host := at
	if u, err := url.Parse(at); err == nil && u.Host != "" {
		host = u.Hostname()
	}
	if slices.Contains(allow, host) {
		return nil
	}
	return fault.Hint(fault.New(fault.Denied, "the remote %s of %s is at %s, which would be asked with your credentials", rc.Name, data.RedactURL(src.DVC.Repo), host), "if that is right: --allow %s", host)
}

// single is the name of the only file, where a file and no folder is meant.
func single(src schemas.DataSource, seen source.Look) string {
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
			rev = strings.TrimPrefix(refs["HEAD"], "refs/heads/")
		}
		for _, name := range []string{"refs/heads/" + rev, "refs/tags/" + rev} {
			if refs[name] == "" {
				continue
			}
			if err := m.Fetch(ctx, name); err != nil {
				return nil, "", err
			}
			rev = name
			break
		}
		r, err := repo.Open(dir, repo.Options{})
		if err != nil {
			return nil, "", err
		}
		sha, err := r.Resolve(rev)
		if err != nil {
			return nil, "", err
		}
		tree, err := r.Open(ctx, sha)
		return tree, sha, err
	}
}

// bucketOf opens the bucket of a declaration, whole.
func bucketOf(env port.Env) func(schemas.S3) (port.Objects, error) {
	return func(s schemas.S3) (port.Objects, error) {
		name, _, _ := strings.Cut(strings.TrimPrefix(s.URL, "s3://"), "/")
		return bucket.S3(bucket.S3Options{Bucket: name, Endpoint: s.Endpoint, Region: s.Region, Profile: s.Profile, PathStyle: s.PathStyle,
			Anonymous: s.Anonymous, Lookup: env.Lookup})
	}
}
