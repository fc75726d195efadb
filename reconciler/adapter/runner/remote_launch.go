// Handing a job to a worker: what it is lent, what begins it, and the task's fixed name.

package runner

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/machine/attempt"
	"github.com/vishwaops/vishwa/reconciler/machine/bucket"
	"github.com/vishwaops/vishwa/reconciler/machine/dispatch"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/reconciler/machine/work"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// launchOf is attempt n of job. All of it follows from the key that seals, the job and n: a
// process that lost what it knew finds the same task again, and can read its result.
func (r *remote) launchOf(job port.Job, name digest.Digest, n int) launch {
	of := fmt.Sprintf("%s %s %d", r.Owner, name, n)
	slug := strings.Trim(strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			return c
		}
		return '-'
	}, strings.ToLower(job.Ref.Name)), "-")
	if len(slug) > 24 {
		slug = strings.Trim(slug[:24], "-")
	}
	return launch{
		Job: job, Digest: name, Begun: r.Env.Now(),
		Name:  strings.Trim("vishwa-"+slug, "-") + "-" + digest.Of([]byte(of)).Hex()[:16],
		Nonce: r.Seal.Token("launch " + of),
		Label: digest.Of([]byte(r.Seal.Token("label " + of))).Hex()[:16],
	}
}

// launched has the task of an attempt launched, unless it is known to be.
func (r *remote) launched(ctx context.Context, a attempt.Attempt) error {
	var l launch
	var id port.TaskID
	if err := a.ReadSealed(attempt.OrderFile, &l); err != nil {
		return err
	}
	if err := a.ReadSealed(taskFile, &id); fault.Of(err) != fault.Missing || err == nil {
		return err
	}
	task, err := r.prepared(ctx, a, l)
	if err != nil {
		return fmt.Errorf("start %s on %s: %w", l.Job.Ref, r.Name, err)
	}
	id, err = r.launcherOf(l).Launch(ctx, task)
	if fault.Of(err) == fault.Invalid && err != nil {
		text := err.Error()
		if hint := fault.HintOf(err); hint != "" {
			text += ": " + hint
		}
		now, cause := r.Env.Now(), port.Unschedulable
		if unfit := (*port.Unfit)(nil); errors.As(err, &unfit) {
			cause = unfit.Cause
		}
		return a.Conclude(port.Result{Cause: cause, ExitCode: -1, Message: r.Name + " refuses it: " + text, Started: now, Finished: now})
	}
	if err != nil {
		return fmt.Errorf("start %s on %s: %w", l.Job.Ref, r.Name, err)
	}
	return a.Write(taskFile, id)
}

// preparedFile has the task that is launched, with its ticket: whoever launches it again
// must not change what a worker that is there already reads and writes.
const preparedFile = "prepared.json"

type prepared struct {
	Task   port.Task `json:"task"`
	Ticket []byte    `json:"ticket"`
}

func (r *remote) prepared(ctx context.Context, a attempt.Attempt, l launch) (port.Task, error) {
	var p prepared
	err := a.ReadSealed(preparedFile, &p)
	if fault.Of(err) == fault.Missing && err != nil {
		if p.Task, err = r.task(ctx, a, l); err != nil {
			return p.Task, err
		}
		p.Ticket = p.Task.Ticket
		err = a.Write(preparedFile, p)
	}
	p.Task.Ticket = p.Ticket
	return p.Task, err
}

// task is what is launched: the job's document is written where the worker reads it first.
func (r *remote) task(ctx context.Context, a attempt.Attempt, l launch) (port.Task, error) {
	timeout := l.Job.Timeout
	if timeout <= 0 {
		timeout = time.Hour
	}
	on := l.Job.RunsOn
	t := port.Task{
		Name: l.Name, Owner: r.Owner, Job: l.Digest, Launch: l.Label, Ref: l.Job.Ref, Pull: r.Pull,
		Image: on.Image, Resources: on.Resources, Nodes: on.Nodes, Priority: on.Priority, Spot: on.Spot,
		Deadline: timeout + preparing + overdue,
	}
	if l.Job.External != nil {
		t.Deadline = timeout + externalGrace
		return r.delegated(ctx, l, t)
	}
	doc := dispatch.Document{Version: dispatch.Version, Program: r.Program, Job: l.Digest, Nonce: l.Nonce, Guard: r.Guard,
		Order: work.Order{ID: digest.Of([]byte(l.Nonce)).Hex()[:32], Job: l.Job, Grace: r.Grace, Log: r.Log, Wall: r.wallThere(), Pack: l.Pack}}
	for host, art := range r.packsFor(ctx, l.Job) {
		if doc.Packs == nil {
			doc.Packs = map[string]digest.Digest{}
		}
		doc.Packs[host] = art.Digest
	}
	ticket := dispatch.Ticket{Version: dispatch.Version}
	var err error
	if r.Shelf == nil {
		err = r.mounted(ctx, a, &t, &doc, &ticket)
	} else {
		err = r.lent(ctx, a, l, &t, &doc, &ticket)
	}
	if err != nil {
		return t, err
	}
	t.Ticket, err = json.Marshal(ticket)
	return t, err
}

// preparing is how long a worker may take until the command begins, beside its time-out: its
// image, what it reads, its environment.
const preparing = 2 * time.Hour

// wallThere is the policy of runs without what it says of this machine.
func (r *remote) wallThere() wall.Policy {
	p := r.Wall
	p.Read, p.Write, p.Devices, p.Hidden = nil, nil, nil, nil
	return p
}

// prefix is where a launch writes on the shelf: nobody else can guess it.
func (l launch) prefix() string {
	folder := "staging/"
	if l.Job.External != nil {
		folder = externalFolder
	}
	return folder + l.Digest.Hex()[:32] + "/" + digest.Of([]byte("prefix " + l.Nonce)).Hex()[:32] + "/"
}

// lent writes the document to the shelf, with requests that are signed ahead.
func (r *remote) lent(ctx context.Context, a attempt.Attempt, l launch, t *port.Task, doc *dispatch.Document, ticket *dispatch.Ticket) error {
	need := r.Env.Now().Add(t.Deadline)
	lent, err := r.lend(ctx, l, need, 1, slices.Collect(maps.Values(doc.Packs))...)
	if err != nil {
		return err
	}
	doc.Write, doc.Until, doc.Read, doc.Next = lent.Write, lent.Until, lent.Read, lent.Next
	if err := a.Write(loanFile, loan{From: r.Env.Now(), Until: lent.Until, Need: need, Renew: 1}); err != nil {
		return err
	}
	raw, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	at := l.prefix() + dispatch.DocumentName
	if _, err := r.Shelf.Put(ctx, at, bytes.NewReader(raw), int64(len(raw))); err != nil {
		return err
	}
	own := port.Loan{Read: []string{at}, Write: l.prefix(), Until: need}
	workers := map[string]digest.Digest{}
	if t.Command, err = r.begins(); err != nil {
		return err
	}
	if t.Command[0] != port.WorkerProgram {
		if workers, err = r.workers(ctx); err != nil {
			return err
		}
		for _, d := range workers {
			own.Read = append(own.Read, r.Object(d))
		}
	}
	g, err := r.Shelf.(port.Lender).Lend(ctx, own)
	if err != nil {
		return err
	}
	ticket.Document = dispatch.Located{URL: g.Read[at], SHA256: digest.Of(raw)}
	for arch, d := range workers {
		if ticket.Worker == nil {
			ticket.Worker = map[string]dispatch.Located{}
		}
		ticket.Worker[arch] = dispatch.Located{URL: g.Read[r.Object(d)], SHA256: d}
	}
	return nil
}

// begins is the command that begins the worker.
func (r *remote) begins() ([]string, error) {
	switch {
	case r.Brought:
		return []string{port.WorkerProgram, "work"}, nil
	case r.Interpreter != "":
		return []string{r.Interpreter, "-I", "-c", dispatch.Bootstrap}, nil
	}
	return nil, fault.New(fault.Internal, "nothing brings the worker to %s", r.Name)
}

// workers keeps the worker's programs in the store, by architecture: those that are here.
func (r *remote) workers(ctx context.Context) (map[string]digest.Digest, error) {
	out := map[string]digest.Digest{}
	var missing error
	for _, arch := range []string{"amd64", "arm64"} {
		file, err := r.Worker(arch)
		if err != nil {
			missing = err
			continue
		}
		art, err := artifact.PutFile(ctx, r.Store, file)
		if err != nil {
			return nil, err
		}
		out[arch] = art.Digest
	}
	if len(out) == 0 {
		return nil, missing
	}
	return out, nil
}

// mounted lays out folders of this machine that are mounted: one with what the job reads, one
// that the worker writes into, one with the worker.
func (r *remote) mounted(ctx context.Context, a attempt.Attempt, t *port.Task, doc *dispatch.Document, ticket *dispatch.Ticket) error {
	from, to := a.File("lent"), path.Join(port.WorkerDir, "lent")
	staging, there := a.File("staging"), path.Join(port.WorkerDir, "staging")
	bin := a.File("bin")
	if err := errors.Join(sandbox.Remove(from), sandbox.Remove(staging), sandbox.Remove(bin)); err != nil {
		return err
	}
	// Above them stands a folder that is this user's alone. A container's user reads and
	// writes them by a mount.
	for dir, mode := range map[string]os.FileMode{from: 0o755, bin: 0o755, staging: 0o777, filepath.Join(staging, "objects"): 0o777, filepath.Join(staging, "log"): 0o777} {
		if err := errors.Join(os.MkdirAll(dir, mode), os.Chmod(dir, mode)); err != nil {
			return artifact.Disk(err, r.Dir)
		}
	}
	doc.Read = map[digest.Digest]string{}
	for _, d := range dispatch.Reads(doc.Order.Job, slices.Collect(maps.Values(doc.Packs))...) {
		if err := artifact.CopyOut(ctx, r.Store, d, filepath.Join(from, d.Hex())); err != nil {
			return err
		}
		doc.Read[d] = "file://" + path.Join(to, d.Hex())
	}
	doc.Write, doc.Until = port.WriteGrant{URL: "file://" + there}, r.Env.Now().Add(t.Deadline)
	raw, err := json.Marshal(doc)
	if err == nil {
		err = os.WriteFile(filepath.Join(from, dispatch.DocumentName), raw, 0o444)
	}
	if err != nil {
		return artifact.Disk(err, r.Dir)
	}
	file, err := r.Worker(runtime.GOARCH)
	if err != nil {
		return err
	}
	if err := artifact.CopyProgram(file, filepath.Join(bin, path.Base(port.WorkerProgram))); err != nil {
		return artifact.Disk(err, r.Dir)
	}
	ticket.Document = dispatch.Located{URL: "file://" + path.Join(to, dispatch.DocumentName), SHA256: digest.Of(raw)}
	t.Command = []string{port.WorkerProgram, "work"}
	t.Mounts = []port.Mount{{From: from, To: to}, {From: bin, To: path.Dir(port.WorkerProgram)}, {From: staging, To: there, Write: true}}
	t.Isolated = len(doc.Order.Job.Network) > 0 && !doc.Order.Job.Network.All() && len(doc.Order.Job.Network.Hosts()) == 0 && doc.Order.Job.Lock == ""
	return nil
}

// shelf is where a launch's worker writes, and its prefix there.
func (r *remote) shelf(a attempt.Attempt, l launch) (port.Bucket, string, error) {
	if r.Shelf != nil {
		return r.Shelf, l.prefix(), nil
	}
	b, err := bucket.Dir(a.File("staging"))
	return b, "", err
}

// staged reads a small thing that a worker wrote, of at most so many bytes.
func (r *remote) staged(ctx context.Context, a attempt.Attempt, l launch, name string, most int64) ([]byte, error) {
	shelf, prefix, err := r.shelf(a, l)
	if err != nil {
		return nil, err
	}
	body, _, err := shelf.Get(ctx, prefix+name, port.All)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	raw, err := io.ReadAll(io.LimitReader(body, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(raw)) > most {
		return nil, fault.New(fault.Invalid, "%s has more than %d bytes", name, most)
	}
	return raw, nil
}
