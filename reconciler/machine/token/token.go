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

// Below is lookup with a folder of name's own for files of tokens, in that of all: what one repository declares reads none of another's.
func Below(lookup func(string) (string, bool), name string) func(string) (string, bool) {
	return func(variable string) (string, bool) {
		if variable == FolderVariable {
			return filepath.Join(dir(lookup), name), true
		}
		return lookup(variable)
	}
}

func dir(lookup func(string) (string, bool)) string {
	if at, ok := lookup(FolderVariable); ok && at != "" {
		return at
	}
	return folder
}

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
			return "", fault.WithHint(fault.New(fault.Missing, "read the token for %s: %w", at.Who, err), "make the file readable for this user, or correct its name")
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
	in := dir(lookup)
	name, err := filepath.Rel(in, at.File)
	if err != nil || !filepath.IsLocal(name) {
		return nil, fault.WithHint(fault.New(fault.Denied, "the token for %s is not in %s: %s", at.Who, in, at.File), "move it there and declare it so, or let the owner of this machine set %s to another folder", FolderVariable)
	}
	root, err := os.OpenRoot(in)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.Open(name)
}
