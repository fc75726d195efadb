// What a refresh reaches: remotes of this repository and of others, other repositories, and
// the buckets of declarations.

package app

import (
	"context"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/adapter/mirror"
	"github.com/vishwaops/vishwa/reconciler/adapter/repo"
	"github.com/vishwaops/vishwa/reconciler/adapter/source"
	"github.com/vishwaops/vishwa/reconciler/data"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
	"github.com/vishwaops/vishwa/reconciler/machine/bucket"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

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
	if src.Airflow != nil {
		return single(src.Airflow.Place(source.Run(seen.Token)), seen)
	}
	if src.HTTP != nil || src.Kafka != nil || src.Predictions != nil || src.DVC != nil && name == path.Base(src.DVC.Path) || !strings.HasSuffix(address(src), "/") && path.Base(address(src)) == path.Base(name) {
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
	case src.Kafka != nil:
		return "kafka://" + src.Kafka.Brokers[0] + "/" + src.Kafka.Topic
	case src.Airflow != nil:
		return address(src.Airflow.Place("{run}"))
	case src.Predictions != nil:
		return src.Predictions.Deployment.String()
	}
	return src.Path
}

// cloned opens another repository at a revision, in a mirror that is kept for the next time.
func cloned(env port.Env) func(ctx context.Context, url, rev string) (fs.FS, string, error) {
	return func(ctx context.Context, url, rev string) (fs.FS, string, error) {
		if err := env.MayUse(url); err != nil { // by the keys for SSH of this machine, or in its folders
			return nil, "", err
		}
		dir, err := mirrorDir(env.Lookup, url)
		if err != nil {
			return nil, "", err
		}
		m, err := mirror.Open(ctx, mirror.Options{URL: url, Dir: dir, Env: env})
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
	if !s.Anonymous { // what everybody may read takes no credentials
		if err := o.Env.MayUse(s.Address()); err != nil {
			return nil, err
		}
	}
	if err := o.Env.MayAsk(s.Address()); err != nil {
		return nil, err
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(s.URL, "s3://"), "/")
	return bucket.S3(bucket.S3Options{Bucket: name, Endpoint: s.Endpoint, Region: s.Region, Profile: s.Profile, PathStyle: s.PathStyle,
		Anonymous: s.Anonymous, Lookup: o.Env.Lookup, Guarded: s.Endpoint != "", Allow: o.Allow})
}
