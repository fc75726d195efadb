package execute

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// stages is a runner of one run, which goes through them.
type stages struct {
	port.Runner
	left []port.Run
}

func (s *stages) next() (port.Run, error) {
	run := s.left[0]
	s.left = s.left[1:]
	return run, nil
}

func (s *stages) Start(context.Context, port.Job) (port.Run, error)          { return s.next() }
func (s *stages) Logs(context.Context, digest.Digest, int64) ([]byte, error) { return nil, nil }
func (s *stages) Wait(context.Context, digest.Digest, port.RunState, int64) (port.Run, error) {
	return s.next()
}

func TestWhatARunWaitsForAndHowFarItIsAreToldOnce(t *testing.T) {
	var told []string
	third, far := "position 3 in queue team-a", "40% done, loss 0.2"
	a := &execution{Config: Config{Now: time.Now, Tell: func(e Event) { told = append(told, e.Text) }, Runner: &stages{left: []port.Run{
		{State: port.Waiting, Reason: third}, {State: port.Waiting, Reason: third}, {State: port.Running}, {State: port.Running, Reason: far},
		{State: port.Running, Reason: far}, {State: port.Running, Reason: "80% done"}, {State: port.Done, Result: &port.Result{}},
	}}}}
	if _, err := a.follow(t.Context(), port.Job{}, nil); err != nil {
		t.Fatal(err)
	}
	if want := []string{"waits: " + third, "now: " + far, "now: 80% done"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}
