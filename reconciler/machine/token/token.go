// Package token reads what logs in to another's server: from a file of this machine that a declaration
// names, or from a variable. A declaration also names the address that gets it, so that whoever merges
// one could have any file of this machine sent anywhere: files of tokens are in one folder.
package token

import (
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

const (
	// FolderVariable names the folder that files of tokens are in; without it, it is /etc/vishwa.
	FolderVariable = "VISHWA_TOKENS"
	folder         = "/etc/vishwa"
	most           = 16 << 10
)

// Place is where a token is.
type Place struct {
	Who      string // gets it, for people
	File     string // "": the variable has it
	Variable string
}

// Read reads the token as it is now: it may be renewed at any time. None in a variable is no error:
// not every server asks for one.
func Read(lookup func(string) (string, bool), at Place) (string, error) {
	text, from := "", at.Variable
	if at.File != "" {
		from = at.File
		f, err := open(lookup, at)
		if fault.Of(err) == fault.Denied && err != nil {
			return "", err
		}
		if err != nil {
			return "", fault.WithHint(fault.New(fault.Missing, "read the token for %s: %w", at.Who, err), "put it there, readable by this process")
		}
		defer f.Close()
		raw, err := io.ReadAll(io.LimitReader(f, most))
		if err != nil {
			return "", fault.New(fault.Missing, "read the token for %s: %w", at.Who, err)
		}
		text = string(raw)
	} else {
		text, _ = lookup(at.Variable)
	}
	text = strings.TrimSpace(text)
	if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) || at.File != "" && text == "" {
		return "", fault.WithHint(fault.New(fault.Invalid, "what %s holds is no token for %s", from, at.Who), "it is one line of letters, digits and signs")
	}
	return text, nil
}

// open opens the file where it, and what it links to, is in the folder.
func open(lookup func(string) (string, bool), at Place) (*os.File, error) {
	dir, ok := lookup(FolderVariable)
	if !ok || dir == "" {
		dir = folder
	}
	name, err := filepath.Rel(dir, at.File)
	if err != nil || !filepath.IsLocal(name) {
		return nil, fault.WithHint(fault.New(fault.Denied, "the token for %s is not in %s: %s", at.Who, dir, at.File), "move it there, or let the owner of this machine set %s to its folder", FolderVariable)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.Open(name)
}
