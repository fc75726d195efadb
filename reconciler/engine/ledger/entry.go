// Package ledger is the record of what was done: entries, each an in-toto
// statement that carries its number and the digest of the one before it; their
// file names and commit trailers; the facts that they fold to; and the check of
// a whole chain. It is pure: the branch that holds it is adapter/repo's.
package ledger

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Action says what an entry records.
type Action string

const (
	Genesis   Action = "genesis"
	Pin       Action = "pin"
	Transform Action = "transform"
	Train     Action = "train"
	Select    Action = "select"   // a model is selected, signed and released
	Evaluate  Action = "evaluate" // a model is scored on rows, by its key: nothing is made
	Approve   Action = "approve"
	Provision Action = "provision"
	Deploy    Action = "deploy"
	Pack      Action = "pack" // a released model is kept where others fetch it
	Retire    Action = "retire"
	Deny      Action = "deny"
	Fail      Action = "fail"
	Cancel    Action = "cancel"
	Retry     Action = "retry"   // a person lets a held key be tried again
	Observe   Action = "observe" // what is deployed no longer answers, or does so again
	Suspend   Action = "suspend" // a person holds what would be done about a ref
	Resume    Action = "resume"  // and lets it go on
	RollOut   Action = "rollout" // a release that is tried beside the one that serves comes to another step
)

// byKey are the actions of what is looked up by its key, and standing those of what is
// observed in the world, as the rows of the kinds have them.
var (
	byKey    = actionsOf(func(t schemas.Traits) bool { return !t.Observed })
	standing = actionsOf(func(t schemas.Traits) bool { return t.Observed })
	actions  = slices.Concat([]Action{Genesis}, byKey, []Action{Evaluate, Approve}, standing, []Action{Retire, Deny, Fail, Cancel, Retry, Observe, Suspend, Resume, RollOut})
)

func actionsOf(has func(schemas.Traits) bool) (out []Action) {
	for _, t := range schemas.Kinds() {
		if has(t) && t.Action != "" {
			out = append(out, Action(t.Action))
		}
	}
	return out
}

// Actions lists every action, in no order that matters.
func Actions() []string {
	out := make([]string, len(actions))
	for i, a := range actions {
		out[i] = string(a)
	}
	return out
}

// makes tells whether a records that something was made, or is gone.
func (a Action) makes() bool {
	return a == Retire || slices.Contains(byKey, a) || slices.Contains(standing, a)
}

// Ran tells whether e records a run that made something.
func (e *Entry) Ran() bool {
	is := e.Ref.Kind.Traits()
	return is.Runs && string(e.Action) == is.Action
}

// Stands tells whether e records something that is observed in the world since.
func (e *Entry) Stands() bool { return slices.Contains(standing, e.Action) }

// Entry is one record.
type Entry struct {
	Seq         int64         `json:"seq"`            // from 0, no gaps
	Prev        digest.Digest `json:"prev,omitempty"` // of the bundle bytes of the entry before; none for genesis
	Time        time.Time     `json:"time"`           // the controller's clock, UTC
	Action      Action        `json:"action"`
	Ref         schemas.Ref   `json:"ref,omitzero"`
	Key         digest.Digest `json:"key,omitempty"`
	Revision    string        `json:"revision,omitempty"` // commit of the tracked branch
	Author      string        `json:"author,omitempty"`   // of the revision, as Git claims
	Plan        digest.Digest `json:"plan,omitempty"`
	Policy      digest.Digest `json:"policy,omitempty"`     // of all rules in force
	Verdict     string        `json:"verdict,omitempty"`    // allow or deny
	Actor       string        `json:"actor"`                // controller:NAME or principal:NAME
	Approved    []string      `json:"approvedBy,omitempty"` // as text; ApprovedBy sets both
	Approvers   []Approver    `json:"approvers,omitempty"`  // who, and by what; entries of before have the text alone
	Reason      string        `json:"reason,omitempty"`     // the step's why
	PullRequest *PullRequest  `json:"onBehalf,omitempty"`
	Trigger     string        `json:"trigger,omitempty"` // what made the controller look: its id in the logs
	Machine     string        `json:"machine,omitempty"` // where it was done: a name that one installation has and no other

	// Follows is the observation of Ref, the step of its rollout, or its suspension, that this one was made from: it is recorded after that one or
	// not at all. 0: after whatever there is; First: where there is none. It is no part of what is signed.
	Follows int64 `json:"-"`

	MadeBy  *port.Recipe `json:"recipe,omitempty"`  // as an entry is written; nil in facts that were kept: read it by Recipe
	Outputs Outputs      `json:"outputs,omitempty"` // what was made; a dataset's, a run's
	// Asked is what a run of a search says: the parameters of each trial of its round.
	Asked map[string]map[string]any `json:"asked,omitempty"`
	// Trial is how a trial stood against the others while it ran, where its search may end trials early.
	Trial     *Trial             `json:"trial,omitempty"`
	Metrics   map[string]float64 `json:"metrics,omitempty"`
	Run       *Run               `json:"run,omitempty"`
	Model     *Model             `json:"model,omitempty"`    // select, deploy
	Scores    []Score            `json:"scores,omitempty"`   // select: of the model and of the one that was served, on the same rows
	Stack     *Stack             `json:"stack,omitempty"`    // provision, retire; observe, of a stack
	Release   *Release           `json:"release,omitempty"`  // deploy, retire
	Package   *port.Packed       `json:"package,omitempty"`  // pack, retire
	Findings  []Finding          `json:"findings,omitempty"` // what policies said
	Approval  *Approval          `json:"approval,omitempty"`
	Failure   *Failure           `json:"failure,omitempty"`
	Observed  *Observed          `json:"observed,omitempty"`
	Rollout   *Rollout           `json:"rollout,omitempty"`   // rollout, and the deploy that it ends with
	Watched   *Watched           `json:"watched,omitempty"`   // observe, of a monitor
	Duplicate bool               `json:"duplicate,omitempty"` // another entry under the same key came first
	Again     bool               `json:"again,omitempty"`     // what the first entry under the key made will not do: this one takes its place

	kept keptRecipe // in place of MadeBy
}

// PullRequest says for which pull request something was done: its code was not reviewed
// then. What was done on the tracked branch has none.
type PullRequest struct {
	Pull int    `json:"pull"`
	Head string `json:"head"` // the pull request's newest commit then
	Base string `json:"base"` // the commit of the tracked branch that it was merged onto, to be tried
	By   string `json:"by"`   // who asked: github:LOGIN
}

// String is pull-request:NUMBER@COMMIT; for the tracked branch it is empty.
func (b *PullRequest) String() string {
	if b == nil {
		return ""
	}
	return fmt.Sprintf("pull-request:%d@%s", b.Pull, b.Head)
}

// Run is how an output came to be.
type Run struct {
	Started  time.Time     `json:"started"`
	Finished time.Time     `json:"finished"`
	Host     string        `json:"host,omitempty"`
	Python   string        `json:"python,omitempty"`
	Log      digest.Digest `json:"log,omitempty"`
	// Isolation is what kept the run apart from its machine; nil: recorded before that was known.
	Isolation *port.Isolation `json:"isolation,omitempty"`
	Runner    string          `json:"runner,omitempty"` // which carried it out; none: this machine
	Image     string          `json:"image,omitempty"`  // that it ran in, by digest
	// External is work of the team's that was not begun as a command: nothing of how it came to be is known.
	External bool `json:"external,omitempty"`
	Nodes    int  `json:"nodes,omitempty"` // where there were several
	// Resources is what it was given, on each of its nodes.
	Resources schemas.Resources `json:"resources,omitzero"`
	// Tracking is what the run logged by the tools of others, a folder as port.Result has it; nil: nothing.
	Tracking *port.Artifact `json:"tracking,omitempty"`
	// Undated names outputs as if they carried no dates and nothing else that a run varies
	// for no reason (package archive); those that carry nothing are left out.
	Undated map[string]digest.Digest `json:"undated,omitempty"`
}

// On says where the run was carried out and on what.
func (r *Run) On() schemas.RunsOn {
	return schemas.RunsOn{Runner: r.Runner, Image: r.Image, Nodes: r.Nodes, Resources: r.Resources}
}

// Model is a released model.
type Model struct {
	Candidate  schemas.Ref   `json:"candidate"`
	Artifact   port.Artifact `json:"artifact"`
	Signature  digest.Digest `json:"signature"`      // of the OMS bundle, in the store
	Provenance digest.Digest `json:"provenance"`     // of the SLSA bundle, in the store
	Scan       *Scan         `json:"scan,omitempty"` // none: recorded before that was kept
}

// Score is how a selected model did on rows, and how the model did on them that was served then.
type Score struct {
	Rows string `json:"rows"` // as spec.evaluate calls them
	// Before says that they are the rows that the model which was served then was released with,
	// where the declaration names others by now.
	Before  bool               `json:"before,omitempty"`
	Data    digest.Digest      `json:"data"`
	Metrics map[string]float64 `json:"metrics"`
	Seq     int64              `json:"entry"` // that recorded it
	// Champion is the model that was served; none, where none or this very one was.
	Champion        digest.Digest      `json:"champion,omitempty"`
	ChampionMetrics map[string]float64 `json:"championMetrics,omitempty"`
	ChampionSeq     int64              `json:"championEntry,omitempty"`
}

// Scan is what was found in a model's files before it was signed.
type Scan struct {
	Version string    `json:"version"` // of what looked: another one may find something else
	Files   []Scanned `json:"files"`   // in the order of the artifact's
}

// Scanned is one file's format, by content, and what in it a reader may run.
type Scanned struct {
	Path    string   `json:"path"`
	Format  string   `json:"format"`
	Carries []string `json:"carries,omitempty"`
}

// Stack is what was provisioned, or how it was found: names and actions, never values.
type Stack struct {
	Tool    string                `json:"tool"`
	Done    []port.ResourceAction `json:"done,omitempty"`
	Change  digest.Digest         `json:"change,omitempty"`
	Outputs []string              `json:"outputs,omitempty"` // names
	Partial bool                  `json:"partial,omitempty"`
	// Drift are the addresses that were found not to be as declared, at most ten, and Drifting is how many there are; none: these were so before. Observe.
	Drift    []string `json:"drift,omitempty"`
	Drifting int      `json:"drifting,omitempty"`
	// Incidents are what people are told of it, as of a monitor; observe.
	Incidents []Incident `json:"incidents,omitempty"`
	Branch    string     `json:"branch,omitempty"` // that declares it; observe
}

// Release is what was deployed.
type Release struct {
	Environment string          `json:"environment"`
	URL         string          `json:"url,omitempty"`
	Isolation   *port.Isolation `json:"isolation,omitempty"` // of the served process, as it was begun
	Bytes       string          `json:"bytes,omitempty"`     // the class of what is served: schemas.BytesVerified and its kin; empty: recorded before it was of files of this machine
	Replaced    digest.Digest   `json:"replaced,omitempty"`  // the model that was served before
	Selected    digest.Digest   `json:"selected,omitempty"`  // the key by which the model was selected
	Restores    int64           `json:"restores,omitempty"`  // a rollback: the number of the entry whose release serves again
}

// Selection is the entry that selected what e, a deployment, serves; nil where that is not recorded.
// The same bytes may be selected by others as well, with other rows: a pull request may have that done.
func (f *Facts) Selection(e *Entry) *Entry {
	if e == nil || e.Action != Deploy || e.Release == nil || e.Release.Selected == "" || e.Model == nil {
		return nil
	}
	by := f.ByKey[e.Release.Selected]
	if by == nil || by.Action != Select || by.Model == nil || by.Model.Artifact.Digest != e.Model.Artifact.Digest {
		return nil
	}
	return by
}

// Rollback tells whether e serves an earlier release again.
func (e *Entry) Rollback() bool { return e.Release != nil && e.Release.Restores != 0 }

// Level says what a finding does.
type Level string

const (
	Denied Level = "deny" // the step, and all that needs it, is held
	Warn   Level = "warn"
	Note   Level = "note"
)

// ApprovalRule is the rule that holds a deployment until people have approved it: what it alone denies waits for them.
const ApprovalRule = "deployment/approval"

// Finding is what a policy says of a step.
type Finding struct {
	Rule    string      `json:"rule"` // stable id, such as model/gate
	Level   Level       `json:"level"`
	Ref     schemas.Ref `json:"ref"`
	Message string      `json:"message"`
	Hint    string      `json:"hint,omitempty"` // what to do about it
	// Way is how entries from before the first release spell Hint. It is read, since a
	// signed entry keeps its bytes, and never written anew: Plain tells them as one.
	Way string `json:"way,omitempty"`
}

// Text is the rule and what it says, in one line: why a step is held that it denies.
func (f Finding) Text() string { return f.Rule + ": " + f.Message }

// Plain is f in today's spelling.
func (f Finding) Plain() Finding {
	f.Hint, f.Way = cmp.Or(f.Hint, f.Way), ""
	return f
}

// PlainFindings is what e's policies said, in today's spelling.
func (e *Entry) PlainFindings() []Finding {
	out := make([]Finding, len(e.Findings))
	for i, f := range e.Findings {
		out[i] = f.Plain()
	}
	return out
}

// Named is e with its texts as name has them: why, what rules found and how it failed. What is declared, signed or named by content is as it was.
func (e Entry) Named(name func(text string) string) Entry {
	e.Reason, e.Findings = name(e.Reason), slices.Clone(e.Findings)
	for i := range e.Findings {
		f := &e.Findings[i]
		f.Message, f.Hint = name(f.Message), name(f.Hint)
	}
	if e.Failure != nil {
		f := *e.Failure
		f.Message, f.Tail = name(f.Message), name(f.Tail)
		e.Failure = &f
	}
	return e
}

// Approval is a person's signature over what is approved.
type Approval struct {
	Principal string `json:"principal"`
	Statement []byte `json:"statement"`           // canonical JSON of what was signed
	Signature string `json:"signature,omitempty"` // armored SSH signature (PROTOCOL.sshsig); none: as the forge asserts
}

// Failure is why an action did not succeed.
type Failure struct {
	Cause   string        `json:"cause"` // a port.Cause or a fault.Kind
	Message string        `json:"message"`
	Tail    string        `json:"tail,omitempty"` // last lines of the log
	Log     digest.Digest `json:"log,omitempty"`
	Kept    string        `json:"kept,omitempty"` // its work directory below the state directory of whoever ran it
	// Times is how often it failed so since the entry before that says the same, this
	// time included; none is once. Between two entries lies an hour at least.
	Times int `json:"times,omitempty"`
}
