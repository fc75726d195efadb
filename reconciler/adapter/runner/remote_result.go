// What comes back from a worker: nothing of it is believed but what its content says. A
// result must name its job and what only this launch knows, and every object is hashed again
// when it is read.

package runner

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/machine/attempt"
	"github.com/vishwaops/vishwa/reconciler/machine/dispatch"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/routine"
)

// conclude is the end of an attempt whose task has ended, or is gone.
func (r *remote) conclude(ctx context.Context, a attempt.Attempt, l launch, st port.TaskStatus, gone bool) (port.Run, error) {
	var res port.Result
	var err error = fault.New(fault.Missing, "it did not end well")
	if l.Job.External == nil || !gone && st.Cause == "" { // external work says by its end alone whether it made something
		res, err = r.result(ctx, a, l)
	}
	switch {
	case err == nil && knowsMore(l, st, res):
		log, tail := res.Log, res.Tail
		res = r.untold(l, st, gone)
		res.Log, res.Tail = log, tail
	case err == nil:
	case fault.Of(err) == fault.Missing:
		res = r.untold(l, st, gone)
	case ctx.Err() != nil: // whoever asks has no more time, and what was made is still there
		return port.Run{}, fault.New(fault.Cancelled, "read the result of %s: %w", l.Job.Ref, err)
	case fault.Of(err) == fault.Transient, fault.Of(err) == fault.Cancelled:
		return port.Run{}, fmt.Errorf("read the result of %s: %w", l.Job.Ref, err)
	default:
		text := err.Error()
		if hint := fault.HintOf(err); hint != "" {
			text += ": " + hint
		}
		res = port.Result{Cause: port.Lost, ExitCode: -1, Message: "What it made is not taken: " + text, Started: l.Begun, Finished: r.Env.Now()}
	}
	if res.Cause == port.Preempted && attempt.Number(a) < mostPreempted {
		return r.anew(ctx, a, l, res)
	}
	if err := r.keepLog(ctx, a, l, &res); err != nil {
		return port.Run{}, err
	}
	if err := a.Conclude(res); err != nil {
		return port.Run{}, err
	}
	r.forgetAttempt(a)
	if err := r.clear(ctx, a, l); err != nil {
		r.Env.Log.Warn("what a run left is still there; the next one of its key clears it", "run", l.Name, "error", err)
	}
	if res.Cause == "" {
		r.pack(ctx, l, res.Host)
	}
	return ended(a)
}

// knowsMore tells whether a tool knows better how a run ended than the result of its worker, which
// may only know that it was told to end: because its machine was taken back or, of several nodes,
// because another one failed.
func knowsMore(l launch, st port.TaskStatus, res port.Result) bool {
	if l.Job.RunsOn.Nodes > 1 && st.Cause != "" {
		return res.Cause == "" || res.Cause == port.Lost
	}
	return res.Cause == port.Lost && st.Cause == port.Preempted
}

// anew begins an attempt in place of one whose machine was taken back: no fault of the run's,
// and none of its retries.
func (r *remote) anew(ctx context.Context, a attempt.Attempt, l launch, res port.Result) (port.Run, error) {
	r.Env.Log.Info("a run is begun anew: its machine was taken back", "run", l.Name, "reason", res.Message)
	if err := r.clear(ctx, a, l); err != nil {
		return port.Run{}, err
	}
	dir, err := attempt.Dir(r.Dir, l.Job.Key)
	if err != nil {
		return port.Run{}, err
	}
	return r.begin(ctx, dir, l.Job, l.Pack)
}

// untold is the result of a worker that left none.
func (r *remote) untold(l launch, st port.TaskStatus, gone bool) port.Result {
	res := port.Result{Cause: st.Cause, ExitCode: st.ExitCode, Message: harmless.Text(st.Reason), Started: l.Begun, Finished: r.Env.Now()}
	switch {
	case gone:
		res.Cause, res.ExitCode, res.Message = port.Lost, -1, fmt.Sprintf("Somebody removed %s from %s before it left a result. The next pass begins it anew.", l.Name, r.Name)
	case l.Job.External != nil && st.Cause != "":
	case st.Cause == port.Exit && st.ExitCode == dispatch.NodeFailed && l.Job.RunsOn.Nodes > 1:
		_, said, _ := strings.Cut(res.Message, "vishwa-worker: ")
		res.Message = fmt.Sprintf("One of its %d nodes failed, and so it did. %s", l.Job.RunsOn.Nodes, said)
	case st.Cause == "" || st.Cause == port.Exit:
		// A worker tells how its run ended; one that ended without a word could not do so.
		res.Cause = port.Lost
		who := "Its worker"
		if l.Job.RunsOn.Nodes > 1 {
			who = "The worker of one of its nodes"
		}
		res.Message = fmt.Sprintf("%s ended with code %d and left no result", who, st.ExitCode)
		if st.Reason != "" {
			res.Message += " (" + harmless.Text(st.Reason) + ")"
		}
		res.Message += ". The next pass begins it anew."
	}
	return res
}

// result reads, checks and keeps what a worker left; Missing where it left nothing.
func (r *remote) result(ctx context.Context, a attempt.Attempt, l launch) (port.Result, error) {
	if l.Job.External != nil {
		return r.externalResult(ctx, l)
	}
	raw, err := r.staged(ctx, a, l, dispatch.ResultName, mostResult)
	if err != nil {
		return port.Result{}, err
	}
	m, err := dispatch.ReadManifest(raw, l.Digest, l.Nonce)
	if err != nil {
		return port.Result{}, err
	}
	res := dispatch.Claimed(m.Result, l.Begun, r.Env.Now(), r.Shelf == nil || r.Brought)
	if res.Cause == "" {
		if err := dispatch.CheckResult(res, l.Job); err != nil {
			return port.Result{}, err
		}
	}
	if err := r.ingest(ctx, a, l, m.Made, dispatch.Needed(res)); err != nil {
		return port.Result{}, err
	}
	return res, nil
}

// mostResult bounds a result manifest, in bytes: a model folder of a million files has one.
const mostResult = 256 << 20

// side is how many objects are read side by side.
const side = 4

// ingest keeps what a result names. Bytes that are not what they are named are Corrupt.
func (r *remote) ingest(ctx context.Context, a attempt.Attempt, l launch, made, needed map[digest.Digest]int64) error {
	var total int64
	for d, size := range needed {
		n, ok := made[d]
		if !ok || size >= 0 && n != size || n < 0 {
			return fault.WithHint(fault.New(fault.Corrupt, "%s is named in its result, and was not written", d.Short()), "see in the run's log whether its uploads failed; vishwa retry has it run again")
		}
		total += min(n, math.MaxInt64-total)
	}
	if most := r.Wall.Filled(0).Limits.Disk; total > most {
		return fault.WithHint(fault.New(fault.Invalid, "it made %d MiB, more than the limit of %d MiB", total>>20, most>>20), "have it write less, or raise the limit of disk")
	}
	shelf, prefix, err := r.shelf(a, l)
	if err != nil {
		return err
	}
	g, ctx := routine.WithContext(ctx)
	g.SetLimit(side)
	for d := range needed {
		g.Start(func() error {
			if has, err := r.Store.Has(ctx, d); err != nil || has {
				return err
			}
			in := dispatch.Objects{Shelf: shelf, Prefix: prefix, Part: r.Part}.Open(ctx, d, made[d])
			defer in.Close()
			got, n, err := r.Store.Put(ctx, in)
			if err != nil {
				return fmt.Errorf("keep %s: %w", d.Short(), err)
			}
			if got != d || n != made[d] {
				return fault.WithHint(fault.New(fault.Corrupt, "%s: what was written of it are other bytes", d.Short()), "vishwa retry has it run again; if it stays, find out who else may write to the store")
			}
			return nil
		})
	}
	return g.Wait()
}

// clear takes away the task and what its worker wrote. It may be done twice.
func (r *remote) clear(ctx context.Context, a attempt.Attempt, l launch) error {
	var id port.TaskID
	var errs []error
	if err := a.ReadSealed(taskFile, &id); err == nil {
		errs = append(errs, r.takeAway(ctx, l, id))
	}
	if r.Shelf == nil {
		for _, name := range []string{"lent", "staging", "bin"} {
			errs = append(errs, sandbox.Remove(a.File(name)))
		}
		return errors.Join(errs...)
	}
	var keys []string
	for o, err := range r.Shelf.List(ctx, l.prefix()) {
		if err != nil {
			return errors.Join(append(errs, err)...)
		}
		keys = append(keys, o.Key)
	}
	if len(keys) > 0 {
		errs = append(errs, r.Shelf.Delete(ctx, keys...))
	}
	return errors.Join(errs...)
}
