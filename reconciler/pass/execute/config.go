// Package execute carries out a plan with a kit of ports. What it did goes to the
// ledger, step by step; where it was stopped half-way, the same plan finds each
// port's work by its key and goes on from there.
package execute

import (
	"context"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/graph"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/engine/rollout"
	"github.com/vishwaops/vishwa/reconciler/pass/repeats"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Config is what acting needs of the world.
type Config struct {
	Graph            graph.Graph
	Facts            *ledger.Facts // as the plan saw them
	Live             map[schemas.Ref]port.Live
	Packages         map[schemas.Ref]port.PackageState
	MissingArtifacts map[digest.Digest]string      // keys that are made again, as nothing of them is to be had, and why
	Unfit            map[digest.Digest]string      // keys that are made again, as what was made will not do, and why
	Champions        map[schemas.Ref]*ledger.Entry // see plan.Observed
	Machine          string                        // this one: see ledger.Facts.On
	Changes          map[schemas.Ref]port.Change
	Stack            func(ctx context.Context, ref schemas.Ref) (port.Infrastructure, error)

	// Has tells whether the store holds all that an entry says was made; nil: it holds everything.
	Has func(context.Context, *ledger.Entry) (bool, error)

	Store       port.Store
	Runner      port.Runner
	Provisioner port.Provisioner
	Server      port.Server
	Packager    port.Packager

	Services
	Repeats  *repeats.Known // of the process, for this repository; nil: of this act
	Now      func() time.Time
	Tell     func(Event) // progress; called from several goroutines
	Parallel int         // steps under way at once; at least 1
	Common   EntryContext
	// Least is the least level of isolation that a deployment is served at, and that a run
	// must have stood at for what is deployed of it; nil asks for none.
	Least func(schemas.Ref) string
	// Replaces is the deployment whose address another takes, and which is no longer declared:
	// it ends when the other answers there; nil, and "", is none.
	Replaces func(schemas.Ref) string
	// State is the folder that ledger.Failure.Kept is relative to; empty: not known.
	State string
	Pull  bool // what is told is read in a pull request: see plan.Seen
}

// Services is the office work around a step: what is fetched, judged, signed and
// written down. The loop does it; act says when.
type Services interface {
	// Keep puts the files of m from the revision's tree into the store.
	Keep(ctx context.Context, m digest.Manifest) error
	// Pin brings a dataset's data into the store, holds it against what is declared
	// of it, and tells what there is: the data, and its profile where it is a table.
	Pin(ctx context.Context, n *graph.Node, tell func(string)) (map[string]port.Artifact, error)
	// Judge asks the policies about a step with what is known just before it acts.
	Judge(ctx context.Context, s plan.Step, m Material) ([]ledger.Finding, error)
	// Release signs a trained candidate as a model, with the provenance of its
	// training, and verifies what it signed before it returns.
	Release(ctx context.Context, model *graph.Node, candidate *graph.Node, trained *ledger.Entry) (*ledger.Model, error)
	// Attest verifies a released model, and signs the package that was made of it, where was,
	// the one before, was not the same. What it returns is to be attached to the package.
	Attest(ctx context.Context, m *ledger.Model, p port.Packed, was *port.Packed) ([][]byte, error)
	// Undated names an artifact as if it carried nothing that varies from run to run, and
	// tells what it carries of that; "" is nothing.
	Undated(ctx context.Context, a port.Artifact) (digest.Digest, []string, error)
	// Logged is what the log of predictions says of the release that ref tries, as live was found.
	Logged(ctx context.Context, ref schemas.Ref, live port.Live) rollout.Evidence
	// Rollout is what is recorded of ref's rollout by now: see ledger.Facts.
	Rollout(ctx context.Context, ref schemas.Ref) (*ledger.Entry, error)
	// Stamp says in e for whom it was done, as Append does.
	Stamp(e ledger.Entry) ledger.Entry
	// Append records an entry.
	Append(ctx context.Context, e ledger.Entry) (ledger.Entry, error)
	// First is the entry under key that counts here: the first whose bytes are to be had.
	First(ctx context.Context, key digest.Digest) (*ledger.Entry, error)
}

// Material is the evidence that act itself holds.
type Material struct {
	Recipe  port.Recipe
	Of      func(schemas.Ref) *ledger.Entry // what stands under a ref by now; nil where it is not made
	Scored  func(seq int64) *ledger.Entry   // an evaluation that was recorded in this act; nil: it was not
	Model   *ledger.Model                   // selection: without signatures; deployment: as released
	Metrics map[string]float64
	Scores  []ledger.Score // selection: on rows that are declared
	// Unscored says that the model is yet to be scored: what asks for scores waits for them.
	Unscored bool
	Change   *port.Change
}

// EntryContext is what every entry of one act repeats.
type EntryContext struct {
	Revision string
	Author   string
	Actor    string // controller:NAME
	Plan     digest.Digest
	Policy   digest.Digest
	Approved map[schemas.Ref][]ledger.Approver // whose approval counts, a deployment
}

// Event is one line of progress.
type Event struct {
	Time time.Time
	Ref  schemas.Ref
	Kind EventKind
	Text string
}

// EventKind says what an event tells, and how a step ended.
type EventKind string

const (
	Began  EventKind = "began"
	Output EventKind = "output" // a piece of a run's log
	Ended  EventKind = "done"
	Kept   EventKind = "kept" // came out the same
	Held   EventKind = "held"
	Failed EventKind = "failed"
)

// Outcome is how a step of a plan ended.
type Outcome struct {
	Ref   schemas.Ref `json:"ref"`
	Do    plan.Do     `json:"do"`
	End   EventKind   `json:"end"`
	Text  string      `json:"text,omitempty"`
	Error error       `json:"-"`
	Seq   int64       `json:"seq,omitempty"` // of its entry, where it has one
}
