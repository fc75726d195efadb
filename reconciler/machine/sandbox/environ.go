// Package sandbox is where commands of a declaration run: a fresh directory, a
// Python environment made from a lock file, an environment of declared variables
// alone, and a process group that ends as a whole. It keeps a run from depending
// on what was not declared; what keeps hostile code in is package wall, which Start
// begins commands behind.
package sandbox

import (
	"slices"
	"strings"
)

// allowed are the caller's variables that every run sees. HOME is not among
// them: Layout gives a run an empty home of its own, because a library that reads
// a dot-file or a cache in the user's home depends on something that its key does
// not name. A declaration that lists HOME gets the caller's. TMPDIR is the
// caller's, because sockets in a deeply nested folder overrun the 108 bytes that
// a Unix socket's path may have.
var allowed = []string{
	"PATH", "LANG", "LANGUAGE", "TZ", "TMPDIR",
	"LC_ALL", "LC_ADDRESS", "LC_COLLATE", "LC_CTYPE", "LC_IDENTIFICATION", "LC_MEASUREMENT", "LC_MESSAGES",
	"LC_MONETARY", "LC_NAME", "LC_NUMERIC", "LC_PAPER", "LC_TELEPHONE", "LC_TIME",
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "FTP_PROXY",
	"http_proxy", "https_proxy", "no_proxy", "all_proxy", "ftp_proxy",
}

// Own tells whether name is one of Vishwa's own variables. They hold its
// passwords, so no declaration can pass them on.
func Own(name string) bool { return strings.HasPrefix(strings.ToUpper(name), "VISHWA_") }

// Environ is the environment of a run, sorted: the allowed variables, those in
// pass that lookup knows, and set, which has the last word. A variable of
// Vishwa's own in pass is left out.
func Environ(lookup func(string) (string, bool), pass []string, set map[string]string) []string {
	vars := map[string]string{}
	for _, name := range slices.Concat(allowed, pass) {
		if v, ok := lookup(name); ok && !Own(name) {
			vars[name] = v
		}
	}
	for name, v := range set {
		vars[name] = v
	}
	list := make([]string, 0, len(vars))
	for name, v := range vars {
		list = append(list, name+"="+v)
	}
	slices.Sort(list)
	return list
}

// VarName spells name as part of a variable's name: upper case, and _ for all
// that is neither an ASCII letter nor a digit.
func VarName(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		default:
			return '_'
		}
	}, name)
}

// Variable is one of an environment, or "".
func Variable(env []string, name string) string {
	for _, v := range env {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}
