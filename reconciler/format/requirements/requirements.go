// Package requirements reads pip's requirements files. Before an environment is made from one it
// names every package by hash, and nothing that its own bytes do not name.
package requirements

import (
	"bytes"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

const wayLock = "Make the lock file with hashes: uv pip compile --generate-hashes requirements.in -o requirements.lock, or pip-compile --generate-hashes"

// Check refuses a requirements file whose digest would not name the packages that it
// installs, and says at which of its lines, from 1.
func Check(lock []byte) (line int, err error) {
	if len(lock) > 16<<20 || bytes.IndexByte(lock, 0) >= 0 {
		return 1, fault.WithHint(fault.New(fault.Invalid, "read lock file: it is no requirements file in text"), wayLock)
	}
	for n, line := range logicalLines(string(lock)) {
		if line == "" {
			continue
		}
		word, _, _ := strings.Cut(strings.Fields(line)[0], "=")
		switch {
		case word == "-e" || word == "--editable" || word == "-r" || word == "--requirement" || word == "-c" || word == "--constraint":
			return n + 1, fault.WithHint(fault.New(fault.Invalid, "read lock file: line %d: %s names something outside the file, which its digest does not cover", n+1, word), wayLock)
		case strings.HasPrefix(word, "-"): // an option, such as --index-url
		case !strings.Contains(line, "--hash=") && !strings.Contains(line, "--hash "):
			return n + 1, fault.WithHint(fault.New(fault.Invalid, "read lock file: line %d: %s has no hash", n+1, strings.Fields(line)[0]), wayLock)
		default:
			if what := notPinned(line); what != "" {
				return n + 1, fault.WithHint(fault.New(fault.Invalid, "read lock file: line %d: %s %s", n+1, strings.Fields(line)[0], what), wayLock)
			}
		}
	}
	return 0, nil
}

var (
	hashes     = lazyregexp.New(`--hash[= ]\s*(\S*)`)
	strongHash = lazyregexp.New(`^(sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128})$`)
	oneVersion = lazyregexp.New(`^[A-Za-z0-9][A-Za-z0-9._-]*\s*(\[[^\]]*\])?\s*\(?\s*={2,3}\s*[A-Za-z0-9.!+_-]+\s*\)?$`)
)

// notPinned is what pip's --require-hashes refuses of a package with hashes: another algorithm
// than SHA-2, and more versions than one; empty where it takes it. A file named by its path or
// address is one file anyway. https://pip.pypa.io/en/stable/topics/secure-installs/
func notPinned(line string) string {
	for _, h := range hashes.FindAllStringSubmatch(line, -1) {
		if !strongHash.MatchString(strings.ToLower(h[1])) {
			return "has the hash " + h[1] + ", which is no whole sha256, sha384 or sha512"
		}
	}
	name, _, _ := strings.Cut(line, "--hash")
	name, _, _ = strings.Cut(name, ";")
	name, _, _ = strings.Cut(name, " --") // options of the package's own
	name = strings.TrimSpace(name)
	if strings.ContainsAny(name, "@/\\") || oneVersion.MatchString(name) {
		return ""
	}
	for _, file := range []string{".whl", ".zip", ".tar.gz", ".tar.bz2"} {
		if strings.HasSuffix(name, file) {
			return ""
		}
	}
	return "is not of one version, as name==1.2.3 is"
}

// logicalLines joins lines that end in a back-slash, as pip does, and drops
// comments. A logical line stands at the index of its first line; the others are empty.
func logicalLines(s string) []string {
	lines := strings.Split(strings.ReplaceAll(s, "\r\n", "\n"), "\n")
	out := make([]string, len(lines))
	start, joining := 0, false
	for i, line := range lines {
		if !joining {
			start = i
		}
		if at := strings.Index(" "+line, " #"); at >= 0 {
			line = line[:at]
		}
		text, more := strings.CutSuffix(line, "\\")
		out[start] = strings.TrimSpace(out[start] + " " + strings.TrimSpace(text))
		joining = more
	}
	return out
}

// pinned is a package of an index by its version, and plainOption an option that neither
// asks for sources nor reads a variable.
var (
	pinned      = lazyregexp.New(`^[A-Za-z0-9][A-Za-z0-9._-]*(\[[A-Za-z0-9._, -]*\])? ?={2,3} ?[A-Za-z0-9.!+_-]+( ?;[A-Za-z0-9_.'"<>=!~(), ]*)?( --hash=sha(256|384|512):[0-9a-f]+)+$`)
	plainOption = lazyregexp.New(`^((-i|--index-url|--extra-index-url|-f|--find-links)[= ][A-Za-z0-9/.][A-Za-z0-9:/._~%?&+-]*|--no-index|--pre|--prefer-binary|--require-hashes)$`)
)

// WheelsAlone is lock as an installer may read it that is given a login and must run no
// code of a package's. --only-binary alone does not see to that: a line of the file can
// take it back, an archive named by its address is built in spite of it, and ${NAME} is a
// variable's value, which an installer prints. It holds what was looked at and nothing
// else, as installers part lines in more ways than one.
func WheelsAlone(lock []byte) ([]byte, error) {
	var out []byte
	for n, line := range logicalLines(string(lock)) {
		line = strings.Join(strings.Fields(line), " ")
		if line == "" {
			continue
		}
		if !pinned.MatchString(line) && !plainOption.MatchString(line) {
			return nil, fault.WithHint(fault.New(fault.Invalid, "read lock file: line %d is not a package by its version and hashes, and this machine logs in at its package index: it installs nothing else for a pull request", n+1),
				"write name==version with --hash=sha256:..., as uv pip compile --generate-hashes does, without addresses, variables and options that ask for sources; or give pull requests an index that needs no login")
		}
		out = append(append(out, line...), '\n')
	}
	return out, nil
}
