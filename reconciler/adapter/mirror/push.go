// What a push came to. Git ends with the same code whether the ref has moved, the remote refuses or nobody was reached; what happens next
// differs: look again, tell a person, try later.

package mirror

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/gitremote"
)

// push has ref of the remote be sha, where it is still at was. What has moved meanwhile is a Conflict, what the remote refuses by its own word Denied
// (gitremote.ErrRefused), what it cannot take just now Transient.
func (m *Mirror) push(ctx context.Context, sha, ref, was string) error {
	out, err := m.git(ctx, "push", "--quiet", "--porcelain", "--receive-pack=git-receive-pack", "--force-with-lease="+ref+":"+was, "origin", sha+":"+ref)
	if err == nil || fault.Of(err) != fault.Internal { // it was not reached, or nobody was let in
		return err
	}
	// The ref's line of --porcelain is "!", the refspec, and in brackets who rejects it and why (git-push(1)).
	verdict := ""
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "!") {
			verdict = strings.TrimSpace(line[strings.LastIndexByte(line, '\t')+1:])
		}
	}
	if why := unmoved(ref, verdict, err); why != nil {
		return why
	}
	if strings.HasPrefix(verdict, "[remote rejected]") || strings.Contains(err.Error(), "hook declined") {
		return barred(ref, fmt.Errorf("%w: %s: %w", gitremote.ErrRefused, verdict, err))
	}
	return err
}

// unmoved is why the remote did not move ref, where what was said tells that it may be tried again; nil else.
func unmoved(ref, verdict string, err error) error {
	said := strings.ToLower(verdict + "\n" + err.Error())
	says := func(any ...string) bool {
		return slices.ContainsFunc(any, func(s string) bool { return strings.Contains(said, s) })
	}
	switch {
	case says("(stale info)", "(fetch first)", "(non-fast-forward)", "but expected", "incorrect old value", "reference already exists", "remote ref does not exist"):
		return moved(ref)
	case says("cannot lock ref", "failed to update ref", "failed to lock", "unpacker error", "internal server error"): // by another push, or for want of room
		return fault.WithHint(fault.New(fault.Transient, "the remote could not take %s: %v", ref, err), "try again; see its log, and whether a file of %s.lock is left there", ref)
	}
	return nil
}

func moved(ref string) error {
	return fault.WithHint(fault.New(fault.Conflict, "%s has moved meanwhile", ref), "look again")
}

// barred is err of a ref that the remote moves for somebody else, or for nobody.
func barred(ref string, err error) error {
	return fault.WithHint(fault.New(fault.Denied, "%w", err), "let Vishwa's account write %s: see the rules of the repository and its hooks", ref)
}
