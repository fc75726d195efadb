// An answer that breaks who reads it ends the question that it was of, and nothing else.

package pass

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/engine/rollout"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// garbled, garbledShelf and garbledGround give answers that cannot be read.
type (
	garbled       struct{ port.Server }
	garbledShelf  struct{ packer }
	garbledGround struct{ port.Provisioner }
)

func seventh(raw []byte) byte { return raw[7] }

func (garbled) Observe(context.Context, string) (port.Live, error) {
	return port.Live{Restarts: int(seventh(nil))}, nil
}

func (garbledShelf) Inspect(context.Context, port.Registry, port.Packed, []string) (port.PackageState, error) {
	return port.PackageState{Lacks: string(rune(seventh(nil)))}, nil
}

func (garbledGround) Diff(context.Context, port.Infrastructure) (port.Change, error) {
	return port.Change{Raw: []byte{seventh(nil)}}, nil
}

// TestAnAnswerThatCannotBeReadIsOfItsStepAlone: the others are planned, the panic is told with its stack, and its text is for the user alone.
func TestAnAnswerThatCannotBeReadIsOfItsStepAlone(t *testing.T) {
	const why = "a fault of Vishwa's own ended the question"
	for name, breaks := range map[string]func(*Reconciler){
		"deployment/s":      func(h *Reconciler) { h.Server = garbled{h.Server} },
		"package/m":         func(h *Reconciler) { h.Packager = garbledShelf{} },
		"infrastructure/db": func(h *Reconciler) { h.Provisioner = garbledGround{} },
	} {
		t.Run(name, func(t *testing.T) {
			h := whole(t)
			breaks(h)
			var mu sync.Mutex
			told := map[schemas.Ref]string{}
			h.Broken = func(ref schemas.Ref, err error) {
				mu.Lock()
				defer mu.Unlock()
				told[ref] = fault.Stack(err)
			}
			p, open := planned(t, h)
			for _, s := range p.Steps {
				switch {
				case s.Ref != ref(name):
					if s.Do != plan.Keep || s.Held != "" {
						t.Errorf("%s is to %s: %s; held: %q", s.Ref, s.Do, s.Why, s.Held)
					}
				case s.Do == plan.Keep, !strings.Contains(s.Why+s.Held, why),
					!strings.HasPrefix(s.Aside, "panic: runtime error: index out of range") || s.Ref.Kind != schemas.KindInfrastructure && !strings.Contains(s.Aside, "report it"):
					t.Errorf("it is to %s: %s; held: %q; aside: %q", s.Do, s.Why, s.Held, s.Aside)
				}
			}
			if strings.Contains(open, "index out of range") {
				t.Errorf("others read %s", open)
			}
			if len(told) != 1 || !strings.Contains(told[ref(name)], "seventh (broken_test.go:") {
				t.Errorf("it is told %q", told)
			}
			if s := step(t, p, name); s.Ref.Kind == schemas.KindDeployment && s.Held != plan.NotAsked+why || s.Ref.Kind == schemas.KindPackage && s.Why != plan.NotKnown+": "+why || s.Ref.Kind == schemas.KindInfrastructure && !s.Passing {
				t.Errorf("%+v", s)
			}
		})
	}
}

// TestALogThatCannotBeReadIsNoEvidence: how its deployment stands is known all the same.
func TestALogThatCannotBeReadIsNoEvidence(t *testing.T) {
	eyes := Observers{Arms: func(context.Context, *schemas.Declaration, port.Trial) (rollout.Evidence, error) {
		return rollout.Evidence{Failing: string(rune(seventh(nil)))}, nil
	}}
	in, err := Read(t.Context(), tree())
	if err != nil {
		t.Fatal(err)
	}
	if e := eyes.logged(t.Context(), in.Graph, ref("deployment/s"), port.Live{Beside: &port.Trial{}}); !strings.HasPrefix(e.Unread, "the log of predictions cannot be read: panic: runtime error: index out of range") {
		t.Errorf("%+v", e)
	}
}
