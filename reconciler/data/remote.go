// Remotes: where a repository's objects are kept for others.

package data

import (
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/data/transfer"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
	"github.com/vishwaops/vishwa/reconciler/machine/bucket"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
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
	return &transfer.Remote{Name: rc.Name, Bucket: b, Jobs: jobs, Pieces: strings.HasPrefix(rc.URL, "s3:")}, nil
}

func openBucket(rc dvc.RemoteConfig, base string, env port.Env, jobs int) (port.Bucket, error) {
	scheme, rest, ok := strings.Cut(rc.URL, "://")
	switch {
	case rc.URL == "":
		return nil, fault.WithHint(fault.New(fault.Invalid, "remote %s has no url", rc.Name), "set it: vishwa data remote modify %s url URL", rc.Name)
	case versionAware(rc):
		return nil, fault.WithHint(fault.New(fault.Invalid, "remote %s keeps files under their own names (version_aware), which is not supported", rc.Name), "use a remote without version_aware")
	case !ok || scheme == "file":
		path := InHome(rc.URL, env.Lookup)
		if ok {
			path = rest
		}
		if !filepath.IsAbs(path) && base == "" {
			return nil, fault.WithHint(fault.New(fault.Invalid, "remote %s is the folder %s of a checkout, and there is none here", rc.Name, path), "name it by its whole path, or use one that other machines reach, such as s3")
		}
		if !filepath.IsAbs(path) {
			path = filepath.Join(base, path)
		}
		if err := env.MayUse(path); err != nil {
			return nil, err
		}
		return bucket.Dir(path)
	case scheme == "s3":
		if p := rc.Options["credentialpath"]; p != "" {
			rc.Options["credentialpath"] = configured(p, base, env.Lookup)
		}
		return openS3(rc, rest, env, jobs)
	}
	return nil, fault.WithHint(fault.New(fault.Invalid, "remote %s is of the kind %s, which is not supported", rc.Name, scheme), "use a folder or s3")
}

func openS3(rc dvc.RemoteConfig, rest string, env port.Env, jobs int) (port.Bucket, error) {
	o, err := s3Options(rc, rest, env, jobs)
	if err != nil {
		return nil, err
	}
	if err := env.MayAsk(rc.URL); err != nil {
		return nil, err
	}
	if !o.Anonymous {
		if err := env.MayUse(schemas.S3{URL: rc.URL, Endpoint: o.Endpoint}.Address()); err != nil {
			return nil, err
		}
	}
	return bucket.S3(o)
}

func s3Options(rc dvc.RemoteConfig, rest string, env port.Env, jobs int) (s bucket.S3Options, err error) {
	name, prefix, _ := strings.Cut(rest, "/")
	o := rc.Options
	s = bucket.S3Options{
		Bucket: name, Prefix: prefix, Endpoint: o["endpointurl"], Region: o["region"], Profile: o["profile"], Lookup: env.Lookup, Jobs: jobs,
		AccessKey: o["access_key_id"], SecretKey: o["secret_access_key"], SessionToken: o["session_token"], Anonymous: o["allow_anonymous_login"] == "true",
		Encryption: o["sse"], KMSKey: o["sse_kms_key_id"],
	}
	if o["sse_customer_key"] != "" {
		return s, fault.WithHint(fault.New(fault.Invalid, "remote %s encrypts with a key of its own (sse_customer_key), which is not supported", rc.Name), "use sse = AES256, or aws:kms with sse_kms_key_id")
	}
	s.Credentials = o["credentialpath"]
	for _, name := range []string{"acl", "grant_read", "grant_read_acp", "grant_write_acp", "grant_full_control"} {
		if v := o[name]; v != "" {
			if s.Access == nil {
				s.Access = map[string]string{}
			}
			s.Access[strings.ReplaceAll(name, "_", "-")] = v
		}
	}
	if v := o["ssl_verify"]; v != "" && v != "true" && v != "false" {
		s.CAFile = v
	} else if v == "false" {
		return s, fault.WithHint(fault.New(fault.Invalid, "remote %s asks to trust any server (ssl_verify = false)", rc.Name), "name the file of its authority: ssl_verify = /path/to/ca.pem")
	}
	if s.Endpoint != "" && o["use_ssl"] == "false" && !strings.Contains(s.Endpoint, "://") {
		s.Endpoint = "http://" + s.Endpoint
	}
	return s, nil
}

// Remote opens a remote of the repository.
func (w *Workspace) Remote(name string) (*transfer.Remote, error) {
	return OpenRemote(w.config, name, w.base, w.o.Env, w.o.Jobs)
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
	mode := fs.FileMode(0o644)
	if local { // it may hold secrets
		mode = 0o600
	}
	if err := replaceAs(file, c.Bytes(), mode); err != nil {
		return err
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
		return fault.WithHint(fault.New(fault.Conflict, "%s already exists", root), "go on with vishwa data add")
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
