// A release that asks for a level of isolation is served at it or not at all, and what was
// served before goes on.

package server

import (
	"context"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
)

func TestAReleaseIsServedAtItsLevelOrNotAtAll(t *testing.T) {
	s := newStageAt(t, wall.Landlock)
	s.apply(s.release("one", "1"))
	r := s.release("one", "2")
	r.Isolation = string(wall.Namespaces)
	if _, err := s.server.Apply(context.Background(), r); err == nil || !strings.Contains(err.Error(), "namespaces is asked for") || fault.HintOf(err) == "" {
		t.Errorf("applied below its level: %v", err)
	}
	if got := s.get(s.observe("one"), "/version"); got != "1" {
		t.Errorf("what was served before does not go on: %s", got)
	}
	r.Isolation = string(wall.Landlock)
	if l := s.apply(r); l.Isolation == nil || l.Isolation.Level != string(wall.Landlock) {
		t.Errorf("served at %v", l.Isolation)
	}
	if o := s.recorded("one"); o.Least != wall.Landlock {
		t.Errorf("a restart may be served at %q", o.Least)
	}
}

// TestARaisedLevelBeginsTheReleaseAnew: the same key is not found to stand already.
func TestARaisedLevelBeginsTheReleaseAnew(t *testing.T) {
	s := newStageAt(t, wall.None)
	r := s.release("one", "1")
	if l := s.apply(r); l.Isolation == nil || l.Isolation.Level != string(wall.None) {
		t.Fatalf("served at %v", l.Isolation)
	}
	r.Isolation = string(wall.Landlock)
	if _, err := s.server.Apply(context.Background(), r); err == nil || !strings.Contains(err.Error(), "landlock is asked for") {
		t.Errorf("applied without a wall: %v", err)
	}
	s.server = Local(Config{Env: testEnv(), Store: s.store, Dir: s.dir, Seal: sealOf(s.dir), Pace: quick,
		Envs: sandbox.Environments{Dir: t.TempDir(), Env: testEnv(), Seal: environmentKey}, Wall: wall.Policy{Level: wall.Landlock}})
	if l := s.apply(r); l.Isolation == nil || l.Isolation.Level != string(wall.Landlock) {
		t.Errorf("served at %v", l.Isolation)
	}
}
