// The tests' kit: every port a map, and a project that they act on.

package execute

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/graph"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass/repeats"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// shop is a desk, a ledger and all ports.
type shop struct {
	mu      sync.Mutex
	facts   *ledger.Facts
	entries []ledger.Entry
	jobs    map[digest.Digest]port.Job
	started []string                 // refs, in the order of their starts
	results map[string][]port.Result // ref -> how its next runs end; none left is success
	hang    map[string]bool          // refs whose runs end only when they are stopped
	stopped []string
	deny    map[schemas.Ref]ledger.Finding
	other   *ledger.Entry // what somebody else records first under the same key
	served  map[string]port.Release
	on      func(ref string) // called when a run starts
	serve   error
	pull    bool // what is done is told in a pull request
	number  int  // of the pull request; 0: 1
	pin     error
	sign    error
	passed  time.Duration // of the simulated clock
	undated map[digest.Digest]digest.Digest
	repeats *repeats.Known // of the process; nil: each act is a process of its own
	splits  *splitter      // serves, where something is tried; nil: nothing is
}

func newShop() *shop {
	s := &shop{facts: &ledger.Facts{}, jobs: map[digest.Digest]port.Job{}, results: map[string][]port.Result{},
		hang: map[string]bool{}, deny: map[schemas.Ref]ledger.Finding{}, served: map[string]port.Release{}}
	_, _ = s.Append(context.Background(), ledger.Entry{Action: ledger.Genesis, Actor: "controller:test"})
	return s
}

func (s *shop) Keep(context.Context, digest.Manifest) error { return nil }
func (s *shop) Pin(_ context.Context, n *graph.Node, _ func(string)) (map[string]port.Artifact, error) {
	if s.pin != nil {
		return nil, s.pin
	}
	return map[string]port.Artifact{"data": n.Data}, nil
}
func (s *shop) Judge(_ context.Context, st plan.Step, _ Material) ([]ledger.Finding, error) {
	if f, ok := s.deny[st.Ref]; ok {
		return []ledger.Finding{f}, nil
	}
	return nil, nil
}

func (s *shop) Release(_ context.Context, _, candidate *graph.Node, trained *ledger.Entry) (*ledger.Model, error) {
	if s.sign != nil {
		return nil, s.sign
	}
	return &ledger.Model{Candidate: candidate.Ref, Artifact: trained.Outputs.Named("model"), Signature: "s", Provenance: "p"}, nil
}

func (s *shop) Attest(_ context.Context, m *ledger.Model, p port.Packed, _ *port.Packed) ([][]byte, error) {
	return [][]byte{[]byte(m.Signature), []byte(p.Digest)}, nil
}
func (s *shop) Undated(_ context.Context, a port.Artifact) (digest.Digest, []string, error) {
	d := s.undated[a.Digest]
	if d == "" {
		return "", nil, nil
	}
	return d, []string{"the dates of zip members"}, nil
}

func (s *shop) Stamp(e ledger.Entry) ledger.Entry {
	if s.pull {
		e.PullRequest = &ledger.PullRequest{Pull: max(1, s.number), Head: strings.Repeat("a", 40)}
	}
	return e
}

func (s *shop) Append(_ context.Context, e ledger.Entry) (ledger.Entry, error) {
	e = s.Stamp(e)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ledger.Stale(s.facts, e); err != nil {
		return e, err
	}
	if o := s.other; o != nil && o.Key == e.Key {
		s.other = nil
		s.fold(*o)
	}
	return s.fold(ledger.Recheck(s.facts, e)), nil
}

func (s *shop) clock() time.Time { return time.Unix(1_800_000_000, 0).UTC().Add(s.passed) }

func (s *shop) fold(e ledger.Entry) ledger.Entry {
	e.Seq, e.Prev, e.Time = s.facts.Count, s.facts.Head, s.clock()
	if err := s.facts.Fold(e, digest.Of(fmt.Append(nil, e.Seq))); err != nil {
		panic(err)
	}
	s.entries = append(s.entries, e)
	return e
}

func (s *shop) First(_ context.Context, key digest.Digest) (*ledger.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.facts.ByKey[key], nil
}

func (s *shop) Rollout(_ context.Context, r schemas.Ref) (*ledger.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.facts.Rollouts[r], nil
}

func (s *shop) Start(_ context.Context, j port.Job) (port.Run, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.jobs[j.Key] = j
	s.started = append(s.started, j.Ref.String())
	if s.on != nil {
		s.on(j.Ref.String())
	}
	return port.Run{Key: j.Key, State: port.Running}, nil
}

func (s *shop) Poll(_ context.Context, key digest.Digest) (port.Run, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.jobs[key]
	ref := j.Ref.String()
	if s.hang[ref] {
		return port.Run{Key: key, State: port.Running}, nil
	}
	r := port.Result{}
	if next := s.results[ref]; len(next) > 0 {
		r, s.results[ref] = next[0], next[1:]
	}
	if r.Cause == "" {
		art := func(name string) port.Artifact {
			return port.Artifact{Digest: digest.Of([]byte(string(key) + name)), Size: 1}
		}
		r.Outputs = map[string]port.Artifact{}
		for name := range j.Outputs {
			r.Outputs[name] = art(name)
		}
		if j.Model {
			if m := art("model"); r.Model == nil {
				r.Model = &m
			}
			if r.Metrics == nil {
				r.Metrics = map[string]float64{"auc": 0.5}
			}
		}
	}
	return port.Run{Key: key, State: port.Done, Result: &r}, nil
}

func (s *shop) Wait(ctx context.Context, key digest.Digest, _ port.RunState, _ int64) (port.Run, error) {
	select {
	case <-ctx.Done():
		return port.Run{}, fault.New(fault.Cancelled, "wait: %w", ctx.Err())
	case <-time.After(time.Millisecond):
		return s.Poll(ctx, key)
	}
}

func (s *shop) Stop(_ context.Context, key digest.Digest) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = append(s.stopped, s.jobs[key].Ref.String())
	return nil
}

func (s *shop) Logs(context.Context, digest.Digest, int64) ([]byte, error) { return nil, nil }

func (s *shop) Observe(_ context.Context, name string) (port.Live, error) {
	return port.Live{Key: s.served[name].Key}, nil
}

// server is the shop's other Apply.
type server struct{ *shop }

func (s server) Apply(_ context.Context, r port.Release) (port.Live, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.serve != nil {
		return port.Live{}, s.serve
	}
	s.served[r.Name] = r
	return port.Live{Key: r.Key, Health: port.Ready, URL: "http://127.0.0.1:1", Isolation: &port.Isolation{Level: "landlock", Network: "none"}}, nil
}

func (s *shop) server() port.Server {
	if s.splits != nil {
		return s.splits
	}
	return server{s}
}

// stacks is a provisioner for which every change comes true.
type stacks struct{}

func (stacks) Diff(context.Context, port.Infrastructure) (port.Change, error) {
	return port.Change{Digest: "c", Actions: []port.ResourceAction{{Address: "a.b", Action: "create"}}, Tool: "test 1"}, nil
}

func (stacks) Apply(_ context.Context, _ port.Infrastructure, c port.Change) (port.Outcome, error) {
	return port.Outcome{Done: c.Actions, Outputs: map[string]port.Output{"url": {Value: []byte(`"u"`)}}}, nil
}

// store has whatever it is asked for.
type store struct{}

func (store) Has(context.Context, digest.Digest) (bool, error) { return true, nil }
func (store) Get(context.Context, digest.Digest) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(nil)), nil
}
func (store) Put(context.Context, io.Reader) (digest.Digest, int64, error) { return "", 0, nil }

func declare(kind, name string, spec any) schemas.Declaration {
	return schemas.Declaration{APIVersion: schemas.APIVersion, Kind: kind, Metadata: schemas.Metadata{Name: name}, Spec: spec}
}

func ref(text string) schemas.Ref {
	r, err := schemas.ParseRef(text)
	if err != nil {
		panic(err)
	}
	return r
}

// project is two pipelines that share a dataset; a's transform is tried again once.
func project(t testing.TB, change ...func(*schemas.Deployment)) graph.Graph {
	work := func(p string) schemas.Work { return schemas.Work{Run: []string{"python", p}} }
	in := func(r string) map[string]schemas.Ref { return map[string]schemas.Ref{"x": ref(r)} }
	decls := []schemas.Declaration{
		declare("Dataset", "d", &schemas.Dataset{Source: schemas.DataSource{Path: "d.csv"}}),
		declare("Transform", "a", &schemas.Transform{Work: work("a.py"), Limits: schemas.Limits{Retries: 1}, Inputs: in("dataset/d"), Outputs: map[string]string{"o": "o"}}),
		declare("Transform", "b", &schemas.Transform{Work: work("b.py"), Inputs: in("dataset/d"), Outputs: map[string]string{"o": "o"}}),
		declare("Training", "a", &schemas.Training{Work: work("ta.py"), Inputs: in("transform/a:o"), Candidates: map[string]schemas.Candidate{
			"one": {Params: map[string]any{"C": 1.0}}, "two": {Params: map[string]any{"C": 2.0}}}}),
		declare("Training", "b", &schemas.Training{Work: work("tb.py"), Inputs: in("transform/b:o"), Candidates: map[string]schemas.Candidate{"same": {}, "twin": {}}}),
		declare("Model", "a", &schemas.Model{From: ref("training/a"), Select: schemas.Selection{Metric: "auc"}}),
		declare("Infrastructure", "i", &schemas.Infrastructure{Module: "infra"}),
		declare("Deployment", "a", &schemas.Deployment{Model: ref("model/a"), Environment: "staging", Needs: []schemas.Ref{ref("infrastructure/i")},
			Target: schemas.Target{Local: &schemas.LocalTarget{Work: work("s.py")}}}),
	}
	for _, f := range change {
		f(decls[len(decls)-1].Spec.(*schemas.Deployment))
	}
	g, problems := graph.Build(decls, graph.Pins{Data: map[schemas.Ref]port.Artifact{ref("dataset/d"): {Digest: digest.Of([]byte("d")), Size: 1}}})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return g
}

func (s *shop) see(g graph.Graph) plan.Observed {
	seen := plan.Observed{Facts: s.facts.Clone(), Live: map[schemas.Ref]port.Live{}, Stacks: map[schemas.Ref]port.Change{}}
	for name, r := range s.served {
		seen.Live[ref("deployment/"+name)] = port.Live{Key: r.Key, Health: port.Ready}
	}
	change, _ := stacks{}.Diff(context.Background(), port.Infrastructure{})
	if e := seen.Facts.Latest[ref("infrastructure/i")]; e != nil {
		change = port.Change{Empty: true}
	}
	seen.Stacks[ref("infrastructure/i")] = change
	return seen
}

// act plans and acts, with findings judged beforehand.
func (s *shop) act(ctx context.Context, g graph.Graph, seen plan.Observed, found ...ledger.Finding) map[string]Outcome {
	seen.Pull = s.pull
	p := plan.Gate(plan.Compute(g, seen), found)
	out := map[string]Outcome{}
	for _, o := range Run(ctx, p, Config{
		Graph: g, Facts: seen.Facts, Live: seen.Live, MissingArtifacts: seen.MissingArtifacts, Unfit: seen.Unfit, Stack: func(context.Context, schemas.Ref) (port.Infrastructure, error) { return port.Infrastructure{}, nil },
		Store: store{}, Runner: s, Provisioner: stacks{}, Server: s.server(), Services: s, Repeats: s.repeats, Now: s.clock, Parallel: 4,
		Common: EntryContext{Actor: "controller:test", Policy: digest.Of([]byte("policy"))}, Changes: seen.Stacks, Pull: s.pull,
	}) {
		out[o.Ref.String()] = o
	}
	return out
}

func (s *shop) run(t testing.TB, found ...ledger.Finding) map[string]Outcome {
	g := project(t)
	return s.act(t.Context(), g, s.see(g), found...)
}

// actions counts the entries of each action about a ref.
func (s *shop) actions(r string) map[ledger.Action]int {
	out := map[ledger.Action]int{}
	for _, e := range s.entries {
		if e.Ref.String() == r {
			out[e.Action]++
		}
	}
	return out
}

func wantEnds(t *testing.T, got map[string]Outcome, want map[string]EventKind) {
	t.Helper()
	ends := map[string]EventKind{}
	for r, o := range got {
		ends[r] = o.End
	}
	if !maps.Equal(ends, want) {
		t.Errorf("ended as %v\nwant %v", ends, want)
	}
}

func seqOf(s *shop, r string) int {
	return slices.IndexFunc(s.entries, func(e ledger.Entry) bool { return e.Ref.String() == r })
}
