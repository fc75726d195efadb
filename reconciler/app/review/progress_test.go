// While trainings run, their pull request says so, and no more often than it may.

package review

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/pass/execute"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
	"github.com/vishwaops/vishwa/templates"
)

// wall is a forge with one pull request, whose comment is written on it.
type wall struct {
	port.Forge // nothing else is asked
	mu         sync.Mutex
	glances    int
	comments   []string
	glanced    func(n int)
}

func (w *wall) Pull(context.Context, int) (port.PullRequest, error) {
	w.mu.Lock()
	w.glances++
	n := w.glances
	w.mu.Unlock()
	w.glanced(n)
	return port.PullRequest{Number: 7, HeadSHA: "head"}, nil
}

func (w *wall) Comments(context.Context, int, time.Time) ([]port.Comment, error) { return nil, nil }
func (w *wall) ReportStatus(context.Context, port.CommitStatus) error            { return nil }

func (w *wall) UpsertComment(_ context.Context, _ int, _, body string) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.comments = append(w.comments, body)
	return "", nil
}

// course is a runner whose run stands as it is told.
type course struct {
	port.Runner
	run port.Run
}

func (c *course) Start(context.Context, port.Job) (port.Run, error)     { return c.run, nil }
func (c *course) Poll(context.Context, digest.Digest) (port.Run, error) { return c.run, nil }

func TestTheCommentTellsHowRunsStandWhileTheyAreUnderWay(t *testing.T) {
	began := time.Date(2026, 5, 1, 10, 20, 30, 0, time.UTC)
	ref := schemas.Ref{Kind: "training", Name: "price", Output: "curve"}
	for name, c := range map[string]struct {
		run  port.Run
		want string
	}{
		"made ready": {port.Run{State: port.Waiting}, "| waiting | its software environment is being made |"},
		"queued":     {port.Run{State: port.Waiting, Reason: "position 3 in queue team-a"}, "| waiting | position 3 in queue team-a |"},
		"told":       {port.Run{State: port.Running, Started: began, Reason: "40% done, loss <0.2>"}, "| running | since 10:20:30 UTC: 40% done, loss `<0.2>` |"},
		"elsewhere":  {port.Run{State: port.Running, Started: began, Runner: "gpu", Reason: "40% done"}, "| running | since 10:20:30 UTC on gpu: 40% done |"},
		"running":    {port.Run{State: port.Running, Started: began}, "| running | since 10:20:30 UTC |"},
		"ended":      {port.Run{State: port.Done, Result: &port.Result{Started: began, Finished: began.Add(90 * time.Second)}}, "| done | took 1m30s |"},
		"failed":     {port.Run{State: port.Done, Result: &port.Result{Cause: port.Exit, Message: "ended with exit code 1"}}, "**failed** | ended with exit code 1 |"},
		"stopped":    {port.Run{State: port.Done, Result: &port.Result{Cause: port.Stopped}}, "| cancelled |"},
	} {
		t.Run(name, func(t *testing.T) {
			w, done := &wall{}, make(chan struct{})
			w.glanced = func(n int) {
				if n == 3*restOf {
					close(done)
				}
			}
			seen := watch(&course{run: c.run})
			if _, err := seen.Start(t.Context(), port.Job{Key: "sha256:1", Ref: ref}); err != nil {
				t.Fatal(err)
			}
			visiting(w, ref).poll(t.Context(), done, func(error) { t.Error("the runs were ended") }, seen)
			if len(w.comments) != 1 || !strings.Contains(w.comments[0], c.want) {
				t.Errorf("want %q told once, and not again:\n%s", c.want, strings.Join(w.comments, "\n---\n"))
			}
		})
	}
}

// TestATrialThatWasEndedEarlySaysSo: it was stopped as one is that nobody wants, and is none.
func TestATrialThatWasEndedEarlySaysSo(t *testing.T) {
	ref := schemas.Ref{Kind: "training", Name: "price", Output: "degree-7"}
	seen := watch(&course{run: port.Run{State: port.Done, Result: &port.Result{Cause: port.Stopped}}})
	if _, err := seen.Start(t.Context(), port.Job{Key: "sha256:1", Ref: ref}); err != nil {
		t.Fatal(err)
	}
	seen.hear(execute.Event{Ref: ref, Kind: execute.Output, Text: "stopped early at step 1, it prints"})
	if got := seen.over([]templates.Run{{Ref: ref}}); got[0].State != "cancelled" {
		t.Errorf("by its own word: %+v", got)
	}
	seen.hear(execute.Event{Ref: ref, Kind: execute.Ended, Text: "stopped early at step 4: valid.rmse came to 7, and 1 of the 2 trials that came as far go on, from 1"})
	if got := seen.over([]templates.Run{{Ref: ref}}); got[0].State != "stopped early" || !strings.HasPrefix(got[0].Text, "at step 4: valid.rmse came to 7") {
		t.Errorf("ended early: %+v", got)
	}
}

func TestRunsThatBeginAndEndAllTheTimeAreToldNowAndThen(t *testing.T) {
	ref := schemas.Ref{Kind: "training", Name: "price"}
	runner := &course{run: port.Run{State: port.Running}}
	seen := watch(runner)
	if _, err := seen.Start(t.Context(), port.Job{Key: "sha256:1", Ref: ref}); err != nil {
		t.Fatal(err)
	}
	w, done := &wall{}, make(chan struct{})
	w.glanced = func(n int) {
		runner.run.Started = time.Unix(int64(n), 0) // as though another one had begun
		if _, err := seen.Poll(t.Context(), "sha256:1"); err != nil {
			t.Error(err)
		}
		if n == 5*restOf {
			close(done)
		}
	}
	visiting(w, ref).poll(t.Context(), done, func(error) {}, seen)
	if n := len(w.comments); n < 2 || n > w.glances/restOf+1 {
		t.Errorf("%d edits in %d glances", n, w.glances)
	}
}

func visiting(w *wall, ref schemas.Ref) *pullRequest {
	o := &Service{Forge: w, Now: time.Now, Log: slog.New(slog.DiscardHandler), PollInterval: time.Millisecond}
	return &pullRequest{Service: o, pull: port.PullRequest{Number: 7, HeadSHA: "head"}, base: &pass.Intent{Project: &schemas.Project{}}, proposal: &pass.Proposal{},
		shown: templates.Report{Stage: templates.Running, Pull: 7, Head: "head", Runs: []templates.Run{{Ref: ref, State: "waiting"}}}}
}
