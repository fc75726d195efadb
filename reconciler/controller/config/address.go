// One repository has many spellings. Identity gives them one, so that no
// repository is reconciled twice and a webhook finds the one that it is about.

package config

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"unicode"
)

// Identity is the same for every spelling of the repository's address:
// "github.com/owner/name", or the Git folder of a local one.
func (r Repository) Identity() string {
	if r.URL == "" {
		if git, err := GitFolder(r.Path); err == nil {
			return git
		}
		return filepath.Clean(r.Path)
	}
	id, _ := Canonical(r.URL)
	return id
}

// Title is the repository's name for people.
func (r Repository) Title() string { return cmp.Or(r.Name, strings.TrimSuffix(r.Identity(), "/.git")) }

// TokenFolder is the name of the folder that files of tokens for it are in, below that of all: its title, on one level, so that no repository's
// folder lies in another's.
func (r Repository) TokenFolder() string {
	name := strings.Map(func(c rune) rune {
		if unicode.IsLetter(c) || unicode.IsDigit(c) || strings.ContainsRune("._-", c) {
			return c
		}
		return '-'
	}, r.Title())
	return cmp.Or(strings.TrimLeft(name, ".-"), "-")
}

// FullName is owner/name on GitHub, or "".
func (r Repository) FullName() string {
	if r.GitHub == nil {
		return ""
	}
	if r.GitHub.Repository != "" {
		return r.GitHub.Repository
	}
	u, err := address(r.URL)
	if err != nil {
		return ""
	}
	owner, name, two := strings.Cut(strings.Trim(strings.TrimSuffix(strings.TrimRight(u.Path, "/"), ".git"), "/"), "/")
	if !two || owner == "" || name == "" || strings.Contains(name, "/") {
		return ""
	}
	return owner + "/" + name
}

var ports = map[string]string{"https": "443", "http": "80", "ssh": "22"}

// Canonical is host/path, in lower case because forges ignore case, without user,
// suffix, scheme and the scheme's own port.
func Canonical(raw string) (string, error) {
	u, err := address(raw)
	if err != nil {
		return "", err
	}
	host := strings.ToLower(u.Hostname())
	if p := u.Port(); p != "" && p != ports[u.Scheme] {
		host = net.JoinHostPort(host, p)
	}
	p := strings.TrimSuffix(strings.TrimRight(path.Clean("/"+u.Path), "/"), ".git")
	return host + strings.ToLower(p), nil
}

// address reads a clone URL, or Git's short form user@host:path.
func address(raw string) (*url.URL, error) {
	if !strings.Contains(raw, "://") {
		host, p, short := strings.Cut(raw, ":")
		if !short || host == "" || p == "" || strings.ContainsAny(host, "/\\") || strings.HasPrefix(p, ":") || strings.HasPrefix(raw, "-") {
			return nil, fmt.Errorf("is not a URL; write https://HOST/OWNER/NAME.git, or give path for a repository on this machine")
		}
		raw = "ssh://" + host + "/" + strings.TrimLeft(p, "/")
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil: // its text holds the URL, and that perhaps a password
		return nil, fmt.Errorf("is not a URL; write https://HOST/OWNER/NAME.git")
	case ports[u.Scheme] == "":
		return nil, fmt.Errorf("has a scheme that is not used; write an https or ssh URL, or give path for a repository on this machine")
	case u.Hostname() == "" || strings.HasPrefix(u.Hostname(), "-") || strings.HasPrefix(u.User.Username(), "-"):
		return nil, fmt.Errorf("names no host; write https://HOST/OWNER/NAME.git")
	case strings.Trim(u.Path, "/") == "":
		return nil, fmt.Errorf("names no repository; write https://HOST/OWNER/NAME.git")
	}
	return u, nil
}

// GitFolder is the folder that holds the refs of the repository at path: path
// itself, its .git, or where the file .git of a linked work tree points
// (gitrepository-layout(5)).
func GitFolder(path string) (string, error) {
	git := filepath.Join(path, ".git")
	info, err := os.Stat(git)
	switch {
	case err != nil:
		git = path
	case !info.IsDir():
		text, err := os.ReadFile(git)
		if err != nil {
			return "", err
		}
		git = inside(path, strings.TrimPrefix(strings.TrimSpace(string(text)), "gitdir: "))
	}
	if text, err := os.ReadFile(filepath.Join(git, "commondir")); err == nil {
		git = inside(git, strings.TrimSpace(string(text)))
	}
	if _, err := os.Stat(filepath.Join(git, "HEAD")); err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(git)
}

func inside(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}
