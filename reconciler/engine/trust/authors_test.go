// Authors by principal: every way to be known, and every way to look like somebody else.

package trust

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/port"
)

func TestAuthorsCountByPrincipal(t *testing.T) {
	p := meet(t)
	const asha, ci = "Asha <asha@example.org>", "CI <bot@ci.invalid>"
	of := func(author, committer string) port.Hand {
		return port.Hand{SHA: "1", Author: author, Committer: committer}
	}
	signed := func(h port.Hand, key []byte) port.Hand { h.Key = key; return h }
	with := func(h port.Hand, who ...string) port.Hand { h.With = who; return h }
	asked := func(h port.Hand, who ...string) port.Hand { h.For = who; return h }
	for name, c := range map[string]struct {
		hand    port.Hand
		people  string
		unknown string
	}{
		"a principal":                            {of(asha, asha), "asha", ""},
		"in other case":                          {of("x <ASHA@Example.ORG>", asha), "asha", ""},
		"behind a hidden address":                {of("A <7+Asha-R@users.noreply.github.com>", asha), "asha", ""},
		"behind another's hidden address":        {of("A <7+mallory@users.noreply.github.com>", asha), "asha", "A <7+mallory@users.noreply.github.com>"},
		"with an alias":                          {of("A <asha+x@example.org>", "A <asha+x@example.org>"), "asha", "A <asha+x@example.org>"},
		"of a build machine":                     {of(ci, ci), "", ci},
		"another committer":                      {of(asha, ci), "asha", ci},
		"GitHub's button":                        {of(asha, "GitHub <noreply@github.com>"), "asha", ""},
		"GitHub's button, of nobody":             {of(ci, "GitHub <noreply@github.com>"), "", ci + "|GitHub <noreply@github.com>"},
		"GitHub as author":                       {of("GitHub <noreply@github.com>", "GitHub <noreply@github.com>"), "", "GitHub <noreply@github.com>"},
		"not quite GitHub":                       {of(asha, "Git Hub <noreply@github.com>"), "asha", "Git Hub <noreply@github.com>"},
		"an address in the name":                 {of("asha@example.org <bot@ci.invalid>", asha), "asha", "asha@example.org <bot@ci.invalid>"},
		"a look-alike":                           {of("Asha <аsha@example.org>", asha), "asha", "Asha <аsha@example.org>"},
		"no address":                             {of("Asha <>", asha), "asha", "Asha <>"},
		"signed by a person":                     {signed(of(ci, ci), p.second.PublicKey().Marshal()), "asha", ""},
		"signed by another than its author":      {signed(of(asha, asha), p.ben.PublicKey().Marshal()), "asha ben", ""},
		"signed by a controller":                 {signed(of("Vishwa <vishwa@localhost>", "Vishwa <vishwa@localhost>"), p.ci.PublicKey().Marshal()), "", ""},
		"signed by nobody's key":                 {signed(of(ci, ci), p.unknown.PublicKey().Marshal()), "", ci},
		"in a controller's name":                 {of("Vishwa <vishwa@localhost>", "Vishwa <vishwa@localhost>"), "", "Vishwa <vishwa@localhost>"},
		"with a co-author":                       {with(signed(of(ci, ci), p.ci.PublicKey().Marshal()), asha), "asha", ""},
		"with an unknown co-author":              {with(signed(of(ci, ci), p.ci.PublicKey().Marshal()), ci), "", ci},
		"asked for by a person":                  {asked(signed(of(ci, ci), p.ci.PublicKey().Marshal()), "github:Asha-R"), "asha", ""},
		"opened by somebody, no commit":          {port.Hand{For: []string{"github:asha-r", "github:mallory"}}, "asha", ""},
		"asked for on another forge":             {asked(of(asha, asha), "gitlab:ben"), "asha", ""},
		"asked for by something that is not one": {asked(of(asha, asha), "asha-r"), "asha", ""},
	} {
		got := p.trust.Authors([]port.Hand{c.hand})
		if people := strings.Join(slices.Sorted(maps.Keys(got.People)), " "); people != c.people {
			t.Errorf("%s: by %q, want %q", name, people, c.people)
		}
		if unknown := strings.Join(got.Unknown, "|"); unknown != c.unknown {
			t.Errorf("%s: unknown are %q, want %q", name, unknown, c.unknown)
		}
	}
	var nobody *Trust
	if got := nobody.Authors([]port.Hand{of(asha, asha)}); len(got.People) != 0 || !slices.Equal(got.Unknown, []string{asha}) {
		t.Errorf("without a trust file: %+v", got)
	}
}
