// What comes back from a worker is held against what was asked for, before anything of it counts.

package dispatch

import (
	"context"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/attest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/machine/work"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// The most that is kept of what a worker says for people, in bytes.
const (
	mostMessage = 4 << 10
	mostTail    = 16 << 10
)

// Claimed is what a worker says of a run that was begun then, as far as that can be said: words
// are bounded and steer no terminal, times are none of the future, and isolation counts where
// nothing of the job's image came before the worker.
func Claimed(res port.Result, begun, now time.Time, isolated bool) port.Result {
	res.Message, res.Tail = cut(res.Message, mostMessage), Tail(res.Tail)
	res.Host, res.Python, res.Kept = cut(res.Host, 64), cut(res.Python, 64), ""
	res.Started, res.Finished = within(res.Started, begun, now), within(res.Finished, begun, now)
	switch res.Cause {
	case "", port.Exit, port.Signal, port.OutOfMemory, port.TimedOut, port.OverLimit, port.Stopped, port.MissingOutput, port.BadMetrics, port.BadEnv, port.Lost:
	default: // the rest is for the launcher to tell
		res.Cause = port.Lost
	}
	if res.Cause != "" {
		res.Outputs, res.Model, res.Metrics, res.Tracking = nil, nil, nil, nil
	}
	if res.Isolation != nil && !isolated {
		res.Isolation = &port.Isolation{Level: "none", Network: "not limited"}
	}
	return res
}

// Tail is the end of a log as far as it is told.
func Tail(said string) string { return cut(said, mostTail) }

func cut(s string, most int) string { return harmless.Text(s[:min(len(s), most)]) }

func within(t, from, to time.Time) time.Time {
	if t.Before(from) {
		return from
	}
	if t.After(to) {
		return to
	}
	return t
}

// CheckResult holds a result against the job: everything that was asked for, and nothing else.
func CheckResult(res port.Result, job port.Job) error {
	wrong := func(format string, args ...any) error {
		return fault.New(fault.Corrupt, "the result is not one of this job: "+format, args...)
	}
	if !slices.Equal(slices.Sorted(maps.Keys(res.Outputs)), slices.Sorted(maps.Keys(job.Outputs))) {
		return wrong("its outputs are %q", slices.Sorted(maps.Keys(res.Outputs)))
	}
	if (res.Model != nil) != job.Model {
		return wrong("a model is there: %v", res.Model != nil)
	}
	for name, art := range res.Outputs {
		if err := checkArtifact(art); err != nil {
			return wrong("output %s: %w", name, err)
		}
	}
	if err := work.CheckTracking(res.Tracking, job); err != nil {
		return wrong("what it logged: %w", err)
	}
	switch {
	case job.Scores != nil:
		return work.CheckMetrics(res.Metrics)
	case !job.Model:
		return nil
	}
	if err := checkArtifact(*res.Model); err != nil || res.Model.Files == nil {
		return wrong("its model is a file, or cannot be (%v)", err)
	}
	var top []string
	for _, f := range res.Model.Files {
		top = append(top, f.Path)
	}
	if name := attest.Unsigned(top); name != "" {
		return wrong("its model directory holds %s, which no signature of a model covers", name)
	}
	return work.CheckMetrics(res.Metrics)
}

func checkArtifact(art port.Artifact) error {
	if _, err := digest.Parse(string(art.Digest)); err != nil {
		return err
	}
	if art.Size < 0 || len(art.Name) > 255 {
		return fault.New(fault.Corrupt, "its size or name cannot be")
	}
	if art.Files == nil {
		return nil
	}
	if err := art.Files.Check(); err != nil {
		return err
	}
	if art.Files.Digest() != art.Digest || art.Files.Size() != art.Size {
		return fault.New(fault.Corrupt, "its list of files is another one than it is named")
	}
	return nil
}

// Needed is all content that a result names, with its size; -1 is one that is not told.
func Needed(res port.Result) map[digest.Digest]int64 {
	out := map[digest.Digest]int64{}
	add := func(art port.Artifact) {
		if art.Files == nil {
			out[art.Digest] = art.Size
			return
		}
		out[art.Digest] = -1 // of its list
		for _, f := range art.Files {
			out[f.Digest] = f.Size
		}
	}
	for _, art := range res.Outputs {
		add(art)
	}
	if res.Model != nil {
		add(*res.Model)
	}
	if res.Tracking != nil {
		add(*res.Tracking)
	}
	if res.Log != "" {
		out[res.Log] = -1
	}
	return out
}

// Objects are what a worker wrote below a prefix of a shelf.
type Objects struct {
	Shelf  port.Bucket
	Prefix string
	Part   Part
}

// Open reads an object of size bytes, in its parts. What its bytes are is for whoever reads
// them to see.
func (o Objects) Open(ctx context.Context, name digest.Digest, size int64) io.ReadCloser {
	return &parts{Objects: o, ctx: ctx, name: name, size: size}
}

// parts reads an object that was written in parts.
type parts struct {
	Objects
	ctx  context.Context
	name digest.Digest
	size int64
	n    int
	body io.ReadCloser
}

func (p *parts) Read(b []byte) (int, error) {
	for {
		if p.body == nil {
			if p.n >= p.Part.count(p.size) {
				return 0, io.EOF
			}
			body, _, err := p.Shelf.Get(p.ctx, p.Prefix+p.Part.name(p.name, p.size, p.n), port.All)
			if err != nil {
				return 0, err
			}
			p.body, p.n = body, p.n+1
		}
		n, err := p.body.Read(b)
		if err != io.EOF {
			return n, err
		}
		p.body.Close()
		p.body = nil
		if n > 0 {
			return n, nil
		}
	}
}

func (p *parts) Close() error {
	if p.body != nil {
		return p.body.Close()
	}
	return nil
}

// Reads are the names of all that a job reads, and of more.
func Reads(job port.Job, more ...digest.Digest) []digest.Digest {
	seen := map[digest.Digest]bool{}
	add := func(m digest.Manifest) {
		for _, f := range m {
			seen[f.Digest] = true
		}
	}
	add(job.Code)
	for _, d := range more {
		seen[d] = true
	}
	read := slices.Collect(maps.Values(job.Inputs))
	if job.Scores != nil {
		read = append(read, *job.Scores)
	}
	for _, in := range read {
		if in.Files == nil {
			seen[in.Digest] = true
		}
		add(in.Files)
	}
	out := make([]digest.Digest, 0, len(seen))
	for d := range seen {
		out = append(out, d)
	}
	slices.Sort(out)
	return out
}
