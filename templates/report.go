// What is told about a pull request, in its comment, its check run, a step summary
// or a file of test results. A Report is inert: the same report is always the same
// text.

package templates

import (
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/engine/watch"
	"github.com/vishwaops/vishwa/reconciler/format/table"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Stage is how far a pull request, or a tracked revision, has come.
type Stage string

const (
	Broken    Stage = "broken"    // the declarations, or the merge, do not hold together
	Planned   Stage = "planned"   // this is what would happen; nothing runs
	Running   Stage = "running"   // trainings are under way
	Blocked   Stage = "blocked"   // a run failed, or a policy or gate says no
	Delayed   Stage = "delayed"   // a plan failed for a reason that may pass: it is made again
	Awaiting  Stage = "awaiting"  // all is done that can be; people must approve, or give a command
	Settled   Stage = "ready"     // all is done that can be done before the merge
	Merged    Stage = "merged"    // being carried out on the tracked branch
	Deployed  Stage = "deployed"  // carried out; Entries say where it is recorded
	Abandoned Stage = "abandoned" // closed without a merge
)

// Report is what is told. Only Stage is needed; what is empty is left out.
type Report struct {
	Stage    Stage
	Pull     int    // number; 0: a push to the tracked branch
	Base     string // the tracked branch
	BaseSHA  string
	Head     string // revision that was looked at
	MergedAs string // the commit on Base that the pull request became; "": it is not merged
	Error    string // why there is no plan, for people; with Hint
	Hint     string
	Problems []schemas.Problem // of broken declarations; without Plan
	Conflict []string          // paths in which head and base conflict; without Plan

	Plan   *plan.Plan
	Looked *plan.Plan // what the pass found first, before anything was done; nil: it came to no plan
	// Unobserved says that the ledger has no finding of anything: there is no incident to begin, to end or to tell.
	Unobserved bool
	Freed      []schemas.Ref // what the pass held for a time or for another deployment, and may go on by Plan
	Digest     digest.Digest // of Plan
	Notes      []string      // of the pass: what was left out and why, in whole sentences
	Alters     []string      // of what judges pull requests, what this one changes: policy, trust, project

	Within *watch.Retraining // the envelope that lets it be merged without a person; nil: none does

	Models    []ModelChange
	Data      []DataChange
	Runs      []Run
	Approvals []Approval
	Records   []Record
	Answers   []Answer
	Again     bool      // somebody who may asked for another pass of the branch
	Commands  []string  // that can be given now, such as "/vishwa train"
	Earlier   []Earlier // plans of this pull request before this one, newest first
	Full      string    // URL of the whole report, or what to call to see it
}

// ModelChange is how a model would change. Metrics are of the candidate that would
// be, or is, selected; nil where it is not trained yet.
type ModelChange struct {
	Ref       schemas.Ref
	Candidate schemas.Ref // that is best; zero: none is trained yet
	Digest    digest.Digest
	Metric    string // that selects
	// Objectives are further metrics that select, and TieBreak which one of their front.
	Objectives []schemas.Objective
	TieBreak   string
	Maximize   bool
	Was        *Measured          // on the base branch
	Live       *Measured          // served now
	Now        map[string]float64 // by dotted name
	Gates      []GateResult
	Scores     []ledger.Score // of the candidate and of the model that is served, on the same rows
}

// Measured is a model that there is.
type Measured struct {
	Digest  digest.Digest
	Where   string // "main", "deployment/enrollment-production"
	Metrics map[string]float64
}

// GateResult is one gate of a model.
type GateResult struct {
	Metric  string
	Rows    string // that the metric is of; "": those that the training reported
	Rule    string // "min 0.8", "maxRegression 0.005"
	Known   bool   // it could be judged
	Passed  bool
	Message string
}

// DataChange is how a dataset would change.
type DataChange struct {
	Ref              schemas.Ref
	Was, Now         DataShape
	Added, Gone      []string // columns
	WasPin, NowPin   digest.Digest
	Personal         []string       // columns tagged personal
	Changes          []table.Change // of what the rows are like, by column
	Broken           []string       // what is declared of the rows and not so
	Refused          bool           // for which the data would not be pinned
	BytesWas, BytesN int64
}

// DataShape is how much data there is; -1 is not known, or of no table.
type DataShape struct {
	Rows    int64
	Columns int
}

// Run is a training or a transform made for the pull request.
type Run struct {
	Ref   schemas.Ref
	State string // waiting, running, done, kept, stopped early, failed, cancelled, held
	Text  string // for people: duration, reason of a failure and its way out
	Tail  string // last lines of the log of a failed run
	Seq   int64  // of its entry; 0: none
	// Isolation is what kept it apart from its machine; nil: it has not ended, or it is not known.
	Isolation *port.Isolation
	// Logged is what it logged by the tools of others; nil: nothing, or it is not to be had.
	Logged *Logged
}

// Approval is what a deployment needs of people.
type Approval struct {
	Ref         schemas.Ref
	Environment string
	Need        int
	Roles       []string
	Reviews     bool     // a review on the forge counts
	Given       []string // "asha (signature)", "ben (review)"
	Void        []string // why approvals that were given do not count
}

// Record is an entry of the ledger that came of it.
type Record struct {
	Seq    int64
	Action ledger.Action
	Ref    schemas.Ref
	Made   digest.Digest // what was made: a model, data, or what stands under a key
	URL    string        // where a release is served
}

// Answer is what a command in a comment was answered.
type Answer struct {
	Command string // as it is understood: "/vishwa explain training/enrollment"
	By      string // login
	Text    string // for people, several lines; holds what the repository says
}

// Earlier is a plan that was shown before.
type Earlier struct {
	Head    string // revision
	Digest  digest.Digest
	Verdict string // its first line
}
