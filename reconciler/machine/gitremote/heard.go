// What a remote told when it was asked for something else: which refs it has is said first,
// whatever the question.

package gitremote

import (
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
)

// Heard is what a remote told that it has.
type Heard struct {
	Own  string                   // the branch that its HEAD names
	Refs map[string]plumbing.Hash // by their whole names
}

// Hear keeps what a remote told; nil is one that has nothing yet.
func Hear(adv *packp.AdvRefs) *Heard {
	h := &Heard{Refs: map[string]plumbing.Hash{}}
	if adv == nil {
		return h
	}
	for name, at := range adv.References {
		h.Refs[name] = at
	}
	for name, at := range adv.Peeled {
		h.Refs[name+"^{}"] = at
	}
	for _, link := range adv.Capabilities.Get(capability.SymRef) {
		if to, ok := strings.CutPrefix(link, "HEAD:refs/heads/"); ok {
			h.Own = to
		}
	}
	return h
}

// Keeping is where a clone keeps its ledger, and what was heard from there.
type Keeping struct {
	Remote string // by its name in the clone
	Branch string // of the ledger, without refs/heads/
	Heard  *Heard // nil: it was not asked
}
