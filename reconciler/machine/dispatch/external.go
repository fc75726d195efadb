// What external work wrote: it had no worker, so that what lies below its address is all that is
// known of it.

package dispatch

import (
	"context"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/machine/work"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Outside is where external work wrote, and where that is kept.
type Outside struct {
	Shelf  port.Bucket
	Prefix string // ends in a slash
	Store  port.Store
	Most   int64 // bytes
}

// Where external work of a training writes, below its address.
const (
	externalModel   = "model"
	externalMetrics = "metrics.json"
)

// Result keeps what external work of a job wrote, which ended well.
func (o Outside) Result(ctx context.Context, job port.Job) (port.Result, error) {
	res := port.Result{Outputs: map[string]port.Artifact{}, Isolation: &port.Isolation{Level: "none", Network: "not limited"}}
	there, err := o.written(ctx)
	if err != nil {
		return res, err
	}
	missing := func(what, at string) (port.Result, error) {
		res.Cause, res.Outputs, res.Model, res.Metrics = port.MissingOutput, nil, nil, nil
		res.Message = fmt.Sprintf("%s was not written, though it ended well: write it to %s below the address in %s", what, at, port.ExternalOutputs)
		return res, nil
	}
	for _, name := range slices.Sorted(maps.Keys(job.Outputs)) {
		at, err := artifactOf(there, path.Clean(job.Outputs[name]), job.External)
		if err != nil {
			return res, err
		}
		art, err := o.fetched(ctx, there, at)
		if fault.Of(err) == fault.Missing && err != nil {
			return missing("output "+name, job.Outputs[name])
		} else if err != nil {
			return res, err
		}
		res.Outputs[name] = art
	}
	if !job.Model {
		return res, CheckResult(res, job)
	}
	raw, err := o.bytesOf(ctx, there, externalMetrics, 1<<20)
	if fault.Of(err) == fault.Missing && err != nil {
		return missing("its metrics", externalMetrics)
	} else if err != nil {
		return res, err
	}
	if res.Metrics, err = work.ParseMetrics(raw); err != nil {
		res.Cause, res.Outputs, res.Message = port.BadMetrics, nil, err.Error()
		return res, nil
	}
	model, err := o.fetched(ctx, there, externalModel)
	if fault.Of(err) == fault.Missing && err != nil || err == nil && model.Files == nil {
		return missing("its model", externalModel+"/")
	} else if err != nil {
		return res, err
	}
	res.Model = &model
	return res, CheckResult(res, job)
}

// artifactOf is where an output lies that is declared as artifacts/TASK/NAME of a pipeline, and
// any other where it is declared. Kubeflow Pipelines writes an artifact to PIPELINE/RUN/TASK/NAME
// below the root that it is given; newer versions put a folder of no meaning before the last.
func artifactOf(there map[string]int64, declared string, e *schemas.External) (string, error) {
	want := strings.Split(declared, "/")
	if e == nil || e.Kubeflow == nil || !e.Kubeflow.Artifacts || len(want) != 3 || want[0] != port.ExternalArtifacts {
		return declared, nil
	}
	task, name, found := want[1], want[2], map[string]bool{}
	for at := range there {
		part := strings.Split(at, "/") // artifacts, PIPELINE, RUN, TASK, NAME or a folder and NAME, and what NAME holds
		if len(part) < 5 || part[0] != want[0] || part[3] != task {
			continue
		}
		for n := 5; n <= min(6, len(part)); n++ {
			if part[n-1] == name {
				found[strings.Join(part[:n], "/")] = true
				break
			}
		}
	}
	switch len(found) {
	case 0:
		return declared, nil // and that it is not there is said of that
	case 1:
		for at := range found {
			return at, nil
		}
	}
	return "", fault.WithHint(fault.New(fault.Invalid, "task %s wrote artifact %s more than once", task, name), "let a task with that artifact run once in a pipeline, and retry the whole")
}

// written are the sizes of all that lies below a launch's address, by path.
func (o Outside) written(ctx context.Context) (map[string]int64, error) {
	out, total, listed := map[string]int64{}, int64(0), 0
	for obj, err := range o.Shelf.List(ctx, o.Prefix) {
		if err != nil {
			return nil, fmt.Errorf("list what it made: %w", err)
		}
		if listed++; listed > mostWritten {
			return nil, fault.WithHint(fault.New(fault.Invalid, "it made more than %d objects", mostWritten), "have the work write fewer, larger files")
		}
		name := strings.TrimPrefix(obj.Key, o.Prefix)
		if name == "" || strings.HasSuffix(name, "/") { // how some tools write a folder
			continue
		}
		out[name] = obj.Size
		if total += obj.Size; total > o.Most {
			return nil, fault.WithHint(fault.New(fault.Invalid, "it made more than %d MiB", o.Most>>20), "have the work write less, or raise the limit of disk")
		}
	}
	return out, nil
}

// mostWritten bounds the objects that external work leaves.
const mostWritten = 1_000_000

// fetched keeps the file or the folder at a path.
func (o Outside) fetched(ctx context.Context, there map[string]int64, at string) (port.Artifact, error) {
	if size, is := there[at]; is {
		d, err := o.keptObject(ctx, at, size)
		return port.Artifact{Name: path.Base(at), Digest: d, Size: size}, err
	}
	m := digest.Manifest{}
	for _, name := range slices.Sorted(maps.Keys(there)) {
		rel, below := strings.CutPrefix(name, at+"/")
		if !below {
			continue
		}
		size := there[name]
		d, err := o.keptObject(ctx, name, size)
		if err != nil {
			return port.Artifact{}, err
		}
		m = append(m, digest.File{Path: rel, Digest: d, Size: size})
	}
	if len(m) == 0 {
		return port.Artifact{}, fault.WithHint(fault.New(fault.Missing, "nothing is at %s", at), "have the work write its output there")
	}
	slices.SortFunc(m, func(a, b digest.File) int { return strings.Compare(a.Path, b.Path) })
	if err := m.Check(); err != nil {
		return port.Artifact{}, fault.WithHint(fault.New(fault.Invalid, "what it wrote below %s: %w", at, err), "have the work write plain relative names there")
	}
	if err := artifact.PutManifest(ctx, o.Store, m); err != nil {
		return port.Artifact{}, err
	}
	return port.Artifact{Name: path.Base(at), Digest: m.Digest(), Size: m.Size(), Files: m}, nil
}

// keptObject keeps an object that had this size when it was counted; another one is of who goes
// on writing.
func (o Outside) keptObject(ctx context.Context, name string, size int64) (digest.Digest, error) {
	body, _, err := o.Shelf.Get(ctx, o.Prefix+name, port.All)
	if err != nil {
		return "", fmt.Errorf("fetch %s: %w", name, err)
	}
	defer body.Close()
	d, n, err := o.Store.Put(ctx, io.LimitReader(body, size+1))
	if err != nil {
		return "", fmt.Errorf("keep %s: %w", name, err)
	}
	if n != size {
		return "", writtenAgain(name)
	}
	return d, nil
}

func writtenAgain(name string) error {
	return fault.WithHint(fault.New(fault.Invalid, "%s was written again after the work had ended", name), "have the work end only when all is written")
}

// bytesOf is a small file that external work wrote.
func (o Outside) bytesOf(ctx context.Context, there map[string]int64, name string, most int64) ([]byte, error) {
	size, is := there[name]
	if !is {
		return nil, fault.WithHint(fault.New(fault.Missing, "nothing is at %s", name), "have the work write its output there")
	}
	if size > most {
		return nil, fault.WithHint(fault.New(fault.Invalid, "%s has more than %d bytes", name, most), "have the work write a smaller one")
	}
	body, _, err := o.Shelf.Get(ctx, o.Prefix+name, port.All)
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", name, err)
	}
	defer body.Close()
	raw, err := io.ReadAll(io.LimitReader(body, size+1))
	if err == nil && int64(len(raw)) != size {
		return nil, writtenAgain(name)
	}
	return raw, err
}
