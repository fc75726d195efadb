// Trackers: what the ledger records, as the trackers and registries of others show it. A tracker holds
// no truth: what it shows is made of the ledger, and can be made again.

package port

import (
	"context"
	"io"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
)

// Tracker shows runs, models and what of them is served.
type Tracker interface {
	// Record makes the tracker show what p says, and tells what it wrote. What it shows already is left
	// alone: doing it twice writes nothing, and two who do it at once come to one record a key. What
	// others changed of it is drift, which is told, and healed where p says so. With dry, nothing is
	// written, and what would be is counted. A tracker that does not answer is Transient, one that
	// refuses is Denied; no error holds a credential.
	Record(ctx context.Context, p Projection, dry bool) (Recorded, error)
}

// Projection is what of a ledger is shown. Its order is the ledger's.
type Projection struct {
	Ledger string // names the ledger: of two ledgers that one tracker shows, each has its own records
	Heal   bool   // what others changed is changed back; else it is told and left
	// Propose has an environment that others gave another release of ours left as it is and told as Moved, but for what Declined tells of.
	Propose  bool
	Declined func(TrackerMoved) bool
	Runs     []TrackerRun
	Models   []TrackerModel
	Data     []TrackerData
	// Content reads a file of a version's model, as a Store does; nil: none can be read.
	Content func(ctx context.Context, name digest.Digest) (io.ReadCloser, error)
}

// TrackerData is the data that a dataset has by now, since an entry.
type TrackerData struct {
	Name   string
	Entry  int64
	Time   time.Time
	Digest digest.Digest
	Tags   map[string]string
}

// TrackerRun is a run.
type TrackerRun struct {
	Key      digest.Digest
	Entry    int64
	Name     string // training/enrollment:xgboost
	Started  time.Time
	Finished time.Time
	Params   map[string]string
	Metrics  map[string]float64
	Inputs   map[string]digest.Digest
	Tags     map[string]string // revision, author, reason and so on, in the words of TrackerTags
	Stopped  bool              // it was ended early: its metrics are what it had come to
	// Logged reads what else the run logged; nil: nothing. It is asked where the run is written.
	Logged func(ctx context.Context) (TrackerLog, error)
}

// TrackerLog is what a run logged by the tools of others.
type TrackerLog struct {
	Params map[string]string // those of the run's own go before them
	Series []TrackerSeries
}

// TrackerSeries is the course of a metric.
type TrackerSeries struct {
	Name   string
	Steps  []int64
	Times  []int64 // milliseconds since the beginning of 1970; 0: not known
	Values []float64
}

// TrackerModel is a registered model with its versions.
type TrackerModel struct {
	Name     string
	Versions []TrackerVersion
	// Serves is which version each environment serves, by its key, and Deployed by which entry.
	Serves   map[string]digest.Digest
	Deployed map[string]TrackerDeployed
	// Moves are the times that this changed.
	Moves []TrackerMove
}

// TrackerDeployed is the entry by which an environment serves what it does: its tags say why, and who approved it.
type TrackerDeployed struct {
	Entry int64
	Tags  map[string]string
}

// TrackerMove is an entry by which an environment came to serve another version of a model, or none.
type TrackerMove struct {
	Entry       int64
	Time        time.Time
	Environment string
	Key         digest.Digest // of the version; "": it serves none of them any more
}

// TrackerVersion is a release of a model.
type TrackerVersion struct {
	Key    digest.Digest // under which it was selected
	Entry  int64
	Time   time.Time
	Run    digest.Digest // the key of the run that made it
	Digest digest.Digest // of the model
	Model  Artifact      // with its files
	Tags   map[string]string
}

// The tags that records have, as far as they apply.
const (
	TagRevision = "revision" // commit
	TagRemote   = "remote"   // of the repository
	TagAuthor   = "author"
	TagReason   = "reason"
	TagApproved = "approved_by"
	TagPull     = "pull_request"
	TagSource   = "source"  // the command
	TagStopped  = "stopped" // why it was ended early
)

// Recorded is what came of it.
type Recorded struct {
	Runs   int      // that were written
	Writes int      // requests that changed something, or would
	Drift  []string // what others changed, for people
	Moved  []TrackerMoved
	Notes  []string // what could not be shown, for people
	Left   int      // records that somebody else began and may still be writing: they are to be looked at again
}

// TrackerMoved is an environment that somebody gave another release of a model there than it serves. Who it was is not known.
type TrackerMoved struct {
	Model       string // by the name that it is shown by
	Environment string
	Serves, To  digest.Digest // keys of versions: what it serves, and what it was given
	From, At    int           // the tracker's own numbers of them
}

// Tagger is a Git remote that takes tags.
type Tagger interface {
	// Tags are the commits that the remote's tags point to, by their names without refs/tags/.
	Tags(ctx context.Context) (map[string]string, error)
	// Tag makes signed tags there, in one request. Where the first one's name is taken, a rule forbids it, or the remote does not
	// have a commit, that is Denied; which of several were made, Tags tells.
	Tag(ctx context.Context, tags ...Tag) error
}

// Tag is an annotated tag.
type Tag struct {
	Name    string
	Commit  string
	Message string
	Time    time.Time
}
