// Modules of Git repositories that are named by a commit. Git takes a branch of the repository's whose name is that commit's digits before
// the commit itself, where it is the repository's own branch, so what init fetched is held against the name.

package terraform

import (
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

var commitName = lazyregexp.New(`^[0-9a-f]{40}([0-9a-f]{24})?$`)

// OtherCommit is a module that is not at the commit that its address names.
type OtherCommit struct {
	Module string // as its call names it: name.name
	Want   string
	Has    string // "": it cannot be told
}

// CheckCommits are the modules in root, a folder after init, that are named by a commit and are not at it.
func CheckCommits(root fs.FS) ([]OtherCommit, error) {
	noted, err := readFetched(root)
	if err != nil {
		return nil, err
	}
	at := map[string]string{} // what each package is at: of several calls of one, init copies the first, without its history
	var out []OtherCommit
	for _, m := range noted {
		pack, commit := gitPackage(m.Source)
		if commit == "" {
			continue
		}
		head, err := fs.ReadFile(root, path.Join(".terraform/modules", m.Key, ".git/HEAD"))
		if err != nil {
			continue
		}
		at[pack] = strings.TrimSpace(string(head))
		if at[pack] != commit {
			out = append(out, OtherCommit{m.Key, commit, at[pack]})
		}
	}
	for _, m := range noted {
		if pack, commit := gitPackage(m.Source); commit != "" && at[pack] == "" {
			out = append(out, OtherCommit{Module: m.Key, Want: commit})
		}
	}
	return out, nil
}

// gitPackage is the repository and the ref of an address, as init notes it, and the commit that the ref is; "" where it is none, or
// the address is not fetched by Git.
func gitPackage(source string) (pack, commit string) {
	address, query, _ := strings.Cut(source, "?")
	values, err := url.ParseQuery(query)
	ref := values.Get("ref")
	if err != nil || !strings.HasPrefix(address, "git::") || !commitName.MatchString(ref) {
		return "", ""
	}
	scheme, rest, is := strings.Cut(address, "://")
	if !is {
		scheme, rest = "", address
	}
	repository, _, _ := strings.Cut(rest, "//") // a folder of it comes after
	return fmt.Sprintf("%s://%s?%s", scheme, repository, query), ref
}
