// The services do the work around a step: fetching, judging, signing and
// writing down.

package pass

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sync/singleflight"

	"github.com/vishwaops/vishwa/policy"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/attest"
	"github.com/vishwaops/vishwa/reconciler/engine/graph"
	"github.com/vishwaops/vishwa/reconciler/engine/guard"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/engine/trust"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/model"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/pass/execute"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

type stepServices struct {
	*Reconciler
	world     *Snapshot
	orders    ApplyOptions
	all       bool             // kept steps are judged too
	judgement []ledger.Finding // by the rules, of the plan
	approvers map[schemas.Ref][]trust.Approver
	verdicts  map[schemas.Ref][]guard.Verdict // of what guards each deployment that changes
	key       func(schemas.Ref) digest.Digest // of the plan's steps
	monthly   *plan.Monthly                   // of the plan's infrastructure
	cost      *plan.Cost                      // of the plan, as it was made
	rollback  *Rollback                       // what is to serve again; nil: what is declared
	over      map[schemas.Ref]schemas.Ref     // whose address a deployment takes, which is no longer declared

	past     sync.Mutex // held by whoever asks the world of revisions while steps are done
	examined sync.Map   // schemas.Ref -> policy.Data

	scanned  sync.Map           // digest of a model -> []policy.File: what its files are
	scanning singleflight.Group // those that are being read, by digest
}

// Keep puts files of the tree into the store. A file that is not what the graph
// saw is a Conflict: somebody changed it meanwhile.
func (d *stepServices) Keep(ctx context.Context, m digest.Manifest) error {
	return artifact.Spread(ctx, m, func(ctx context.Context, i int) error {
		if err := d.keep(ctx, m[i]); err != nil {
			return fmt.Errorf("keep %s: %w", m[i].Path, err)
		}
		return nil
	})
}

func (d *stepServices) keep(ctx context.Context, f digest.File) error {
	if has, err := d.Store.Has(ctx, f.Digest); err != nil || has {
		return err
	}
	in, err := d.world.Tree.Open(f.Path)
	if err != nil {
		return err
	}
	defer in.Close()
	got, _, err := d.Store.Put(ctx, in)
	if err == nil && got != f.Digest {
		return fault.WithHint(fault.New(fault.Conflict, "it changed while it was read"), "run the command again")
	}
	return err
}

// Judge asks the policies about one step that is about to act.
func (d *stepServices) Judge(ctx context.Context, s plan.Step, m execute.Material) ([]ledger.Finding, error) {
	s.Pending = false
	phase := policy.Acting
	if m.Unscored {
		phase = policy.Planning
	}
	return d.judge(ctx, plan.Plan{Steps: []plan.Step{s}}, phase, &m)
}

// Release signs the model that a training made and keeps both bundles.
func (d *stepServices) Release(ctx context.Context, declared, candidate *graph.Node, trained *ledger.Entry) (*ledger.Model, error) {
	art := trained.Outputs.Named("model")
	art.Name = declared.Ref.Name
	oms, slsa, err := d.Signer.Sign(ctx, art, d.provenance(candidate, trained))
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", declared.Ref, err)
	}
	found, err := d.scan(ctx, art)
	if err != nil {
		return nil, fmt.Errorf("read model %s: %w", art.Digest.Short(), err)
	}
	out := &ledger.Model{Candidate: candidate.Ref, Artifact: art, Scan: &ledger.Scan{Version: model.Version}}
	for _, f := range found {
		out.Scan.Files = append(out.Scan.Files, ledger.Scanned{Path: f.Path, Format: f.Format, Carries: f.Carries})
	}
	for _, b := range []struct {
		bytes []byte
		to    *digest.Digest
	}{{oms, &out.Signature}, {slsa, &out.Provenance}} {
		if *b.to, err = d.putBytes(ctx, b.bytes); err != nil {
			return nil, fmt.Errorf("keep the bundle of %s: %w", declared.Ref, err)
		}
	}
	if _, err := d.Signer.Verify(ctx, out); err != nil {
		return nil, fmt.Errorf("verify %s after signing: %w", declared.Ref, err)
	}
	return out, nil
}

// Stamp says in e for whom, and at what trigger, it was done.
func (d *stepServices) Stamp(e ledger.Entry) ledger.Entry { return d.stamp(e) }

// Append records an entry.
func (d *stepServices) Append(ctx context.Context, e ledger.Entry) (ledger.Entry, error) {
	if d.rollback != nil && e.Action == ledger.Deploy {
		if err := d.restored(ctx, &e); err != nil {
			return e, err
		}
	}
	return d.Ledger.Append(ctx, d.stamp(e))
}

// stamp says in e on whose behalf, at what trigger and on which machine it was done, and not where on that.
func (h *Reconciler) stamp(e ledger.Entry) ledger.Entry {
	e.PullRequest, e.Trigger, e.Machine = h.PullRequest, h.Trigger, h.Machine
	if h.Named == nil {
		return e
	}
	return e.Named(h.Named)
}

// First is the entry under key that counts on this machine.
func (d *stepServices) First(ctx context.Context, key digest.Digest) (*ledger.Entry, error) {
	facts, err := d.Ledger.Facts(ctx)
	if err != nil {
		return nil, err
	}
	if e, err := d.counts(ctx, facts, key); e != nil || err != nil {
		return e, err
	}
	return nil, fault.New(fault.Corrupt, "the ledger calls %s a duplicate and has no first", key.Short())
}

// scan tells what each of a model's files is, by content.
// Each model is read once, and one model does not wait for another. Whoever waits for a
// reading that is somebody else's, and that ended with them, reads it itself.
func (d *stepServices) scan(ctx context.Context, art port.Artifact) ([]policy.File, error) {
	for {
		if files, ok := d.scanned.Load(art.Digest); ok {
			return files.([]policy.File), nil
		}
		own := false
		wait := d.scanning.DoChan(string(art.Digest), func() (any, error) {
			own = true
			var files []policy.File
			err := fault.Guard(func() (err error) { files, err = d.readModel(ctx, art); return err })
			if err == nil {
				d.scanned.Store(art.Digest, files)
			}
			return files, err
		})
		select {
		case r := <-wait:
			if r.Err == nil {
				return r.Val.([]policy.File), nil
			}
			if own || fault.Of(r.Err) != fault.Cancelled {
				return nil, r.Err
			}
		case <-ctx.Done():
			return nil, fault.New(fault.Cancelled, "read a model: %w", context.Cause(ctx))
		}
	}
}

func (d *stepServices) readModel(ctx context.Context, art port.Artifact) ([]policy.File, error) {
	dir, err := os.MkdirTemp("", "vishwa-model-")
	if err != nil {
		return nil, fault.New(fault.Internal, "make a temporary folder: %w", err)
	}
	defer os.RemoveAll(dir)
	at := filepath.Join(dir, "model")
	if err := artifact.Checkout(ctx, d.Store, art, at); err != nil {
		return nil, err
	}
	members := make([]model.Member, len(art.Files))
	for i, f := range art.Files {
		members[i] = model.Member{Path: f.Path, Size: f.Size, Open: func() (model.Content, error) {
			in, err := os.Open(filepath.Join(at, filepath.FromSlash(f.Path)))
			if err != nil {
				return nil, fault.New(fault.Internal, "open a copy of %s: %w", f.Path, errors.Unwrap(err))
			}
			return in, nil
		}}
	}
	reports, err := model.InspectFolder(members)
	if err != nil {
		return nil, err
	}
	var out []policy.File
	for i, f := range art.Files {
		out = append(out, policy.File{Path: f.Path, Format: reports[i].Format, Digest: f.Digest, Size: f.Size, Carries: reports[i].Carries})
	}
	return out, nil
}

// provenance says how the candidate came to be, for the model's attestation.
func (d *stepServices) provenance(candidate *graph.Node, trained *ledger.Entry) attest.Provenance {
	r := trained.Recipe()
	p := attest.Provenance{
		Controller: d.Actor.Name, Version: d.Version, Key: trained.Key, Repository: d.Remote, Revision: trained.Revision,
		Ref: candidate.Ref.Whole().String(), Candidate: candidate.Ref.Output, Params: r.Params,
		Code: r.Code, Inputs: r.Inputs, Lock: r.Env, Metrics: trained.Metrics,
	}
	if run := trained.Run; run != nil {
		p.Host, p.Python, p.Started, p.Finished, p.Log, p.Isolation = run.Host, run.Python, run.Started, run.Finished, run.Log, run.Isolation
		p.Image, p.Runner, p.Nodes = run.Image, run.Runner, run.Nodes
	}
	return p
}

func (d *stepServices) putBytes(ctx context.Context, raw []byte) (digest.Digest, error) {
	name, _, err := d.Store.Put(ctx, bytes.NewReader(raw))
	return name, err
}
