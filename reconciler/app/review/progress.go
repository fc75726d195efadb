// How runs stand while they are under way: what their runner says of them, and what
// people ask meanwhile.

package review

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vishwaops/vishwa/reconciler/app/chatops"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/pass/execute"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
	"github.com/vishwaops/vishwa/templates"
)

// restOf is how many glances the comment is left alone after it told how runs stand: a
// forge bounds how often one may write, and hundreds of steps may begin and end.
const restOf = 6

// quietFor is how many glances a run goes on that failed before until it is told: one
// that fails again at once is no news.
const quietFor = 12

// underWay tells whether a run runs, or has ended well.
func underWay(runs []templates.Run) bool {
	return slices.ContainsFunc(runs, func(r templates.Run) bool {
		return r.State == "running" || r.State == "done" || r.State == "stopped early"
	})
}

// watched notes how the runs stand that it begins.
type watched struct {
	port.Runner
	mu   sync.Mutex
	refs map[digest.Digest]schemas.Ref
	runs map[schemas.Ref]port.Run
	came map[schemas.Ref]string // what those that ended came to
}

func watch(r port.Runner) *watched {
	return &watched{Runner: r, refs: map[digest.Digest]schemas.Ref{}, runs: map[schemas.Ref]port.Run{}, came: map[schemas.Ref]string{}}
}

// keys are those of the runs that it began.
func (w *watched) keys() map[digest.Digest]bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make(map[digest.Digest]bool, len(w.refs))
	for key := range maps.Keys(w.refs) {
		out[key] = true
	}
	return out
}

func (w *watched) Start(ctx context.Context, job port.Job) (port.Run, error) {
	w.mu.Lock()
	w.refs[job.Key] = job.Ref
	w.mu.Unlock()
	run, err := w.Runner.Start(ctx, job)
	w.note(job.Key, run, err)
	return run, err
}

func (w *watched) Poll(ctx context.Context, key digest.Digest) (port.Run, error) {
	run, err := w.Runner.Poll(ctx, key)
	w.note(key, run, err)
	return run, err
}

func (w *watched) Wait(ctx context.Context, key digest.Digest, seen port.RunState, offset int64) (port.Run, error) {
	run, err := w.Runner.Wait(ctx, key, seen, offset)
	w.note(key, run, err)
	return run, err
}

func (w *watched) note(key digest.Digest, run port.Run, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ref, ours := w.refs[key]; ours && err == nil {
		w.runs[ref] = run
	}
}

// hear notes what a step came to that ended well: a trial that was ended early is stopped as one is that nobody wants any more.
func (w *watched) hear(e execute.Event) {
	if e.Kind != execute.Ended {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.came[e.Ref] = e.Text
}

// over is told, brought up to how the runs stand now. Since when a run is under way is
// a point in time: how long it has been would be another text at every look.
func (w *watched) over(told []templates.Run) []templates.Run {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := slices.Clone(told)
	for i := range out {
		run, known := w.runs[out[i].Ref]
		switch {
		case !known:
		case run.State == port.Waiting:
			out[i].Text = cmp.Or(run.Reason, "its software environment is being made")
		case run.State == port.Running:
			out[i] = templates.Run{Ref: out[i].Ref, State: "running"}
			if !run.Started.IsZero() {
				out[i].Text = "since " + run.Started.UTC().Format("15:04:05 UTC")
			}
			if run.Runner != "" {
				out[i].Text = strings.TrimPrefix(out[i].Text+" on "+run.Runner, " ")
			}
			if run.Reason != "" {
				out[i].Text = strings.TrimPrefix(out[i].Text+": "+run.Reason, ": ")
			}
		case run.State == port.Done && run.Result != nil && run.Result.Cause == "":
			out[i] = templates.Run{Ref: out[i].Ref, State: "done", Text: took(run.Result.Started, run.Result.Finished)}
		case run.State == port.Done && run.Result != nil && run.Result.Cause == port.Stopped:
			out[i] = templates.Run{Ref: out[i].Ref, State: "cancelled"}
			if why, ended := w.came[out[i].Ref]; ended {
				out[i].State, out[i].Text = stoppedEarly(why)
			}
		case run.State == port.Done && run.Result != nil:
			out[i] = templates.Run{Ref: out[i].Ref, State: "failed", Text: run.Result.Message, Tail: run.Result.Tail}
		}
	}
	return out
}

// stoppedEarly is how a trial is shown that was ended early, and why.
func stoppedEarly(why string) (state, text string) {
	return "stopped early", strings.TrimPrefix(why, "stopped early ")
}

func took(from, to time.Time) string {
	return "took " + to.Sub(from).Round(100*time.Millisecond).String()
}

// poll ends the runs where the pull request does not want them any more, and tells
// how they stand meanwhile.
func (v *pullRequest) poll(ctx context.Context, done <-chan struct{}, stop context.CancelCauseFunc, seen *watched) {
	every := v.PollInterval
	if every <= 0 {
		every = 5 * time.Second
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	told, waited := v.shown.Runs, 0
	for rest := 0; ; rest-- {
		select {
		case <-done:
			return
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now, err := v.Forge.Pull(ctx, v.pull.Number)
		if err != nil {
			continue // asked again soon
		}
		switch {
		case now.Merged:
			return // what is merged is wanted
		case now.Closed:
			stop(errClosed)
			return
		case now.HeadSHA != v.pull.HeadSHA:
			stop(execute.ErrHandedBack)
			return
		}
		again := &pullRequest{Service: v.Service, pull: v.pull, state: v.state, careful: v.careful}
		if err := again.listen(ctx, v.base); err != nil {
			continue
		}
		if again.newest(chatops.Train, chatops.Cancel) != nil && !again.told(chatops.Train) {
			stop(errCancelled)
			return
		}
		r := v.shown
		r.Runs = seen.over(v.shown.Runs)
		if v.quiet {
			if waited++; waited < quietFor || !underWay(r.Runs) {
				continue
			}
			v.quiet = false
		}
		if again.asked() || rest <= 0 && !slices.Equal(r.Runs, told) {
			if err := again.chat(ctx, r, v.proposal); err != nil {
				if ctx.Err() == nil {
					v.Log.Warn("how the runs ended is shown when they have ended", "pull", v.pull.Number, "error", err)
				}
				continue
			}
			told, rest = r.Runs, restOf
		}
	}
}

// wantMore are the remarks that ask for more than words.
func (v *pullRequest) wantMore() map[int64]bool {
	more := map[int64]bool{}
	for _, o := range v.orders {
		if o.Err == nil && o.Verb != chatops.Help && o.Verb != chatops.Explain {
			more[o.remark.ID] = true
		}
	}
	return more
}

// asked tells whether somebody waits for words alone.
func (v *pullRequest) asked() bool {
	more := v.wantMore()
	return slices.ContainsFunc(v.orders, func(o order) bool { return o.fresh && !more[o.remark.ID] })
}

// chat says r, and answers the remarks that ask for words alone, while runs are under
// way. Any reaction counts as the answer: a remark that asks for more is left until
// they ended.
func (v *pullRequest) chat(ctx context.Context, r templates.Report, p *pass.Proposal) error {
	more := v.wantMore()
	v.answers(&r, p)
	if err := v.publish(ctx, &r); err != nil {
		return err
	}
	v.orders = slices.DeleteFunc(v.orders, func(o order) bool { return more[o.remark.ID] })
	return v.answer(ctx)
}
