// The wall around an installer: it writes the environment and its own caches, reads the
// settings of pip and uv, and reaches the package index and nothing else. A source
// package runs code of its own when it is built.

package sandbox

import (
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
	"github.com/vishwaops/vishwa/reconciler/machine/egress"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
)

// cache is of the installers that fill e's folder, and of no others. Those of pull
// requests have one each, for as long as they run: what a source package's code leaves in
// one would be in the environments of others, which nobody changed.
func (i installation) cache() string {
	if i.Wall.Unreviewed() {
		return i.dir + ".cache"
	}
	return filepath.Join(i.Dir, "cache")
}

// entrusted tells whether the installer is given what logs in at a package index: a
// package's own code, which runs when it is built, could read and tell it.
func (i installation) entrusted() bool {
	for _, name := range []string{"NETRC", "PIP_CLIENT_CERT"} {
		if v, ok := i.Env.Lookup(name); ok && v != "" {
			return true
		}
	}
	home, _ := i.Env.Lookup("HOME")
	if _, err := os.Stat(filepath.Join(home, ".netrc")); home != "" && err == nil {
		return true
	}
	texts := make([]string, 0, len(indexVars))
	for _, name := range indexVars {
		v, _ := i.Env.Lookup(name)
		texts = append(texts, v)
	}
	for _, p := range i.configs() {
		if raw, err := os.ReadFile(p); err == nil && !strings.HasSuffix(p, ".netrc") {
			texts = append(texts, string(raw))
			if strings.Contains(string(raw), "client-cert") || strings.Contains(string(raw), "client_cert") {
				return true
			}
		}
	}
	for _, a := range address.FindAllString(strings.Join(texts, "\n"), -1) {
		if u, err := url.Parse(a); err != nil || u.User != nil {
			return true
		}
	}
	return false
}

// indexVars hold addresses of package indexes.
var indexVars = []string{"PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS"}

// behind is the installer's wall; nil is none.
func (i installation) behind(lock []byte, list, tmp string) (*wall.Spec, error) {
	spec := i.Wall.Spec()
	if spec == nil {
		return nil, nil
	}
	spec.Write, spec.Tmp, spec.User = []string{i.dir, i.cache()}, tmp, i.cache() // who shares the cache is one user
	path, _ := i.Env.Lookup("PATH")
	spec.Read = append(spec.Read, list)
	for _, program := range []string{i.python.Path, LookPath("uv", path, "")} {
		spec.Read = append(spec.Read, wall.Programs(path, program, append(spec.Hidden, i.Dir))...)
	}
	spec.Read = append(spec.Read, i.settings()...)
	spec.Network = wall.Network{Hosts: i.hosts(lock)}
	dial := i.Dial
	if i.Named != nil {
		owners := i
		owners.Wall.Reviewed = false // an image's settings are its author's
		dial = egress.Either(owners.hosts(nil), i.Dial, i.Named)
	}
	spec.Network.Proxy = func() wall.Proxy { return egress.New(spec.Network.Hosts, dial) }
	return spec, nil
}

// settings are the files that say where packages come from, as far as they are there.
func (i installation) settings() (found []string) {
	if i.Foreign && i.Wall.Unreviewed() { // an image would name what it wants to see
		return nil
	}
	var all []string
	for _, name := range []string{"NETRC", "PIP_CERT", "PIP_CLIENT_CERT", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"} {
		if v, ok := i.Env.Lookup(name); ok {
			all = append(all, v)
		}
	}
	for _, name := range []string{"PIP_FIND_LINKS", "UV_FIND_LINKS"} {
		v, _ := i.Env.Lookup(name)
		all = append(all, strings.FieldsFunc(v, func(r rune) bool { return r == ' ' || r == ',' })...)
	}
	all = append(all, i.configs()...)
	for _, p := range all {
		if !filepath.IsAbs(p) || slices.Contains(found, filepath.Clean(p)) {
			continue
		}
		if _, err := os.Stat(p); err == nil {
			found = append(found, filepath.Clean(p))
		}
	}
	return found
}

// configs are the places of configuration files
// (https://pip.pypa.io/en/stable/topics/configuration/, https://docs.astral.sh/uv/concepts/configuration-files/).
func (i installation) configs() []string {
	all := []string{"/etc/pip.conf", "/etc/xdg/pip/pip.conf", "/etc/uv/uv.toml"}
	for _, name := range []string{"PIP_CONFIG_FILE", "UV_CONFIG_FILE"} {
		if v, ok := i.Env.Lookup(name); ok && v != "" {
			all = append(all, v)
		}
	}
	if home, ok := i.Env.Lookup("HOME"); ok {
		all = append(all, home+"/.pip/pip.conf", home+"/.config/pip/pip.conf", home+"/.config/uv/uv.toml", home+"/.netrc")
	}
	if config, ok := i.Env.Lookup("XDG_CONFIG_HOME"); ok {
		all = append(all, config+"/pip/pip.conf", config+"/uv/uv.toml")
	}
	return all
}

// index is the Python Package Index, whose files lie on another host.
var index = []string{"pypi.org:443", "files.pythonhosted.org:443"}

var address = lazyregexp.New(`https?://[^\s"',\]\\]+`)

// hosts are those of the indexes that the machine's owner names, and of the lock file
// where it is reviewed code's. The owner of an image is who wrote the declaration: of a pull
// request, its settings say nothing.
func (i installation) hosts(lock []byte) []string {
	found := slices.Clone(index)
	add := func(text string) {
		for _, a := range address.FindAllString(text, -1) {
			if h, ok := hostOf(a); ok && !slices.Contains(found, h) {
				found = append(found, h)
			}
		}
	}
	if !i.Foreign || !i.Wall.Unreviewed() {
		for _, name := range indexVars {
			v, _ := i.Env.Lookup(name)
			add(v)
		}
		for _, p := range i.configs() {
			if raw, err := os.ReadFile(p); err == nil && !strings.HasSuffix(p, ".netrc") {
				add(string(raw))
			}
		}
	}
	if !i.Wall.Unreviewed() {
		add(string(lock))
	}
	for _, h := range i.Wall.Index {
		if !slices.Contains(found, h) {
			found = append(found, h)
		}
	}
	return found
}

// hostOf is host:port of an address, with the scheme's own port where none is given.
func hostOf(address string) (string, bool) {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" {
		return "", false
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port), port != ""
}

// refusedHosts names the hosts that were asked for and not reached.
func refusedHosts(hosts []string) string {
	if len(hosts) == 0 {
		return ""
	}
	return fmt.Sprintf("; it asked for %s, which is not a package index that this machine knows: where it is meant, name it under spec.isolation.index in the controller's file, or in VISHWA_ISOLATION_INDEX", strings.Join(hosts, ", "))
}

// settle makes the environment this user's again where another one filled it, and
// readable for whichever user a run has.
func (i installation) settle() error {
	uid, gid := os.Geteuid(), os.Getegid()
	return filepath.WalkDir(i.dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || uid != 0 {
			return err
		}
		if err := os.Lchown(p, uid, gid); err != nil || d.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		mode := info.Mode().Perm() | 0o444
		if d.IsDir() || mode&0o100 != 0 {
			mode |= 0o111
		}
		return os.Chmod(p, mode)
	})
}
