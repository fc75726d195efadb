// Deployments are looked after side by side: what hangs about one keeps nothing from being known of another, or of itself.

package app

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/graph"
	"github.com/vishwaops/vishwa/reconciler/engine/rollout"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// lending serves, and whoever lends what it reads of the store does not answer.
type lending struct {
	port.Server
	live port.Live
}

func (s lending) Observe(ctx context.Context, _ string) (port.Live, error) {
	if err := ctx.Err(); err != nil {
		return port.Live{}, err
	}
	return s.live, nil
}

func (lending) Renew(ctx context.Context, _ string) error {
	<-ctx.Done()
	return ctx.Err()
}

// TestWhoLendsMayHangWhereWhatIsServedAnswers: then what is served is not told as failing.
func TestWhoLendsMayHangWhereWhatIsServedAnswers(t *testing.T) {
	key := digest.Of([]byte("release"))
	ref := schemas.Ref{Kind: schemas.KindDeployment, Name: "s"}
	s := &ManagedRepository{o: ManagedOptions{Env: port.Env{Log: slog.New(slog.DiscardHandler)}}}
	s.served.server, s.served.deployed = lending{live: port.Live{Key: key, Health: port.Ready}}, map[schemas.Ref]standing{ref: {key: key}}
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		all, err := s.Deployed(t.Context())
		if took := time.Since(began); err != nil || len(all) != 1 || all[0].Health != port.Ready || took > observeWithin {
			t.Errorf("after %s: %+v, %v", took, all, err)
		}
	})
}

// TestALogThatHangsHoldsUpNoOtherDeployment: neither in the round that reads it first nor in those after it, and it is read once at a time.
func TestALogThatHangsHoldsUpNoOtherDeployment(t *testing.T) {
	key, next := digest.Of([]byte("release")), digest.Of([]byte("next"))
	weight := 10
	steps := []schemas.CanaryStep{{SetWeight: &weight}}
	tries := func(name string) (schemas.Ref, *graph.Node) {
		ref := schemas.Ref{Kind: schemas.KindDeployment, Name: name}
		return ref, &graph.Node{Ref: ref, Decl: &schemas.Declaration{Kind: "Deployment", Metadata: schemas.Metadata{Name: name},
			Spec: &schemas.Deployment{Rollout: &schemas.Rollout{Canary: &schemas.Canary{Steps: steps}}}}}
	}
	synctest.Test(t, func(t *testing.T) {
		s := &ManagedRepository{o: ManagedOptions{Env: port.Env{Log: slog.New(slog.DiscardHandler)}}, tracking: newTrackings()}
		s.served.server = lending{live: port.Live{Key: key, Health: port.Ready, Beside: &port.Trial{Key: next}}}
		s.served.deployed, s.served.nodes = map[schemas.Ref]standing{}, map[schemas.Ref]*graph.Node{}
		for _, name := range []string{"hangs", "other"} {
			ref, n := tries(name)
			s.served.deployed[ref], s.served.nodes[ref] = standing{key: key, suspended: true, rollout: rollout.State{Change: rollout.Change{Key: next, Phase: rollout.Progressing}}}, n
		}
		var reads, others atomic.Int32
		s.served.arms = func(ctx context.Context, d *schemas.Declaration, _ port.Trial) (rollout.Evidence, error) {
			if d.Metadata.Name != "hangs" {
				others.Add(1)
				return rollout.Evidence{}, nil
			}
			reads.Add(1)
			<-ctx.Done()
			return rollout.Evidence{}, ctx.Err()
		}
		for range 3 {
			began := time.Now()
			round, end := context.WithTimeout(t.Context(), time.Minute)
			all, err := s.Deployed(round)
			end() // as the watch does
			if took := time.Since(began); err != nil || len(all) != 2 || took > 2*time.Second {
				t.Errorf("after %s: %+v, %v", took, all, err)
			}
		}
		if reads.Load() != 1 || others.Load() != 3 {
			t.Errorf("the log that hangs was read %d times at once, the other %d times", reads.Load(), others.Load())
		}
		time.Sleep(observeWithin)
		if _, err := s.Deployed(t.Context()); err != nil || reads.Load() != 2 {
			t.Errorf("it was read %d times, %v", reads.Load(), err)
		}
		began := time.Now()
		if err := s.Close(); err != nil || time.Since(began) > time.Second {
			t.Errorf("closed after %s: %v", time.Since(began), err)
		}
	})
}
