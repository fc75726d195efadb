// Refs of Vishwa's own that hold nothing but words: a commit without files, made here and sent by itself. No program of
// Git's runs for one on this side, and nothing of it is left in the mirror.

package mirror

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"

	"github.com/vishwaops/vishwa/reconciler/machine/gitremote"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore"
)

// emptyTree is the name of Git's empty tree.
const emptyTree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"

// mark is a commit that says something, as a pack has it.
type mark struct {
	sha  string
	pack []byte
}

// newMark is the same commit for the same text: who makes it and when is no part of it.
func newMark(text []byte) (mark, error) {
	b := gitstore.Objects{}.Batch()
	tree := b.Add(plumbing.TreeObject, nil)
	const who = "Vishwa <vishwa@localhost> 1 +0000"
	sha := b.Add(plumbing.CommitObject, fmt.Appendf(nil, "tree %s\nauthor %s\ncommitter %s\n\n%s\n", tree, who, who, text))
	pack, err := b.Pack()
	return mark{sha.String(), pack}, err
}

// takes opens a session in which the remote takes, and has said where its refs are.
func (m *Mirror) takes(ctx context.Context) (*gitremote.Receive, error) {
	r, auth, err := m.way(ctx)
	if err != nil {
		return nil, err
	}
	s, adv, err := r.Takes(ctx, auth)
	if err != nil {
		return nil, m.failed(ctx, err)
	}
	return gitremote.Receives(r, s, adv), nil
}

// there is where ref was as the session began; "" is one that was not there.
func there(s *gitremote.Receive, ref string) string {
	if at := s.Refs[ref]; !at.IsZero() {
		return at.String()
	}
	return ""
}

// point has ref, which is at was, say what to says, in a session that ends with it; "" is a ref that is not there. Another value
// is a Conflict, what the remote refuses by its own word Denied (gitremote.ErrRefused), what it cannot take just now Transient.
func (m *Mirror) point(ctx context.Context, s *gitremote.Receive, ref, was string, to mark) error {
	switch there(s, ref) {
	case to.sha: // the last answer was lost
		return nil
	case was:
	default:
		return moved(ref)
	}
	return m.order(ctx, s, &packp.Command{Name: plumbing.ReferenceName(ref), Old: plumbing.NewHash(was), New: plumbing.NewHash(to.sha)}, to.pack)
}

// strike deletes ref, where it is at was, or wherever it is where that is "". Errors are those of point.
func (m *Mirror) strike(ctx context.Context, ref, was string) error {
	s, err := m.takes(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	at := there(s, ref)
	if at == "" || was != "" && at != was {
		return moved(ref)
	}
	return m.order(ctx, s, &packp.Command{Name: plumbing.ReferenceName(ref), Old: plumbing.NewHash(at)}, nil)
}

func (m *Mirror) order(ctx context.Context, s *gitremote.Receive, c *packp.Command, pack []byte) error {
	err := s.Push(ctx, gitremote.Push{Commands: []*packp.Command{c}, Pack: pack})
	switch {
	case err == nil:
		return nil
	case !errors.Is(err, gitremote.ErrRefused):
		return m.failed(ctx, err)
	}
	if why := unmoved(c.Name.String(), "", err); why != nil {
		return why
	}
	return barred(c.Name.String(), err)
}
