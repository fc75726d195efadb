// What entries say of what was looked at: stacks, and windows of monitors with their incidents.

package ledger

import (
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Observed is how a deployment was found.
type Observed struct {
	Up     bool        `json:"up"`               // it answers
	Health port.Health `json:"health,omitempty"` // empty: nothing of it is there
}

// Standing is what a monitor found.
type Standing string

const (
	Well    Standing = "well"
	Drifted Standing = "drifted" // a column, or a bound that is broken
	Faulty  Standing = "fault"   // a column is missing, or of another type, or outcomes have not come that are due
	Unknown Standing = "unknown" // too little to tell
)

// Watched is what a monitor found of a window. All of it is in the evidence, by its digest.
type Watched struct {
	Verdict    Standing      `json:"verdict"`
	Evidence   digest.Digest `json:"evidence"`
	Deployment schemas.Ref   `json:"deployment"`
	Model      digest.Digest `json:"model,omitempty"` // that was served
	Rows       int64         `json:"rows"`
	Columns    int           `json:"columns"`            // that were held
	Drift      []string      `json:"drift,omitempty"`    // columns that have drifted, at most ten
	Drifting   int           `json:"drifting,omitempty"` // how many have
	// Persists says that it is enough windows to do something about it.
	Persists bool `json:"persists,omitempty"`
	// Before are the verdicts of the windows before that share no row's time with this one or with
	// each other, newest first, as far back as persistence goes.
	Before []Standing `json:"before,omitempty"`
	// First and Last are the times of the window's rows; none: they have no times.
	First time.Time `json:"first,omitzero"`
	Last  time.Time `json:"last,omitzero"`
	// Counted are the windows of before that count, newest first. The newest of them may share
	// rows with this one, and counts for later ones.
	Counted []Counted `json:"counted,omitempty"`
	// Proposals are the retrainings that were proposed for it, newest first, as far back as a
	// budget may ask.
	Proposals []Proposed `json:"proposals,omitempty"`
	// Incidents are what people are told of: those that are not over, and those of whose end not
	// all were told that were told of their beginning.
	Incidents []Incident `json:"incidents,omitempty"`
	// Baseline is the reference, where it is of the deployment's log.
	Baseline *Baseline `json:"baseline,omitempty"`
	Branch   string    `json:"branch,omitempty"` // that declares the monitor, where a controller measured it
}

// Baseline is the first rows of a log that one model answered, as they are in the store.
type Baseline struct {
	Model digest.Digest `json:"model"`
	Data  digest.Digest `json:"data"`
	Size  int64         `json:"size"`
	Rows  int           `json:"rows"`
	Last  time.Time     `json:"last"` // of its rows' times: what is compared with it comes later
}

// Incident is one finding, from the first window that showed it until one that is well.
type Incident struct {
	ID      string    `json:"id"`
	Finding Standing  `json:"finding"` // drifted, or fault
	Since   time.Time `json:"since"`
	Over    time.Time `json:"over,omitzero"`
	Again   time.Time `json:"again,omitzero"` // it was over and went on
	// Told are the receivers that were told that it began, and Ended those that were told that it
	// is over, by their names in the controller's file.
	Told  []string `json:"told,omitempty"`
	Ended []string `json:"ended,omitempty"`
}

// Incidents are those that e, an observation, knows.
func (e *Entry) Incidents() []Incident {
	switch {
	case e == nil:
		return nil
	case e.Watched != nil:
		return e.Watched.Incidents
	case e.Stack != nil:
		return e.Stack.Incidents
	}
	return nil
}

// ObservedOf is the branch that declares what e, an observation, is of; "": it does not say.
func (e *Entry) ObservedOf() string {
	switch {
	case e == nil:
		return ""
	case e.Watched != nil:
		return e.Watched.Branch
	case e.Stack != nil:
		return e.Stack.Branch
	}
	return ""
}

// Counted is a window that persistence counts.
type Counted struct {
	Verdict Standing  `json:"verdict"`
	First   time.Time `json:"first,omitzero"`
	Last    time.Time `json:"last,omitzero"`
}

// MostProposals is how many are kept.
const MostProposals = 64

// Proposed is a retraining that was proposed.
type Proposed struct {
	Cause  digest.Digest `json:"cause"` // of what was found
	Time   time.Time     `json:"time"`
	Branch string        `json:"branch"`
	SHA    string        `json:"sha"`
	Pull   int           `json:"pull,omitempty"`
	Others bool          `json:"others,omitempty"` // the branch held commits of others, and was left as it was
}
