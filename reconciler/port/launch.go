// Launching: what carries out jobs elsewhere — a container engine, a cluster, a scheduler —
// as far as the remote runner needs to know. A launcher begins the worker and tells how it
// stands; what goes in, what comes out and what is believed of it is the runner's affair.

package port

import (
	"context"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/schemas"
)

// Launcher begins tasks on a tool that carries them out elsewhere. Its credentials are its
// own, from the tool's usual places, and reach no task.
type Launcher interface {
	// Launch begins task, or finds the one that is there under its name. One of that name
	// with another owner, job or launch is a Conflict: it is left alone. A task that the tool
	// will never take as it is written is Invalid, and says why: by an Unfit, where it is for
	// its image or for want of room. What may pass is Transient.
	Launch(ctx context.Context, task Task) (TaskID, error)
	// Observe tells how a task stands. A task that is gone, or one of the same name that is
	// not id's, is Missing; where the tool itself is another than id says, as a cluster that
	// was made anew under the same name, it is a Conflict.
	Observe(ctx context.Context, id TaskID) (TaskStatus, error)
	// Await is Observe once the task stands otherwise than seen, or after a while. It watches
	// where the tool can, and asks at a pace of its own where it cannot.
	Await(ctx context.Context, id TaskID, seen TaskStatus) (TaskStatus, error)
	// Remove ends a task with all of its processes and takes it away. It returns when what
	// the task held is free again. Removing twice is once, and so is removing what is gone.
	Remove(ctx context.Context, id TaskID) error
}

// Watcher is a Launcher that hears of changes of its tasks by itself.
type Watcher interface {
	// Known is how a task stands that runs, without a question to the tool; false is where that
	// is not known for sure, and the tool has to be asked.
	Known(ctx context.Context, id TaskID) (TaskStatus, bool)
}

// Readier is a Launcher that knows, without a question to its tool, what will keep it from asking: a token
// that cannot be read.
type Readier interface {
	Ready() error
}

// TaskID names a task so that no other is taken for it.
type TaskID struct {
	Name string `json:"name"`
	UID  string `json:"uid"`            // the tool's own, never given twice
	Tool string `json:"tool,omitempty"` // which tool it is: a cluster's or an engine's identity
}

// Task is a worker to be begun. Its name is a DNS label of at most 63 characters.
type Task struct {
	Name   string        `json:"name"`
	Owner  string        `json:"owner"`          // whose it is: a repository under one controller; a valid label value
	Job    digest.Digest `json:"job"`            // of the job's document
	Launch string        `json:"launch"`         // which try of the job: a label value that tells nothing
	Ref    schemas.Ref   `json:"ref"`            // for people
	Pull   bool          `json:"pull,omitempty"` // of code that nobody reviewed

	Image string `json:"image,omitempty"` // by digest
	// Command begins the worker; it holds no secret. Its first word is WorkerProgram where a
	// mount or a step before it brings the worker, so that nothing of the image comes first;
	// else it is an interpreter of the image that fetches the worker.
	Command []string `json:"command"`
	// Ticket is what the worker needs to know, and is secret: it lies in the file that
	// TicketFile names or, where a tool gives a task no file, is the variable TicketVariable.
	Ticket []byte `json:"-"`
	// Mounts are folders of this machine, for tools that have the same machine.
	Mounts []Mount `json:"mounts,omitempty"`

	Resources schemas.Resources `json:"resources,omitzero"`
	Nodes     int               `json:"nodes,omitempty"` // zero is one
	Priority  string            `json:"priority,omitempty"`
	Spot      bool              `json:"spot,omitempty"`
	// External is begun in place of a worker: Command and Ticket are empty then.
	External *Delegation `json:"external,omitempty"`
	// Isolated has it reach nothing of a network. What the run itself reaches is the worker's affair.
	Isolated bool `json:"isolated,omitempty"`
	// Deadline bounds a task that nobody looks after: longer than the job's own time-out.
	Deadline time.Duration `json:"deadline"`
}

// Delegation is work that was not written for Vishwa, and what it is told.
type Delegation struct {
	Is       schemas.External `json:"is"`
	Manifest []byte           `json:"manifest,omitempty"` // the bytes of the file that it names
	// Vars are what it is told, by name: VISHWA_OUTPUTS, the address below which it writes;
	// VISHWA_PARAMS, as JSON; VISHWA_INPUT_<NAME>, where a file is read until the run must have
	// ended. Who sees the task sees them.
	Vars map[string]string `json:"vars"`
}

// ExternalOutputs is the variable of the address below which external work writes.
const ExternalOutputs = "VISHWA_OUTPUTS"

// ExternalArtifacts is the folder below that address in which a pipeline keeps its artifacts.
const ExternalArtifacts = "artifacts"

// Mount is a folder of this machine in a task.
type Mount struct {
	From  string `json:"from"` // absolute
	To    string `json:"to"`   // absolute, below WorkerDir
	Write bool   `json:"write,omitempty"`
}

// Where a worker finds what it was given.
const (
	WorkerDir      = "/vishwa"               // of mounts, and of what the worker needs itself
	TicketFile     = "/vishwa/ticket/ticket" // mode 0400, or 0440 where the task is alone in its group
	WorkerProgram  = "/vishwa/bin/vishwa-worker"
	WorkDir        = "/vishwa/work" // where it works: writable, with room
	TicketVariable = "VISHWA_TICKET"
)

// WorkerVariables are those by which an image would speak to the worker instead of to its run:
// what launchers tell, how Go's own library reaches others and whom it trusts. No image of a
// task may set them; proxies are spelt in lower case, too.
func WorkerVariables() []string {
	return []string{TicketVariable, NodeRank, NodeCount, NodeAddress, NodeAddresses,
		"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy",
		"SSL_CERT_FILE", "SSL_CERT_DIR", "GODEBUG", "GOTRACEBACK", "GOGC", "GOMEMLIMIT", "GOMAXPROCS"}
}

// Variables that a launcher sets where a job has several nodes.
const (
	NodeRank    = "VISHWA_NODE_RANK" // 0 to nodes-1; 0 writes what comes out
	NodeCount   = "VISHWA_NODES"
	NodeAddress = "VISHWA_NODE_ADDRESS" // host of rank 0, as the others reach it
	// NodeAddresses are the hosts of all, by rank, with commas; not every tool can tell.
	NodeAddresses = "VISHWA_NODE_ADDRESSES"
)

// TaskPhase says how far a task has come.
type TaskPhase string

const (
	TaskWaiting TaskPhase = "waiting" // for a queue, for room, for its image; Reason says for what
	TaskRunning TaskPhase = "running"
	TaskEnded   TaskPhase = "ended" // final, but where it is Preempted: its tool may begin it again
)

// TaskStatus is how a task stands, as its tool tells. How the run within it ended is told by
// its result; this counts where there is none.
type TaskStatus struct {
	Phase TaskPhase `json:"phase"`
	// Reason is why it waits or how it ended, for people: position 3 in queue team-a; no node
	// has 2 GPUs. It holds no secret.
	Reason   string `json:"reason,omitempty"`
	Cause    Cause  `json:"cause,omitempty"` // of what ended badly: Exit, OutOfMemory, Preempted, BadImage, Unschedulable, TimedOut, Stopped or Lost
	ExitCode int    `json:"exitCode,omitempty"`
}

// Unfit is in the error of Launch, an Invalid one, for a task that its tool will never take:
// it says what the task would have ended as.
type Unfit struct {
	Cause  Cause // BadImage or Unschedulable
	Reason string
}

func (u *Unfit) Error() string { return u.Reason }

// Lender is a Bucket that lends: a worker without credentials reads some of its objects and
// writes below one prefix, until it ends.
type Lender interface {
	Lend(ctx context.Context, loan Loan) (Grant, error)
}

// Loan is what is asked of a Lender. Keys and the prefix are the bucket's.
type Loan struct {
	Read  []string
	Write string    // a prefix that ends in a slash
	Until time.Time // a lender may give less: Grant says
	// Anew has what signs it asked for anew, where that at hand ends before Until: what is lent
	// once cannot be lent anew.
	Anew bool
}

// Grant is what a worker is lent; it is secret.
type Grant struct {
	// Read has where each key is read: a URL that needs nothing else.
	Read map[string]string `json:"read"`
	// Write is where objects below the prefix are written.
	Write WriteGrant `json:"write"`
	Until time.Time  `json:"until"`
}

// WriteGrant is either a form that is posted (S3's POST policy: each object's field key
// begins with Prefix), or a folder.
type WriteGrant struct {
	URL    string            `json:"url"` // https://host/bucket, or file:///folder
	Fields map[string]string `json:"fields,omitempty"`
	Prefix string            `json:"prefix,omitempty"` // with the bucket's own in front
}
