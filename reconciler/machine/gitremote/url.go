// URLs of remotes: without their credentials for people, and in one spelling as
// a name.

package gitremote

import (
	"net/url"
	"path"
	"path/filepath"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

var (
	login   = lazyregexp.New(`://[^/@\s]*@`)
	pair    = lazyregexp.New(`[^\s/@:]+:[^\s/@]*@`) // user:password@, where no scheme stands before it
	query   = lazyregexp.New(`(://[^\s?#]*)[?#][^\s]*`)
	scpLike = lazyregexp.New(`^(?:[^/@:]+@)?([^/:]+):([^/].*|/.*)$`)
)

// Redact takes user, password and query out of every URL in text.
func Redact(text string) string {
	return query.ReplaceAllString(pair.ReplaceAllString(login.ReplaceAllString(text, "://"), ""), "$1")
}

var usualPort = map[string]string{"https": "443", "http": "80", "ssh": "22", "git": "9418"}

// Canonical is the same for all spellings of one remote: the scheme, the user,
// the usual port, a trailing .git and the case of the host say nothing. A local
// path is absolute and without symbolic links.
func Canonical(remote string) string {
	if remote == "" {
		return ""
	}
	if !strings.Contains(remote, "://") {
		m := scpLike.FindStringSubmatch(remote)
		if m == nil || filepath.IsAbs(remote) {
			return local(remote)
		}
		return strings.ToLower(m[1]) + "/" + bare(m[2])
	}
	u, err := url.Parse(remote)
	if err != nil {
		return Redact(remote)
	}
	if u.Scheme == "file" {
		return local(u.Path)
	}
	host := strings.ToLower(u.Hostname())
	if p := u.Port(); p != "" && p != usualPort[u.Scheme] {
		host += ":" + p
	}
	return host + "/" + bare(u.Path)
}

func bare(p string) string {
	return strings.TrimSuffix(strings.Trim(path.Clean("/"+p), "/"), ".git")
}

func local(p string) string {
	if real, err := filepath.EvalSymlinks(p); err == nil {
		p = real
	}
	if abs, err := filepath.Abs(p); err == nil {
		p = abs
	}
	return "file:" + p
}
