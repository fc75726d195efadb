// Remotes: where a repository's objects are kept for others.
package data

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/adapter/bucket"
	"github.com/vishwaops/vishwa/reconciler/data/transfer"
	"github.com/vishwaops/vishwa/reconciler/dvc"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// OpenRemote opens a remote of config; "" is its default. Relative paths are below
// base, which is the folder of the configuration file; without it they are Invalid.
func OpenRemote(config *dvc.Config, name, base string, env port.Env, jobs int) (*transfer.Remote, error) {
	rc, err := config.Remote(name)
	if err != nil {
		return nil, err
	}
	if jobs <= 0 {
		if n, err := strconv.Atoi(rc.Options["jobs"]); err == nil {
			jobs = n
		}
	}
	b, err := openBucket(rc, base, env, jobs)
	if err != nil {
		return nil, err
	}
	return &transfer.Remote{Name: rc.Name, Bucket: b, Jobs: jobs}, nil
}

func openBucket(rc dvc.RemoteConfig, base string, env port.Env, jobs int) (port.Bucket, error) {
	scheme, rest, ok := strings.Cut(rc.URL, "://")
	switch {
	case rc.URL == "":
		return nil, fault.Hint(fault.New(fault.Invalid, "remote %s has no url", rc.Name), "set it: vishwa data remote modify %s url URL", rc.Name)
	case rc.Options["version_aware"] == "true", rc.Options["worktree"] == "true":
		return nil, fault.Hint(fault.New(fault.Invalid, "remote %s keeps files under their own names (version_aware), which is not supported", rc.Name), "use a remote without version_aware")
	case !ok || scheme == "file":
		path := rc.URL
		if ok {
			path = rest
		}
		if !filepath.IsAbs(path) && base == "" {
			return nil, fault.Hint(fault.New(fault.Invalid, "remote %s is the folder %s of a checkout, and there is none here", rc.Name, path), "name it by its whole path, or use one that other machines reach, such as s3")
		}
		if !filepath.IsAbs(path) {
			path = filepath.Join(base, path)
		}
		return bucket.Dir(path)
	case scheme == "s3":
		return openS3(rc, rest, env, jobs)
	}
	return nil, fault.Hint(fault.New(fault.Invalid, "remote %s is of the kind %s, which is not supported", rc.Name, scheme), "use a folder or s3")
}

func openS3(rc dvc.RemoteConfig, rest string, env port.Env, jobs int) (port.Bucket, error) {
	name, prefix, _ := strings.Cut(rest, "/")
	o := rc.Options
	s := bucket.S3Options{
		Bucket: name, Prefix: prefix, Endpoint: o["endpointurl"], Region: o["region"], Profile: o["profile"], Lookup: env.Lookup, Jobs: jobs,
		AccessKey: o["access_key_id"], SecretKey: o["secret_access_key"], SessionToken: o["session_token"], Anonymous: o["allow_anonymous_login"] == "true",
		Encryption: o["sse"], KMSKey: o["sse_kms_key_id"],
	}
	if v := o["ssl_verify"]; v != "" && v != "true" && v != "false" {
		s.CAFile = v
	} else if v == "false" {
		return nil, fault.Hint(fault.New(fault.Invalid, "remote %s asks to trust any server (ssl_verify = false)", rc.Name), "name the file of its authority: ssl_verify = /path/to/ca.pem")
	}
	if s.Endpoint != "" && o["use_ssl"] == "false" && !strings.Contains(s.Endpoint, "://") {
		s.Endpoint = "http://" + s.Endpoint
	}
	return bucket.S3(s)
}

// Remote opens a remote of the repository.
func (w *Workspace) Remote(name string) (*transfer.Remote, error) {
	return OpenRemote(w.config, name, w.base, w.o.Env, w.o.Jobs)
}

// Push sends what the outputs of targets, or all, need and the remote lacks.
func (w *Workspace) Push(ctx context.Context, remote string, targets []string) (transfer.Moved, error) {
	return w.move(ctx, remote, targets, func(r *transfer.Remote, oids []dvc.OID) (transfer.Moved, error) {
		return r.Push(ctx, w.cache, oids, w.heard("pushing"))
	}, true)
}

// Fetch brings what the outputs of targets, or all, need into the cache.
func (w *Workspace) Fetch(ctx context.Context, remote string, targets []string) (transfer.Moved, error) {
	return w.move(ctx, remote, targets, func(r *transfer.Remote, oids []dvc.OID) (transfer.Moved, error) {
		return r.Fetch(ctx, w.cache, oids, w.heard("fetching"))
	}, false)
}

func (w *Workspace) heard(what string) func(transfer.Moved) {
	return func(m transfer.Moved) { w.tell(what, m.Objects, m.Bytes) }
}

// move does one transfer a remote: outputs may name one of their own.
func (w *Workspace) move(ctx context.Context, remote string, targets []string, do func(*transfer.Remote, []dvc.OID) (transfer.Moved, error), push bool) (all transfer.Moved, err error) {
	outs, err := w.Outputs(ctx, targets)
	if err != nil {
		return all, err
	}
	by := map[string][]dvc.OID{}
	var order []string
	for _, o := range outs {
		if o.Out.NoCache || o.Out.OID == "" || push && o.Out.NoPush {
			continue
		}
		name := remote
		if name == "" {
			name = o.Out.Remote
		}
		if _, seen := by[name]; !seen {
			order = append(order, name)
		}
		by[name] = append(by[name], o.Out.OID)
	}
	for _, name := range order {
		r, err := w.Remote(name)
		if err != nil {
			return all, err
		}
		m, err := do(r, by[name])
		all.Objects, all.Bytes, all.Present = all.Objects+m.Objects, all.Bytes+m.Bytes, all.Present+m.Present
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// Edit changes a file of the configuration: .dvc/config, or with local .dvc/config.local,
// which Git does not keep.
func (w *Workspace) Edit(local bool, change func(*dvc.Config) error) error {
	file := filepath.Join(w.root, ".dvc", "config")
	if local {
		file += ".local"
	}
	c, err := readConfig(file)
	if err != nil {
		return err
	}
	if err := change(c); err != nil {
		return err
	}
	if err := replace(file, c.Bytes()); err != nil {
		return err
	}
	if local { // it may hold secrets
		if err := os.Chmod(file, 0o600); err != nil {
			return fault.New(fault.Denied, "keep %s to yourself: %w", file, err)
		}
	}
	w.config, err = w.configuration()
	return err
}

// Secret tells whether an option of a remote is one that nobody should read.
func Secret(option string) bool {
	for _, s := range []string{"secret", "password", "token", "access_key", "sse_customer_key", "connection_string", "credential"} {
		if strings.Contains(option, s) && option != "credentialpath" {
			return true
		}
	}
	return false
}

// RedactURL is a URL without what may be secret in it.
func RedactURL(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return "(unreadable)"
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}

// Init makes dir a DVC repository, as dvc init does.
func Init(dir string) error {
	root := filepath.Join(dir, ".dvc")
	if _, err := os.Stat(root); err == nil {
		return fault.Hint(fault.New(fault.Conflict, "%s is there already", root), "go on with vishwa data add")
	}
	if err := os.MkdirAll(filepath.Join(root, "tmp"), 0o777); err != nil {
		return fault.New(fault.Denied, "make %s: %w", root, err)
	}
	for name, text := range map[string]string{
		".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
		".dvc/config":     "",
		".dvcignore":      "# Add patterns of files dvc should ignore, which could improve\n# the performance. Learn more at\n# https://dvc.org/doc/user-guide/dvcignore\n",
	} {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if _, err := os.Stat(file); err == nil {
			continue
		}
		if err := replace(file, []byte(text)); err != nil {
			return err
		}
	}
	return nil
}
