// Where a remote is, by the user's configuration: with what it includes, with the
// addresses that it has stand for others, and with one of their own for pushes.

package gitremote

import (
	"context"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Origin is the remote that git clone makes, unless it is told another name.
const Origin = "origin"

// Remotes are the names of those that have an address.
func (s Settings) Remotes() []string {
	var names []string
	for key := range s {
		if name, ok := strings.CutPrefix(key, "remote."); ok {
			if name, ok = strings.CutSuffix(name, ".url"); ok {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}

// Usual is the remote that a clone is of, where nobody names one: origin or, where there is
// none, the one that the branch goes with (branch.NAME.remote) or the only one. "" is none, or
// one of several.
func (o *Clone) Usual(ctx context.Context, branch string) (string, error) {
	set, err := o.Settings(ctx)
	if err != nil {
		return "", err
	}
	names := set.Remotes()
	for _, name := range []string{Origin, set.Last("branch." + branch + ".remote")} {
		if slices.Contains(names, name) {
			return name, nil
		}
	}
	if len(names) == 1 {
		return names[0], nil
	}
	return "", nil
}

// Addresses of a remote; both are empty where there is no such remote.
type Addresses struct{ Fetch, Push string }

// Remote is where the remote is, with credentials where the configuration holds them.
func (o *Clone) Remote(name string) (Addresses, error) {
	set, err := o.Settings(context.Background())
	if err != nil {
		return Addresses{}, err
	}
	urls := set["remote."+name+".url"]
	if len(urls) == 0 {
		return Addresses{}, nil
	}
	at := Addresses{Fetch: o.absolute(set.rewritten(urls[0], "insteadof"))}
	switch given := set["remote."+name+".pushurl"]; {
	case len(given) > 1:
		return at, fault.WithHint(fault.New(fault.Invalid, "remote %s has %d addresses to push to: the ledger is kept in one place", name, len(given)),
			"name the one in which the ledger is as a remote of its own, and write it in spec.ledger.remote")
	case len(given) == 1:
		at.Push = o.absolute(set.rewritten(given[0], "insteadof"))
	default:
		if at.Push = set.rewritten(urls[0], "pushinsteadof"); at.Push == urls[0] {
			at.Push = set.rewritten(urls[0], "insteadof")
		}
		at.Push = o.absolute(at.Push)
	}
	return at, nil
}

// rewritten has the longest beginning that an address stands for replaced by it.
func (s Settings) rewritten(at, how string) string {
	longest, by := "", ""
	for name, starts := range s {
		base, ok := strings.CutPrefix(name, "url.")
		if base, ok = cutSuffix(base, "."+how, ok); !ok {
			continue
		}
		for _, start := range starts {
			if strings.HasPrefix(at, start) && len(start) > len(longest) {
				longest, by = start, base
			}
		}
	}
	return by + strings.TrimPrefix(at, longest)
}

func cutSuffix(s, end string, ok bool) (string, bool) {
	if !ok {
		return s, false
	}
	return strings.CutSuffix(s, end)
}

// absolute is a folder's address from wherever it is read.
func (o *Clone) absolute(at string) string {
	if at != "" && !strings.Contains(at, ":") && !filepath.IsAbs(at) {
		return filepath.Join(o.Dir, at)
	}
	return at
}
