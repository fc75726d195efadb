// The values that pass through the ports. All of them are inert data.

package port

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/schemas"
)

// Artifact is content by digest: a file, or a directory where Files is not nil.
// A directory's digest is its manifest's.
type Artifact struct {
	Name   string          `json:"name,omitempty"` // base name, so that a reader sees the extension
	Digest digest.Digest   `json:"digest"`
	Size   int64           `json:"size"` // bytes
	Files  digest.Manifest `json:"files,omitempty"`
}

// DataPointer is data that a file of the repository names, and a place of its own keeps.
type DataPointer struct {
	File   string        // that names it, by path from the repository's root
	Path   string        // of the data, from there
	Name   string        // of the content, where it is kept: another content has another one
	Layout string        // how it is kept, where its tool knows several ways; "" is the usual one
	Size   int64         // bytes; -1: not stated
	Files  int64         // of a directory; -1: not stated
	SHA256 digest.Digest // where the pointer states it
	Remote string        // the place of its tool's configuration; "" is the usual one
	NoPush bool          // no push sends it: Git has it, or another repository, or nobody is to
	// What a pin says of tables; without it, Rows is -1 and Columns 0. Profile names the
	// profile in the store of artifacts.
	Rows    int64
	Columns int
	Profile digest.Digest
}

// DataChange is how data of the work tree differs from its pointer.
type DataChange struct {
	What    string // for people: modified; 2 files added, 1 file deleted
	Missing bool   // files of it are not there, and the others are as the pointer names them
}

// Job is one run of a command, with all that it may read, by digest in the Store.
type Job struct {
	Key     digest.Digest       `json:"key"`
	Ref     schemas.Ref         `json:"ref"`
	Command []string            `json:"command"`
	Code    digest.Manifest     `json:"code"`
	Lock    string              `json:"lock,omitempty"` // path in Code of the requirements file; none is the caller's own environment
	Inputs  map[string]Artifact `json:"inputs,omitempty"`
	Outputs map[string]string   `json:"outputs,omitempty"` // name -> relative path of the file or folder to write
	Params  map[string]any      `json:"params,omitempty"`
	Model   bool                `json:"model,omitempty"` // a model directory and a metrics file are expected
	// MetricsFrom are the tools whose logs hold its metrics, the first before the others; without any, they are looked
	// for where no metrics file was written. ModelFrom is where its model is: the tool that logged it, a path from
	// where its command begins, or "" for its model directory.
	MetricsFrom []string        `json:"metricsFrom,omitempty"`
	ModelFrom   string          `json:"modelFrom,omitempty"`
	Scores      *Artifact       `json:"scores,omitempty"`  // a model that is there to be read, and of which a metrics file is expected; not with Model
	Pass        []string        `json:"pass,omitempty"`    // variables of the caller's that the job may see
	Network     schemas.Network `json:"network"`           // what it may reach; none declared is all
	Timeout     time.Duration   `json:"timeout,omitempty"` // zero is an hour
	// RunsOn is where it is carried out and on what. It is no part of what the job is, but for
	// the image and the number of nodes, which the key covers.
	RunsOn schemas.RunsOn `json:"runsOn,omitzero"`
	// External is begun in place of a command; nil is none.
	External *schemas.External `json:"external,omitempty"`
	// Isolation is a level: a run of the same key that ended before and stood at a weaker one
	// is none, and is run again. Empty: any will do.
	Isolation string `json:"isolation,omitempty"`
}

// Isolation is what kept a command apart from the machine that it ran on.
type Isolation struct {
	Level    string `json:"level"`              // namespaces, landlock or none
	Landlock int    `json:"landlock,omitempty"` // version of Landlock's interface in force
	Network  string `json:"network"`            // none, all, the hosts, or "not limited": what was declared could not be kept
	Limits   string `json:"limits,omitempty"`   // what held the limits: cgroup v2, cgroup v1, watching
	User     string `json:"user,omitempty"`     // own: a user that nothing else has
}

func (i Isolation) String() string {
	s := i.Level
	if i.Landlock > 0 {
		s += fmt.Sprintf(", Landlock %d", i.Landlock)
	}
	s += ", network " + i.Network
	if i.Limits != "" {
		s += ", limits by " + i.Limits
	}
	return s
}

// RunState says how a run stands.
type RunState string

const (
	Waiting RunState = "waiting" // begun, its environment not ready
	Running RunState = "running"
	Done    RunState = "done" // final: Result is set
)

// Run is one run as seen by Poll.
type Run struct {
	Key     digest.Digest `json:"key"`
	State   RunState      `json:"state"`
	Started time.Time     `json:"started,omitzero"`
	Reason  string        `json:"reason,omitempty"` // what it waits for or, while it runs, how far it is; for people
	Result  *Result       `json:"result,omitempty"`
	Runner  string        `json:"runner,omitempty"` // that has it; none: this machine
}

// News is what is to be told of a run beside its log, or "".
func (r Run) News() string {
	switch {
	case r.Reason == "" || r.State == Done:
		return ""
	case r.State == Waiting:
		return "waits: " + r.Reason
	}
	return "now: " + r.Reason
}

// Cause says why a run did not succeed; the empty cause is success.
type Cause string

const (
	Exit          Cause = "exit"           // it ended with an exit code other than 0
	Signal        Cause = "signal"         // it was killed by a signal
	OutOfMemory   Cause = "out-of-memory"  // the kernel killed it for want of memory
	TimedOut      Cause = "timeout"        // it took longer than its time-out
	OverLimit     Cause = "limit"          // it used more than this machine gives a run
	Stopped       Cause = "stopped"        // it was stopped by whoever started it
	MissingOutput Cause = "missing-output" // it ended well and left an output unwritten
	BadMetrics    Cause = "bad-metrics"    // its metrics cannot be read or are not finite numbers
	BadEnv        Cause = "environment"    // its software environment could not be made
	BadImage      Cause = "image"          // its container image could not be had, or is for another machine
	Unschedulable Cause = "unschedulable"  // nothing has what it asks for, and nothing will
	Preempted     Cause = "preempted"      // whoever owns the machines took them back: no fault of the run's
	Lost          Cause = "lost"           // its supervisor is gone and left no result
)

// Result is how a run ended.
type Result struct {
	Cause     Cause               `json:"cause,omitempty"`
	ExitCode  int                 `json:"exitCode"`
	Message   string              `json:"message,omitempty"` // what happened, for people
	Tail      string              `json:"tail,omitempty"`    // the last lines of the log
	Log       digest.Digest       `json:"log,omitempty"`     // the whole log, in the Store
	Kept      string              `json:"kept,omitempty"`    // its work directory, where that was left for people of its machine to see
	Outputs   map[string]Artifact `json:"outputs,omitempty"`
	Model     *Artifact           `json:"model,omitempty"`
	Metrics   map[string]float64  `json:"metrics,omitempty"`  // dotted names, finite
	Tracking  *Artifact           `json:"tracking,omitempty"` // what it logged by the tools of others: a folder with TrackingFile
	Started   time.Time           `json:"started"`
	Finished  time.Time           `json:"finished"`
	Host      string              `json:"host,omitempty"` // operating system and architecture, never a machine's name
	Isolation *Isolation          `json:"isolation,omitempty"`
	Python    string              `json:"python,omitempty"` // version of the environment's interpreter, where there is one
}

// TrackingFile is the document of package tracking in the folder of what a run logged; what stands
// beside it, below TrackingMedia, are images and tables.
const (
	TrackingFile  = "tracking.json"
	TrackingMedia = "media/"
)

// Role is what a key is used for; each role has a key of its own.
type Role string

const (
	Build  Role = "build"  // pins, runs, models and their provenance
	Deploy Role = "deploy" // what touches the world: provisioning, deploying, retiring
	Refuse Role = "refuse" // refusals and failures
)

// Identity is who signed: a controller of the trust file, in a role.
type Identity struct {
	Name string `json:"name"` // the controller's name in the trust file
	Role Role   `json:"role"`
	Key  string `json:"key"` // hex SHA-256 of the PEM-encoded public key
}

// Infrastructure is what a Provisioner is to make: its description, the values that this is
// given, and where it is noted what is there.
type Infrastructure struct {
	Name    string         `json:"name"`
	Source  fs.FS          `json:"-"`
	Vars    map[string]any `json:"vars,omitempty"`
	State   schemas.State  `json:"state,omitzero"`
	Pass    []string       `json:"pass,omitempty"`    // variables of the caller's that the program may see besides the built-in few
	Remove  bool           `json:"destroy,omitempty"` // make it not be there
	Network []string       `json:"network,omitempty"` // hosts that tests may reach, and a pull request's plan, whose Pass is to plan with
}

// Unplanned is the error for infrastructure that is not to be planned where it was asked for,
// and says why.
type Unplanned string

func (u Unplanned) Error() string { return string(u) }

// Change is what a Provisioner would do. Raw holds values and is for policies
// alone: it is never printed, logged or recorded.
type Change struct {
	Empty   bool             `json:"empty"`
	Actions []ResourceAction `json:"actions,omitempty"`
	Drift   []string         `json:"drift,omitempty"` // addresses that others changed
	// Warnings are what the program warned of, failed check blocks with it: file, line and
	// address with the message, without values.
	Warnings []string `json:"warnings,omitempty"`
	// Tests is how the tests of the stack's own module went; nil where it has none.
	Tests   *Tests            `json:"tests,omitempty"`
	Raw     json.RawMessage   `json:"-"`                // the whole change, as the tool writes it as JSON
	File    string            `json:"-"`                // the file that Apply carries out
	Digest  digest.Digest     `json:"digest,omitempty"` // of the actions and their shape, the same for the same change
	Outputs map[string]Output `json:"-"`                // as they stand now; set where Empty
	Tool    string            `json:"tool"`             // "terraform 1.11.4"
}

// Tests is how the tests of a stack's module went.
type Tests struct {
	Passed   int      `json:"passed"`
	Failed   int      `json:"failed"`
	Skipped  int      `json:"skipped"`
	Failures []string `json:"failures,omitempty"` // of each that failed, with file and line
	// NotRun is why they were not run: nothing would have kept them from this machine.
	NotRun string `json:"notRun,omitempty"`
	// Modules are those that the tests run, near or far: no plan tells of them.
	Modules []TestModule `json:"modules,omitempty"`
}

// TestModule is the call of a module that tests run, as it is written.
type TestModule struct {
	Name    string `json:"name"`
	Source  string `json:"source"`
	Version string `json:"version,omitempty"`
}

// ResourceAction is one resource's part of a change, without values.
type ResourceAction struct {
	Address string `json:"address"`
	Action  string `json:"action"` // create, update, replace, delete, read
}

// Output is one output value of a stack.
type Output struct {
	Value     json.RawMessage `json:"value"`
	Sensitive bool            `json:"sensitive,omitempty"`
}

// Outcome is what Apply did.
type Outcome struct {
	Done    []ResourceAction  `json:"done,omitempty"`
	Outputs map[string]Output `json:"-"`
	Partial bool              `json:"partial,omitempty"` // ended before all of the change was done
	Unread  bool              `json:"-"`                 // all was done, and the outputs cannot be told
	State   digest.Digest     `json:"state,omitempty"`   // of the state's bytes after
}

// Health says how a release stands.
type Health string

const (
	Ready    Health = "ready"
	Starting Health = "starting"
	Failing  Health = "failing" // keeps ending; Message says how
	Down     Health = "down"    // its host is not running
)

// Live is what a Server serves; the zero Live is nothing.
type Live struct {
	Key      digest.Digest `json:"key,omitempty"`
	Model    digest.Digest `json:"model,omitempty"`
	URL      string        `json:"url,omitempty"` // where it is asked: http://127.0.0.1:port
	Health   Health        `json:"health,omitempty"`
	Since    time.Time     `json:"since,omitzero"`
	Restarts int           `json:"restarts,omitempty"`
	Message  string        `json:"message,omitempty"`
	// Isolation is what keeps the served process apart from its machine; nil where none runs.
	Isolation *Isolation `json:"isolation,omitempty"`
	// Bytes is the class of what is served; empty where it is this machine's own files, checked at each start.
	Bytes string `json:"bytes,omitempty"`
	// Log is how the log of what is asked and answered is doing; nil where there is none.
	Log *Logging `json:"log,omitempty"`
	// Beside is the release that is tried beside this one; nil where none is.
	Beside *Trial `json:"beside,omitempty"`
	// Left is what stays of a release that was begun and has not ended; empty where nothing does.
	Left string `json:"left,omitempty"`
}

// BroughtBack is what was said of what serves, for who brings it back: without the advice to do that, which is for who looks on.
func BroughtBack(said string) string {
	line, _, _ := strings.Cut(said, "\n")
	line, _, _ = strings.Cut(line, "; run vishwa apply")
	return line
}

// Unlike says what serves in place of a release of model.
func (l Live) Unlike(model digest.Digest) string {
	switch {
	case l.Model == "" || model == "":
		return "serves something else"
	case l.Model == model:
		return "serves another release of model " + model.Short()
	}
	return "serves model " + l.Model.Short() + ", and not " + model.Short()
}

// Trial is a release that answers a part of the requests, beside the one that serves.
type Trial struct {
	Key     digest.Digest `json:"key"`
	Model   digest.Digest `json:"model,omitempty"`
	Weight  int           `json:"weight"`           // per cent of the requests
	Shadow  int           `json:"shadow,omitempty"` // per cent of the requests that are sent to it as well
	Health  Health        `json:"health,omitempty"`
	Since   time.Time     `json:"since,omitzero"`
	Message string        `json:"message,omitempty"`
	// Canary is what it was asked, and Baseline what another process of the release that serves was, which
	// began with it and has as many of the requests.
	Canary   Asked `json:"canary"`
	Baseline Asked `json:"baseline"`
	// Pairs is what came of requests that were sent to it as well; nil: none were.
	Pairs *Pairs `json:"pairs,omitempty"`
}

// Part is what a release that is tried has of the requests.
type Part struct {
	Weight int     // per cent that it answers
	Shadow *Shadow // requests that it is sent as well; nil: none
}

// Shadow says which requests are sent to a release as well once another has answered them, and when two answers agree.
type Shadow struct {
	Percent   int           `json:"percent"`
	Paths     []string      `json:"paths,omitempty"` // whole, or up to a * at the end; none: those of inference
	Tolerance float64       `json:"tolerance,omitempty"`
	Slower    time.Duration `json:"slower,omitempty"` // an answer that begins so much later is slower; zero: none is
}

// Share is how many per cent of the requests s sends twice; of nil, none.
func (s *Shadow) Share() int {
	if s == nil {
		return 0
	}
	return s.Percent
}

// Pairs is what two releases answered to the same requests.
type Pairs struct {
	Pairs     int64         `json:"pairs"`               // requests that were sent twice, and what came of them
	Taken     int64         `json:"taken,omitempty"`     // of these, that the release that serves answered with a status of 200 to 299
	Failed    int64         `json:"failed"`              // of Taken, by the new release
	OldFailed int64         `json:"oldFailed,omitempty"` // by the one that serves alone: they count for nothing
	Compared  int64         `json:"compared"`            // pairs of answers that can be compared
	Differ    int64         `json:"differ"`              // of these
	Unread    int64         `json:"unread,omitempty"`    // pairs that cannot be compared, as the answer of the one that serves is not at hand as a whole
	Slower    int64         `json:"slower,omitempty"`    // of Taken
	Dropped   int64         `json:"dropped,omitempty"`   // requests that were not sent again, as too many were under way
	Unfit     int64         `json:"unfit,omitempty"`     // requests that cannot be sent again: too large, or of a length that nobody said
	Numbers   int64         `json:"numbers,omitempty"`   // numbers that both answered
	Distance  float64       `json:"distance,omitempty"`  // of these, in sum
	Farthest  float64       `json:"farthest,omitempty"`  // of two of these
	Took      time.Duration `json:"took,omitempty"`      // until the new release's answers began, in sum over Answered
	OldTook   time.Duration `json:"oldTook,omitempty"`   // until those of the one that serves did
	Answered  int64         `json:"answered,omitempty"`  // of Taken, that the new release answered too
}

// Asked is how many requests there were, and how many of them failed.
type Asked struct {
	Requests int64 `json:"requests"`
	Failed   int64 `json:"failed"`
}

// Span is a stretch of history: what To has and From has not, of the commits after From.
type Span struct {
	From, To string
	Names    []string // of the root: one commit of each state of these is listed
	Only     []string // the commits that are looked at; nil: all of them
}

// Revision is a commit and what policies ask of it.
type Revision struct {
	SHA     string    `json:"sha"`
	Branch  string    `json:"branch,omitempty"` // empty: detached
	Subject string    `json:"subject,omitempty"`
	Author  string    `json:"author,omitempty"` // "Name <email>"
	Time    time.Time `json:"time,omitzero"`
}
