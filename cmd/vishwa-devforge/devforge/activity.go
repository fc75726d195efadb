// The activity of a repository: who moved which branch.

package devforge

import (
	"slices"
	"strings"
	"time"
)

type activity struct {
	id    int64
	login string
	kind  string
	moved update
	at    time.Time
}

// note remembers that by moved a ref; Forge.mu is held.
func (r *repo) note(f *Forge, u update, by string, forced bool) {
	kind := "push"
	switch {
	case u.old == zeroSHA:
		kind = "branch_creation"
	case u.new == zeroSHA:
		kind = "branch_deletion"
	case forced:
		kind = "force_push"
	case u.merged:
		kind = "pr_merge"
	}
	r.activity = slices.Insert(r.activity, 0, activity{f.id(), by, kind, u, f.at()})
}

func (f *Forge) listActivity(c *call) (any, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	ref := c.URL.Query().Get("ref")
	var list []activity
	for _, a := range c.repo.activity {
		if ref == "" || a.moved.ref == ref || strings.TrimPrefix(a.moved.ref, "refs/heads/") == ref {
			list = append(list, a)
		}
	}
	return shown(paged(c, f, list), func(a activity) object {
		return object{"id": a.id, "ref": a.moved.ref, "before": a.moved.old, "after": a.moved.new, "timestamp": stamp(a.at), "activity_type": a.kind, "actor": f.showUser(a.login)}
	}), nil
}
