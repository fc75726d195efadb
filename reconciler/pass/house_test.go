// The tests' house: a whole project, with every port a map.

package pass

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/attest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass/execute"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

const (
	one = "1111111111111111111111111111111111111111"
	two = "2222222222222222222222222222222222222222"
)

const declared = `apiVersion: vishwa.dev/v1alpha1
kind: Project
metadata: {name: p}
spec: {environments: {staging: {}, production: {}}}
---
apiVersion: vishwa.dev/v1alpha1
kind: Dataset
metadata: {name: d}
spec: {source: {path: d.csv}, columns: {x: {type: number}}}
---
apiVersion: vishwa.dev/v1alpha1
kind: Transform
metadata: {name: t}
spec: {run: [python, t.py], code: [t.py], inputs: {d: dataset/d}, outputs: {o: o.csv}}
---
apiVersion: vishwa.dev/v1alpha1
kind: Training
metadata: {name: e}
spec:
  run: [python, e.py]
  code: [e.py]
  inputs: {o: "transform/t:o"}
  candidates: {low: {params: {auc: 0.7}}, high: {params: {auc: 0.9}}}
---
apiVersion: vishwa.dev/v1alpha1
kind: Model
metadata: {name: m}
spec: {from: training/e, select: {metric: auc}, gates: [{metric: auc, min: 0.8}]}
---
apiVersion: vishwa.dev/v1alpha1
kind: Deployment
metadata: {name: s}
spec:
  model: model/m
  environment: staging
  target: {local: {run: [python, s.py], code: [s.py]}}
`

func tree(change ...func(fstest.MapFS)) fstest.MapFS {
	t := fstest.MapFS{"vishwa.yaml": {Data: []byte(declared)}, "d.csv": {Data: []byte("x\n1\n2\n")}}
	for _, p := range []string{"t.py", "e.py", "s.py"} {
		t[p] = &fstest.MapFile{Data: []byte("# " + p + "\n")}
	}
	for _, f := range change {
		f(t)
	}
	return t
}

func with(path, text string) func(fstest.MapFS) {
	return func(t fstest.MapFS) { t[path] = &fstest.MapFile{Data: []byte(text)} }
}

func replaced(old, new string) func(fstest.MapFS) {
	return func(t fstest.MapFS) {
		t["vishwa.yaml"] = &fstest.MapFile{Data: bytes.Replace(t["vishwa.yaml"].Data, []byte(old), []byte(new), 1)}
	}
}

// town is all that the house's ports stand for.
type town struct {
	mu     sync.Mutex
	head   string
	trees  map[string]fs.FS
	facts  ledger.Facts
	bytes  map[digest.Digest][]byte
	runs   map[digest.Digest]port.Result
	ran    []string
	served map[string]port.Release
	least  map[string]string                          // that runs which are made again are to stand at
	fails  bool                                       // what takes over from another does not prove itself
	score  func(port.Job) (map[string]float64, error) // of a model on rows; an error is what its run ends with
	noise  func() string                              // what runs write beside what follows from their inputs; nil: nothing
	list   []ledger.Entry
	level  string // of isolation that runs and what is served stand at; "": nobody says
	weak   string // the ref whose runs stand at landlock alone
}

// isolation is that of a run, or of what is served, in the town.
func (w *town) isolation() *port.Isolation {
	if w.level == "" {
		return nil
	}
	return &port.Isolation{Level: w.level, Network: "none"}
}

func (w *town) Head(context.Context) (port.Revision, error) { return port.Revision{SHA: w.head}, nil }
func (w *town) Open(_ context.Context, sha string) (fs.FS, error) {
	if t, ok := w.trees[sha]; ok {
		return t, nil
	}
	return nil, fault.New(fault.Missing, "no revision %s", sha)
}

func (w *town) Facts(context.Context) (*ledger.Facts, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.facts.Count == 0 {
		if err := w.facts.Fold(ledger.Entry{Action: ledger.Genesis}, digest.Of(nil)); err != nil {
			return nil, err
		}
	}
	return w.facts.Clone(), nil
}

func (w *town) Append(_ context.Context, e ledger.Entry) (ledger.Entry, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := ledger.Stale(&w.facts, e); err != nil {
		return e, err
	}
	e = ledger.Recheck(&w.facts, e)
	e.Seq, e.Prev = w.facts.Count, w.facts.Head
	w.list = append(w.list, e)
	return e, w.facts.Fold(e, digest.Of(fmt.Append(nil, e.Seq)))
}

type shelf struct{ *town }

func (s shelf) Has(_ context.Context, d digest.Digest) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.bytes[d]
	return ok, nil
}

func (s shelf) Get(_ context.Context, d digest.Digest) (io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.bytes[d]
	if !ok {
		return nil, fault.New(fault.Missing, "%s is not in the store", d)
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

func (s shelf) Put(_ context.Context, r io.Reader) (digest.Digest, int64, error) {
	b, err := io.ReadAll(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bytes[digest.Of(b)] = b
	return digest.Of(b), int64(len(b)), err
}

// engine runs jobs: what comes out follows from the params and the inputs.
type engine struct{ *town }

func (r engine) Start(ctx context.Context, j port.Job) (port.Run, error) {
	for name, in := range j.Inputs {
		if has, _ := (shelf(r)).Has(ctx, in.Digest); !has {
			return port.Run{}, fault.New(fault.Missing, "%s: input %s is not in the store", j.Ref, name)
		}
	}
	out := port.Result{Outputs: map[string]port.Artifact{}, Started: time.Unix(1, 0).UTC(), Finished: time.Unix(2, 0).UTC(), Host: "test", Isolation: r.isolation()}
	if r.weak == j.Ref.String() {
		out.Isolation = &port.Isolation{Level: "landlock", Network: "none"}
	}
	text := fmt.Sprintf(`{"inputs": %q, "params": %q}`, fmt.Sprint(j.Inputs), fmt.Sprint(j.Params))
	if r.noise != nil {
		text += r.noise()
	}
	d, n, err := shelf(r).Put(ctx, bytes.NewReader([]byte(text)))
	if err != nil {
		return port.Run{}, err
	}
	for name := range j.Outputs {
		out.Outputs[name] = port.Artifact{Name: name, Digest: d, Size: n}
	}
	if j.Model {
		m := digest.Manifest{{Path: "model.json", Digest: d, Size: n}}
		out.Model, out.Metrics = &port.Artifact{Digest: m.Digest(), Size: n, Files: m}, map[string]float64{"auc": j.Params["auc"].(float64)}
	}
	if j.Scores != nil {
		if out.Metrics, err = r.score(j); err != nil {
			out.Cause, out.Message = port.Exit, err.Error()
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ran = append(r.ran, j.Ref.String())
	if j.Isolation != "" {
		r.least[j.Ref.String()] = j.Isolation
	}
	r.runs[j.Key] = out
	return port.Run{Key: j.Key, State: port.Done, Result: &out}, nil
}

func (r engine) Poll(_ context.Context, key digest.Digest) (port.Run, error) {
	return port.Run{Key: key, State: port.Done}, nil
}
func (r engine) Wait(ctx context.Context, key digest.Digest, _ port.RunState, _ int64) (port.Run, error) {
	return r.Poll(ctx, key)
}
func (engine) Stop(context.Context, digest.Digest) error                  { return nil }
func (engine) Logs(context.Context, digest.Digest, int64) ([]byte, error) { return nil, nil }

type host struct{ *town }

func (h host) Observe(_ context.Context, name string) (port.Live, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, ok := h.served[name]
	if !ok {
		return port.Live{}, nil
	}
	return port.Live{Key: r.Key, Model: r.Model.Digest, Health: port.Ready, Isolation: h.isolation()}, nil
}

func (h host) Apply(_ context.Context, r port.Release) (port.Live, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, other := range h.served {
		if !r.Serves() || name == r.Name || r.Local.Port == 0 || other.Local.Port != r.Local.Port {
			continue
		}
		if name != r.Over {
			return port.Live{}, fault.New(fault.Conflict, "port %d is %s's", r.Local.Port, name)
		}
		if h.fails {
			return port.Live{}, fault.New(fault.Invalid, "it ended just after it became ready")
		}
		delete(h.served, name)
	}
	if delete(h.served, r.Name); r.Serves() {
		h.served[r.Name] = r
	}
	return port.Live{Key: r.Key, Health: port.Ready}, nil
}

// notary believes whatever it has signed itself.
type notary struct{}

type sealed struct {
	Role      port.Role
	Statement []byte
}

func (notary) Sign(_ context.Context, r port.Role, s []byte) ([]byte, error) {
	return json.Marshal(sealed{r, s})
}
func (notary) Verify(_ context.Context, b []byte) ([]byte, port.Identity, error) {
	var e sealed
	err := json.Unmarshal(b, &e)
	return e.Statement, port.Identity{Name: "main", Role: e.Role}, err
}

// model signs both statements about m.
func (n notary) model(ctx context.Context, m port.Artifact, p attest.Provenance) (signature, provenance []byte, err error) {
	for _, of := range []struct {
		into *[]byte
		say  func() ([]byte, error)
	}{
		{&signature, func() ([]byte, error) { return attest.StateModel(m.Name, m.Files) }},
		{&provenance, func() ([]byte, error) { return attest.StateProvenance(p, m) }},
	} {
		said, err := of.say()
		if err != nil {
			return nil, nil, err
		}
		if *of.into, err = n.Sign(ctx, port.Build, said); err != nil {
			return nil, nil, err
		}
	}
	return signature, provenance, nil
}

func newHouse(work fstest.MapFS) (*Reconciler, *town) {
	w := &town{head: one, trees: map[string]fs.FS{one: work}, bytes: map[digest.Digest][]byte{}, runs: map[digest.Digest]port.Result{}, served: map[string]port.Release{}, least: map[string]string{}}
	return &Reconciler{
		Observers: Observers{Repo: w, Ledger: w, Server: host{w}, Store: shelf{w}}, Worktree: work, Runner: engine{w},
		Signer: ModelSigner{Store: shelf{w}, Sign: notary{}.model, Verifier: notary{}},
		Hands:  func(context.Context, string, string) ([]port.Hand, error) { return nil, nil },
		Lock:   func(ctx context.Context, _ func(string)) (context.Context, func(), error) { return ctx, func() {}, nil },
		Actor:  Actor{"main"}, Now: time.Now,
	}, w
}

// commit makes work the tracked revision and the work tree.
func (h *Reconciler) commit(w *town, sha string, work fstest.MapFS) {
	w.head, w.trees[sha], h.Worktree = sha, work, work
}

func apply(t *testing.T, h *Reconciler) map[string]execute.Outcome {
	t.Helper()
	r, err := h.Apply(t.Context(), ApplyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]execute.Outcome{}
	for _, o := range r.Outcomes {
		if out[o.Ref.String()] = o; o.Error != nil {
			t.Fatalf("%s: %v", o.Ref, o.Error)
		}
	}
	return out
}

func ref(text string) schemas.Ref {
	r, err := schemas.ParseRef(text)
	if err != nil {
		panic(err)
	}
	return r
}

func ends(out map[string]execute.Outcome) map[string]execute.EventKind {
	m := map[string]execute.EventKind{}
	for r, o := range out {
		m[r] = o.End
	}
	return m
}

func wantEnds(t *testing.T, got map[string]execute.Outcome, want map[string]execute.EventKind) {
	t.Helper()
	if !maps.Equal(ends(got), want) {
		t.Errorf("ended as %v\nwant %v", ends(got), want)
	}
}
