// Environments that are packed once and unpacked by every later run of the same lock, image
// and kind of machine.
//
// A pack is made by a task of its own, which carries out nothing of the repository: it is
// given a lock, makes the environment, and packs it. No run, reviewed or not, has a hand in
// what other runs are given. docs/decisions/020-packed-environments.md

package runner

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/attempt"
	"github.com/vishwaops/vishwa/reconciler/machine/dispatch"
	"github.com/vishwaops/vishwa/reconciler/machine/holder"
	"github.com/vishwaops/vishwa/reconciler/machine/work"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// packAgain is when what could not be packed is tried again.
const packAgain = 24 * time.Hour

// packable tells whether a run's environment can be had as a pack: in an image, where the
// interpreter and the folder are the same each time.
func (r *remote) packable(job port.Job) bool {
	return r.Packs.Dir != "" && job.Lock != "" && job.RunsOn.Image != ""
}

// hosts are the kinds of machines that workers run on.
var hosts = []string{"linux/amd64", "linux/arm64"}

// packsFor are the packs that a job's worker may choose from: those that the store still has.
func (r *remote) packsFor(ctx context.Context, job port.Job) dispatch.Packed {
	if !r.packable(job) {
		return nil
	}
	name := dispatch.PackOf(job)
	all := r.Packs.Read(name)
	maps.DeleteFunc(all, func(_ string, art port.Artifact) bool { return !r.has(ctx, art) })
	if r.Packs.Make && r.learned(ctx, job, all) {
		if err := r.Packs.Write(name, all); err != nil {
			r.Env.Log.Warn("a packed environment could not be noted", "error", err)
		}
	}
	return all
}

func (r *remote) has(ctx context.Context, art port.Artifact) bool {
	has, err := r.Store.Has(ctx, art.Digest)
	return err == nil && has
}

// learned adds what tasks have packed meanwhile, and tells whether there was any.
func (r *remote) learned(ctx context.Context, job port.Job, all dispatch.Packed) (news bool) {
	for _, host := range hosts {
		if _, known := all[host]; known {
			continue
		}
		run, err := r.Poll(ctx, r.Packs.Job(job, host).Key)
		if err != nil || run.State != port.Done || run.Result.Cause != "" || !r.has(ctx, run.Result.Outputs[work.PackOutput]) {
			continue
		}
		// Where it was packed counts, and not where it was meant to be.
		all[run.Result.Host], news = run.Result.Outputs[work.PackOutput], true
	}
	return news
}

// pack begins to pack the environment of a run that ended well, unless that is known or under
// way. What becomes of it the next run learns; nobody waits for it.
func (r *remote) pack(ctx context.Context, of launch, host string) {
	if of.Pack || !r.Packs.Make || !r.packable(of.Job) || !slices.Contains(hosts, host) {
		return
	}
	if _, known := r.packsFor(ctx, of.Job)[host]; known {
		return
	}
	job := r.Packs.Job(of.Job, host)
	err := func() error {
		dir, err := attempt.Dir(r.Dir, job.Key)
		if err != nil {
			return err
		}
		held, err := holder.Told(r.Env.Log).Lock(ctx, dir+".lock")
		if err != nil {
			return err
		}
		defer held.Close()
		if a, err := attempt.Newest(dir, r.Seal); err == nil {
			res, err := a.Result()
			if fault.Of(err) == fault.Missing && err != nil {
				return r.launched(ctx, a) // under way, or given to nobody yet, where the tool was away or this process ended
			}
			if err != nil || res.Cause != "" && r.Env.Now().Sub(res.Finished) < packAgain {
				return err // it cannot be
			} // else it was packed, and the store has lost it since
		} else if fault.Of(err) != fault.Missing {
			return err
		}
		_, err = r.begin(ctx, dir, job, true)
		return err
	}()
	if err != nil {
		r.Env.Log.Warn("an environment could not be packed; runs install it", "run", of.Name, "error", err)
	}
}
