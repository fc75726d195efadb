// Starting what is served: the server that has a public port, its traffic and the order of a change in
// hand begins processes by a starter, where they are no processes of this machine.

package port

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
)

// Starter begins what serves releases of one target, for the traffic of this machine. What is recorded of a release
// is the starter's to write and to read; it holds no secret.
type Starter interface {
	// Settle is what of r is recorded, with what the environment says of it: the same for the same
	// release in the same environment. It asks nobody.
	Settle(r Release) (json.RawMessage, error)
	// Fetch has all there that Start needs besides the release's own files.
	Fetch(ctx context.Context, settled json.RawMessage) error
	// Start begins the command of s and returns at once. Where it does not, nothing of it is left.
	// What an earlier start of the same owner and name left, and Kept has no word for, is taken away
	// first, and nothing that is not the owner's.
	Start(ctx context.Context, settled json.RawMessage, s Start) (Started, error)
	// Clear takes away all that was begun for an owner's name. Clearing twice is once.
	Clear(ctx context.Context, settled json.RawMessage, owner Owner, name string) error
}

// Owner says whose it is what was begun, by names that tell nothing and are label values: the state folder of the server and,
// where other machines have folders of their own, the installation of Vishwa.
type Owner struct{ Folder, Installation string }

// Start is one start of a release that lies on disk and was verified there a moment ago.
type Start struct {
	Owner   Owner
	Name    string          // that it is served under
	Unit    string          // of this release: no two that live have the same
	Dir     string          // where it lies: code, model, inputs, params.json
	Files   digest.Manifest // all that lies there of it, by its paths below Dir
	Command []string
	Set     []string // NAME=value; a value that begins with Dir is a path in it
	Pass    []string // NAME=value, of the caller's
	Kept    func(unit string) bool
	Out     io.Writer // of what it writes
}

// Started is what answers, from its start to its end.
type Started interface {
	// Done is closed when it has ended.
	Done() <-chan struct{}
	// How tells how it ended, once it has.
	How() string
	// Stop ends it and all that it began: gently, and after grace not. Stopping twice is once.
	Stop(grace time.Duration) error
	// Dial connects to where it listens.
	Dial(ctx context.Context) (net.Conn, error)
	// Changed tells what somebody else did to it, though it may still answer; empty is nothing.
	Changed(ctx context.Context) string
	// Report is what keeps it apart from its machine.
	Report() Isolation
	// String names it, for people.
	String() string
}
