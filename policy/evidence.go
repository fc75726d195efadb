// Evidence is what a decision is made from besides the plan. Whoever calls Judge
// gathers it; nothing here is looked up, so that a decision can be made again.

package policy

import (
	"encoding/json"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/guard"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/engine/trust"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Phase says when a step is judged.
type Phase string

const (
	// Planning judges before anything is done. What a pending step will be made
	// from is not known yet, and the rules that need it wait.
	Planning Phase = "plan"
	// Acting judges again, with what was made, before it is signed, applied or
	// deployed: whatever is missing then is a denial.
	Acting Phase = "act"
)

// Evidence is what is known at the time of a decision.
type Evidence struct {
	Time    time.Time // the recorded time of the decision: the only clock that rules see
	Phase   Phase
	Project *schemas.Project
	All     bool          // judge kept steps too
	Cost    *plan.Cost    // of the whole plan; none: nobody gives prices
	Monthly *plan.Monthly // of all infrastructure; none: nobody gives prices of resources
	// Of tells what is known of a step's ref, as the step has it. It is called
	// from several goroutines.
	Of func(schemas.Ref) Subject
}

// Subject is what is known of one step; the zero value is nothing. A model step
// and a deployment need Model as soon as they are not pending, infrastructure its
// Terraform plan, a dataset its pin, a run its inputs.
type Subject struct {
	Declaration  *schemas.Declaration // none for a step that retires
	Pin          digest.Digest        // datasets
	Pointer      string               // datasets: the MD5 of a .dvc file or dvc.lock
	Inputs       []Input              // transforms and trainings
	Model        *Model               // models and deployments
	Reported     []string             // models of which no candidate is selected: the metrics that the candidates report
	Terraform    json.RawMessage      // infrastructure: port.Change's Raw
	Warnings     []string             // infrastructure: port.Change's
	Tests        *port.Tests          // infrastructure: port.Change's
	Hint         string               // infrastructure whose plan failed: what to do
	AllowDestroy bool                 // infrastructure
	Was          string               // deployments: the environment of the newest recorded release
	Approvals    []trust.Approver     // deployments: those that hold before every guard
	Begun        bool                 // deployments: a later step of a rollout whose first one people approved
	Guards       []guard.Verdict      // deployments: what guards the environments that the change has to do with, and how they stand
	Data         []Data               // the datasets that it is, or comes from, whose rows were examined
	Run          *Run                 // transforms and trainings: the run that stands under the step's key; none: it is not made yet
	Serving      *port.Isolation      // deployments: of the process that serves this very release now; none: none does
}

// Data is what was found of a dataset's rows when it was pinned.
type Data struct {
	Ref        schemas.Ref `json:"ref"`
	Rows       int64       `json:"rows"`
	Bytes      int64       `json:"bytes"`
	Violations []Violation `json:"violations"`
	// Unknown says that the profile that was recorded is not in this store: nothing is known
	// of the rows, also not whether they break a promise.
	Unknown bool `json:"unknown,omitempty"`
}

// Violation is a promise of a dataset that its rows break, without their values.
type Violation struct {
	Column string `json:"column"` // "": of the table
	Rule   string `json:"rule"`
	Count  int64  `json:"count"`
	File   string `json:"file,omitempty"` // where it is broken first, with Row
	Row    int64  `json:"row,omitempty"`  // from 1; zero: the whole file
}

// Input is one thing that a run reads.
type Input struct {
	Name     string
	Ref      schemas.Ref
	Digest   digest.Digest // none while it is not made
	Declared bool
}

// Model is what is known of a model that is about to be released.
type Model struct {
	Digest    digest.Digest
	Candidate schemas.Ref
	Metrics   map[string]float64
	Live      *Live          // none where nothing is served
	Scores    []ledger.Score // on rows that are declared; models
	Files     []File
	Signature *Signature // none where it is not signed
	OnBehalf  int        // a pull request that it, or what it is made from, was run for; 0: none
	Runs      []Run      // all that it was made by, near or far; deployments
}

// Run is a run that was recorded.
type Run struct {
	Ref       schemas.Ref
	Isolation *port.Isolation // none: recorded before that was known
	OnBehalf  int             // the pull request that it was run for; 0: none
	Runner    string          // "": this machine
	Image     string          // "": none
	External  bool            // not begun as a command
}

// Live is the model that is served now.
type Live struct {
	Digest  digest.Digest
	Metrics map[string]float64
}

// File is one file of a model; Format and Carries are what format/model says of its content.
type File struct {
	Path    string        `json:"path"`
	Format  string        `json:"format"`
	Digest  digest.Digest `json:"digest"`
	Size    int64         `json:"size"`
	Carries []string      `json:"carries,omitempty"`
}

// Signature is what verifying the model's signature said.
type Signature struct {
	Verified bool   `json:"verified"`
	By       string `json:"by"`
	Message  string `json:"message"`
	// Revoked is why the controller that signed it was revoked since; nil: it was not.
	Revoked *string `json:"revoked"`
}
