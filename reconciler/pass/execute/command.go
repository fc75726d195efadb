// Commands that run to their end: transforms, and the candidates of trainings.

package execute

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/failpoint"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

func (a *execution) run(ctx context.Context, j *job) error {
	if err := a.judge(ctx, j, Material{}); err != nil {
		return err
	}
	work, err := a.work(ctx, j)
	if err != nil {
		return err
	}
	r, err := a.tried(ctx, j, work)
	if err != nil {
		return err
	}
	outputs := ledger.OutputsOf(r.Outputs)
	if work.Model && r.Model != nil { // what was stopped early has none
		outputs = ledger.Outputs{{As: "model", Artifact: *r.Model}}
	}
	e := a.base(done(j), j)
	e.Outputs, e.Metrics, e.Trial = outputs, r.Metrics, j.stood
	e.Run = ranOn(work, r)
	if j.node.Ask != nil {
		if err := a.asked(ctx, j, &e); err != nil {
			return err
		}
	}
	a.compare(ctx, j, &e)
	return a.record(ctx, j, e)
}

// ranOn is how work was carried out.
func ranOn(work port.Job, r *port.Result) *ledger.Run {
	out := &ledger.Run{Started: r.Started, Finished: r.Finished, Host: r.Host, Python: r.Python, Log: r.Log, Isolation: r.Isolation, Tracking: r.Tracking}
	out.Image, out.Resources = work.RunsOn.Image, work.RunsOn.Resources
	if work.RunsOn.Runner != schemas.LocalRunner {
		out.Runner = work.RunsOn.Runner
	}
	if work.RunsOn.Nodes > 1 {
		out.Nodes = work.RunsOn.Nodes
	}
	out.External = work.External != nil
	return out
}

// tried runs work until it succeeds or its declared retries are used up. Every
// failure is recorded; one that lies outside the key is not tried again here.
func (a *execution) tried(ctx context.Context, j *job, work port.Job) (*port.Result, error) {
	retries := plan.Retries(j.node.Decl)
	for tries := a.Facts.Failed[j.Key].N; ; {
		w := a.watch(j)
		r, err := a.follow(ctx, work, w)
		if err == nil && w.stands(j, r) {
			return r, nil
		}
		w.forget()
		if err != nil {
			return r, err
		}
		kind := fault.Invalid
		switch r.Cause {
		case port.Stopped:
			kind = fault.Cancelled
		case port.BadEnv, port.Lost:
			kind = fault.Transient
		}
		f := ledger.Failure{Cause: string(r.Cause), Message: r.Message, Tail: r.Tail, Log: r.Log, Kept: r.Kept}
		text := a.told(f)
		if r.Tail != "" {
			text += "\n" + r.Tail
		}
		failed := fault.New(kind, "%s: %s", j.Ref, text)
		if kind == fault.Invalid {
			failed = fault.WithHint(failed, "%s", correct(r))
		}
		err = a.failure(ctx, j, f, failed)
		if tries++; kind != fault.Invalid || tries > retries {
			return nil, err
		}
		a.sendEvent(j.Ref, Output, fmt.Sprintf("%s; trying again (%d of %d)", r.Message, tries, retries))
	}
}

// correct is what to do about a run that failed: its message says it where nothing was printed.
func correct(r *port.Result) string {
	if strings.TrimSpace(r.Tail) == "" {
		return "do what the message says, and commit that"
	}
	return "read the end of the log, correct what it names, and commit that"
}

// told is why a run failed, with the full paths of its log and its work folder: it ran
// on this machine just now. In a pull request nobody can look there.
func (a *execution) told(f ledger.Failure) string {
	if f.Kept == "" || a.Pull || a.State == "" {
		return plan.FailureText(f, a.Pull)
	}
	work := filepath.Join(a.State, f.Kept)
	return fmt.Sprintf("%s. Log: %s. Work folder: %s.", strings.TrimSuffix(f.Message, "."), filepath.Join(filepath.Dir(work), "log"), work)
}

// leastAgain is the level that a run is to stand at which is made again: what ran before will not do.
func (a *execution) leastAgain(j *job) string {
	if (a.MissingArtifacts[j.Key] != "" || a.Unfit[j.Key] != "") && a.Least != nil {
		return a.Least(j.Ref)
	}
	return ""
}

// work is the job of a transform or a candidate.
func (a *execution) work(ctx context.Context, j *job) (port.Job, error) {
	if err := a.Keep(ctx, j.node.Code); err != nil {
		return port.Job{}, err
	}
	out := port.Job{
		Key: j.Key, Ref: j.Ref, Command: j.recipe.Command, Code: j.node.Code, Lock: j.node.Lock,
		Params: j.recipe.Params, Inputs: map[string]port.Artifact{}, RunsOn: j.node.RunsOn,
	}
	out.Isolation = a.leastAgain(j)
	for name, ref := range j.node.Inputs {
		in, err := a.input(ref)
		if err != nil {
			return port.Job{}, err
		}
		out.Inputs[name] = in
	}
	if j.node.Ask != nil {
		in, err := a.toldTrials(ctx, j)
		if err != nil {
			return port.Job{}, err
		}
		out.Inputs[schemas.TrialsFile] = in
	}
	spec, ok := j.node.Decl.Spec.(schemas.Runnable)
	if !ok {
		return port.Job{}, fault.New(fault.Internal, "%s declares no run", j.Ref)
	}
	command, _ := spec.Command()
	bounds := spec.Bounds()
	out.Outputs, out.Model = spec.Writes()
	if logs, ok := spec.(schemas.Logging); ok {
		out.MetricsFrom, out.ModelFrom = logs.LogsTo()
	}
	out.External = spec.Delegates()
	out.Pass, out.Timeout, out.Network = command.Env.Pass, bounds.Timeout.Or(time.Hour), bounds.Network
	return out, nil
}

// input is what ref, as an input names it, was made as.
func (a *execution) input(ref schemas.Ref) (port.Artifact, error) {
	return plan.InputOf(ref, a.of)
}

// ErrHandedBack is the cause to cancel acting with where runs are to go on by
// themselves: the next pass finds them under their keys.
var ErrHandedBack = errors.New("handed back: the run goes on, and the next pass finds it")

// follow starts a run and stays with it until it is done, passing on its log. A
// caller who gives up stops it, or hands it back; where w has it stopped, it is.
func (a *execution) follow(ctx context.Context, work port.Job, w *watched) (*port.Result, error) {
	r, err := a.Runner.Start(ctx, work)
	if err != nil {
		return nil, err
	}
	failpoint.At(failpoint.RunBegun)
	log := &printing{a: a, work: work, watched: w}
	for told := ""; r.State != port.Done; {
		if news := r.News(); news != "" && news != told {
			told = news
			a.sendEvent(work.Ref, Output, news)
		}
		r, err = a.Runner.Wait(ctx, work.Key, r.State, log.offset)
		if ctx.Err() != nil {
			if errors.Is(context.Cause(ctx), ErrHandedBack) {
				return nil, fault.New(fault.Cancelled, "%s: %w", work.Ref, ErrHandedBack)
			}
			if err := a.Runner.Stop(context.WithoutCancel(ctx), work.Key); err != nil {
				return nil, err
			}
			return &port.Result{Cause: port.Stopped, Message: "stopped: " + context.Cause(ctx).Error()}, nil
		}
		if err != nil {
			return nil, err
		}
		log.next(ctx)
		if w.stops() {
			if err := a.Runner.Stop(context.WithoutCancel(ctx), work.Key); err != nil {
				return nil, err
			}
		}
	}
	for log.show(ctx) {
	}
	if len(log.rest) > 0 {
		a.sendEvent(work.Ref, Output, string(log.rest))
	}
	failpoint.At(failpoint.RunEnded)
	return r.Result, nil
}

// mostLine is how much of a line without an end is held.
const mostLine = 1 << 20

// catchUp is how long what a run printed before it was watched is read at once.
const catchUp = 10 * time.Second

// printing is what a run prints, as far as it was passed on.
type printing struct {
	a       *execution
	caught  bool // what was there when it began to be watched was read
	work    port.Job
	watched *watched
	offset  int64
	rest    []byte // of a line that has not ended
}

// next passes on the next piece of it, and the first time all that there is: a trial is judged by that. One that never ceases to print is
// judged all the same.
func (p *printing) next(ctx context.Context) {
	more := p.show(ctx)
	for began := p.a.Now(); more && !p.caught && p.watched != nil && ctx.Err() == nil && p.a.Now().Sub(began) < catchUp; {
		more = p.show(ctx)
	}
	p.caught = true
}

// show passes on the next piece of it, and tells whether there may be more.
func (p *printing) show(ctx context.Context) (more bool) {
	piece, err := p.a.Runner.Logs(context.WithoutCancel(ctx), p.work.Key, p.offset)
	if err != nil || len(piece) == 0 {
		return false // the log is shown where it can be; the result tells its tail
	}
	p.offset += int64(len(piece))
	p.rest = append(p.rest, piece...)
	for {
		line, after, ok := bytes.Cut(p.rest, []byte("\n"))
		if !ok && len(p.rest) < mostLine {
			return true
		}
		if !ok { // it is shown in pieces, and not held until it ends
			line, after = p.rest, nil
		}
		p.a.sendEvent(p.work.Ref, Output, string(line))
		p.watched.line(string(line))
		p.rest = after
	}
}
