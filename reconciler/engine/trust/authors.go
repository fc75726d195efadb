// Authors of a change, counted by principal: what stands in a commit is an address, and
// one that trust.yaml does not know may be anybody's, an approver's too.

package trust

import (
	"maps"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/port"
)

// Authors are who had a hand in a change, as a trust file tells them apart. A nil
// Trust knows nobody.
type Authors struct {
	People  map[string]string // principal -> what gave them away: an address, a login, a key
	Unknown []string          // addresses of nobody that the trust file knows
}

// Authors tells who had a hand in a change. A commit that a principal's or a
// controller's key signed is theirs, whatever addresses it carries. Those of others are
// believed against who stands there, and never in favour of anybody.
func (t *Trust) Authors(hands []port.Hand) Authors {
	a := Authors{People: map[string]string{}}
	unknown := map[string]bool{}
	for _, h := range hands {
		for _, by := range h.For {
			t.asked(by, a.People)
		}
		if h.SHA == "" {
			continue // no commit: who opened or pushed
		}
		vouched := t.signed(h, a.People)
		author := t.note(h.Author, a.People)
		committer := t.note(h.Committer, a.People)
		if !vouched && !author {
			unknown[h.Author] = true
		}
		if !vouched && !committer && !(author && merging(h.Committer)) {
			unknown[h.Committer] = true
		}
		for _, with := range h.With {
			if !t.note(with, a.People) {
				unknown[with] = true
			}
		}
	}
	a.Unknown = slices.Sorted(maps.Keys(unknown))
	return a
}

// merging tells whether a committer is GitHub itself, which writes the commits of its
// own buttons: whoever pushed one is its author.
func merging(committer string) bool { return committer == "GitHub <noreply@github.com>" }

// signed notes whose key signed h, and tells whether it is one that the trust file knows.
func (t *Trust) signed(h port.Hand, people map[string]string) bool {
	if t == nil || h.Key == nil {
		return false
	}
	if name, ok := t.people[string(h.Key)]; ok {
		people[name] = "a commit that their key signed"
		return true
	}
	_, robot := t.robots[string(h.Key)]
	return robot
}

// note notes whose address author has, and tells whether it is one of the trust file's.
// An address with an alias behind a plus is noted, and is none of them.
func (t *Trust) note(author string, people map[string]string) (known bool) {
	if t == nil {
		return false
	}
	for name, p := range t.Principals {
		if p.wrote(author) {
			people[name] = author
			known = true
		} else if plain := unaliased(author); plain != "" && p.wrote(plain) {
			people[name] = author
		}
	}
	return known
}

// asked notes who has the login of by, which is FORGE:LOGIN. They wrote nothing by that,
// and may approve nothing of it.
func (t *Trust) asked(by string, people map[string]string) {
	forge, login, _ := strings.Cut(by, ":")
	if t == nil {
		return
	}
	if name, ok := t.ByLogin(forge, login); ok {
		people[name] = by
	}
}

// address is the address of "Name <email>", in lower case.
func address(author string) string {
	email := author
	if i := strings.LastIndexByte(author, '<'); i >= 0 {
		email, _, _ = strings.Cut(author[i+1:], ">")
	}
	return strings.ToLower(strings.TrimSpace(email))
}

// unaliased is an address without what stands behind a plus in it; "" where nothing does.
func unaliased(author string) string {
	user, host, _ := strings.Cut(address(author), "@")
	plain, _, aliased := strings.Cut(user, "+")
	if !aliased || plain == "" || host == "users.noreply.github.com" {
		return ""
	}
	return plain + "@" + host
}
