// The place of a remote, for what is kept there beside DVC's objects: which it is says the
// tracked branch, and how this machine signs in, this machine.

package data

import (
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Place is a remote as a reviewed configuration has it. It holds no secret: it is told to
// other processes on their command line.
type Place struct {
	Name    string            `json:"name"`
	URL     string            `json:"url"`
	Options map[string]string `json:"options,omitempty"`
	// Base is the folder .dvc of the checkout, which relative paths are below and where this
	// machine's own configuration is; "" is none.
	Base string `json:"base,omitempty"`
}

// Options of a remote that are secrets, and those that say how a machine signs in: these
// may be each machine's own.
var (
	secretOptions = []string{"access_key_id", "secret_access_key", "session_token"}
	signInOptions = append([]string{"profile", "credentialpath"}, secretOptions...)
)

// PlaceOf finds the remote of that name, or the default one, in what tree configures. dir is
// the checkout on this machine; "" is none.
func PlaceOf(tree fs.FS, name, dir string) (Place, error) {
	raw, err := fs.ReadFile(tree, ".dvc/config")
	if errors.Is(err, fs.ErrNotExist) {
		return Place{}, fault.WithHint(fault.New(fault.Missing, "the artifacts are kept in a DVC remote (spec.store.dvc), and the repository has no .dvc/config"),
			"add a remote, and commit .dvc/config: vishwa data remote add -d NAME URL")
	}
	if err != nil {
		return Place{}, fault.New(fault.Denied, "read .dvc/config: %w", err)
	}
	config, err := dvc.ParseConfig(".dvc/config", raw)
	if err != nil {
		return Place{}, err
	}
	rc, err := config.Remote(name)
	if err != nil {
		return Place{}, fault.WithHint(fault.New(fault.Missing, "the artifacts are kept in a DVC remote (spec.store.dvc): .dvc/config: %w", err),
			"a store is one for all machines: add the remote to .dvc/config, and not to config.local, and commit it; or name another one in spec.store.dvc.remote")
	}
	p := Place{Name: rc.Name, URL: rc.URL, Options: rc.Options}
	if dir != "" {
		p.Base = filepath.Join(dir, ".dvc")
	}
	held := slices.ContainsFunc(secretOptions, func(o string) bool { return p.Options[o] != "" })
	if held && dir == "" {
		return Place{}, fault.WithHint(fault.New(fault.Denied, "remote %s has its keys in .dvc/config, where everybody reads them: they are not used", p.Name),
			"take them out, replace them by others, and give those to this machine, as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	}
	maps.DeleteFunc(p.Options, func(o, _ string) bool { return slices.Contains(secretOptions, o) })
	return p, nil
}

// Folder is the folder that the place is; "" where it is none of this machine's.
func (p Place) Folder(env port.Env) string {
	scheme, rest, ok := strings.Cut(p.URL, "://")
	switch {
	case ok && scheme == "file":
		return filepath.Clean(rest)
	case !ok && p.URL != "":
		return configured(p.URL, p.Base, env.Lookup)
	}
	return ""
}

// Open opens the folder below of the place: none of DVC's objects is in it.
func (p Place) Open(env port.Env, below string) (port.Bucket, error) {
	rc := dvc.RemoteConfig{Name: p.Name, URL: p.URL, Options: maps.Clone(p.Options)}
	if rc.Options == nil {
		rc.Options = map[string]string{}
	}
	if rc.URL != "" {
		rc.URL = strings.TrimSuffix(rc.URL, "/") + "/" + below
	}
	own, err := p.signIn(env)
	if err != nil {
		return nil, err
	}
	maps.Copy(rc.Options, own)
	for _, o := range []string{"credentialpath", "ssl_verify"} {
		if err := p.outside(o, rc.Options[o], env); err != nil {
			return nil, err
		}
	}
	return openBucket(rc, p.Base, env, 0)
}

// signIn is how this machine signs in to the remote, as DVC finds it: nothing else of what
// is not reviewed counts.
func (p Place) signIn(env port.Env) (map[string]string, error) {
	if p.Base == "" {
		return nil, nil
	}
	w := &Workspace{root: filepath.Dir(p.Base), o: Options{Env: env}}
	config, err := w.configuration()
	if err != nil {
		return nil, err
	}
	out := config.Keys(dvc.RemoteSection(p.Name))
	maps.DeleteFunc(out, func(o, _ string) bool { return !slices.Contains(signInOptions, o) })
	return out, nil
}

// outside refuses a file of credentials or authorities in the checkout: whoever proposes a
// change could write it, and such files name programs to be run.
func (p Place) outside(option, file string, env port.Env) error {
	if file == "" || file == "true" || file == "false" || p.Base == "" {
		return nil
	}
	at, root := configured(file, p.Base, env.Lookup), filepath.Dir(p.Base)
	if !filepath.IsAbs(at) {
		return nil
	}
	for _, real := range []func(string) (string, error){func(s string) (string, error) { return filepath.Clean(s), nil }, filepath.EvalSymlinks} {
		file, err := real(at)
		if err != nil {
			continue // it is not there, and nothing is read
		}
		below, err := real(root)
		if err != nil {
			continue
		}
		if rel, err := filepath.Rel(below, file); err == nil && filepath.IsLocal(rel) {
			return fault.WithHint(fault.New(fault.Denied, "remote %s: %s names %s, which is in the checkout, where a change could rewrite it", p.Name, option, file),
				"keep the file outside of the repository, such as ~/.aws/credentials")
		}
	}
	return nil
}
