// The roll: replicas of a controller find each other by refs of one repository, a ref each, which each moves
// as long as it lives. Who may push there is known already, and nothing else has to be reached or set up.

package mirror

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

// RollRefs are the refs of replicas, each with its name at the end.
const RollRefs = "refs/vishwa/replicas/"

// rollName is what a replica may be called.
var rollName = lazyregexp.New(`^[a-z0-9]{1,40}$`)

// beats is how many marks a replica has, which it shows in turn: so many objects are made in its life, and no more. Whoever
// looks about as often as it beats sees another one each time.
const beats = 7

// Roll is kept on a mirror's remote. It is safe for concurrent use.
type Roll struct {
	Name   string // of this replica, its alone: see NewRoll
	Holder string // for people who look at the ref
	open   func(ctx context.Context) (*Mirror, error)

	mu     sync.Mutex
	mirror *Mirror
	marks  [beats]mark // made once
	beat   int
}

// NewRoll has the mirror opened when it is needed, and until that went well.
func NewRoll(name, holder string, open func(ctx context.Context) (*Mirror, error)) (*Roll, error) {
	if !rollName.MatchString(name) {
		return nil, fault.New(fault.Internal, "%q is not a name of a replica", name)
	}
	return &Roll{Name: name, Holder: holder, open: open}, nil
}

// Self is the name of this replica.
func (r *Roll) Self() string { return r.Name }

// Sign moves this replica's ref, and tells where each replica's is.
func (r *Roll) Sign(ctx context.Context) (map[string]string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.ready(ctx); err != nil {
		return nil, fmt.Errorf("sign the roll of replicas: %w", err)
	}
	s, err := r.mirror.takes(ctx)
	if err != nil {
		return nil, fmt.Errorf("sign the roll of replicas: %w", err)
	}
	defer s.Close()
	mine, next := RollRefs+r.Name, r.marks[r.beat%beats]
	r.beat++
	if err := r.mirror.point(ctx, s, mine, there(s, mine), next); err != nil {
		return nil, fmt.Errorf("sign the roll of replicas: %w", err)
	}
	marks := map[string]string{}
	for ref, at := range s.Refs {
		if name, is := strings.CutPrefix(ref, RollRefs); is && rollName.MatchString(name) {
			marks[name] = at.String()
		}
	}
	marks[r.Name] = next.sha
	return marks, nil
}

// Strike deletes a replica's ref where it is still at mark, wherever it is where that is "".
func (r *Roll) Strike(ctx context.Context, name, mark string) error {
	if !rollName.MatchString(name) {
		return fault.New(fault.Invalid, "%q is not a name of a replica", name)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mirror == nil { // nothing was ever signed
		return nil
	}
	if err := r.mirror.strike(ctx, RollRefs+name, mark); err != nil {
		return fmt.Errorf("strike a replica off the roll: %w", err)
	}
	return nil
}

// ready opens the mirror and makes the marks, once.
func (r *Roll) ready(ctx context.Context) (err error) {
	if r.mirror == nil {
		if r.mirror, err = r.open(ctx); err != nil {
			r.mirror = nil
			return err
		}
	}
	if r.marks[beats-1].sha != "" {
		return nil
	}
	for n := range beats {
		text, err := json.Marshal(map[string]any{"replica": r.Name, "holder": r.Holder, "beat": n})
		if err != nil {
			return fault.New(fault.Internal, "encode a mark: %w", err)
		}
		if r.marks[n], err = newMark(text); err != nil {
			return err
		}
	}
	return nil
}
