// Who is told that a monitor found something, or that a stack has drifted, and that it is over.

package port

import (
	"context"
	"time"
)

// Alert is an incident: a finding of a monitor, from the first window that showed it until one
// that is well, or the drift of a stack, from the first look that found it until one that does not. Its texts are plain: whatever a column of data is called, no more than a name
// stands here.
type Alert struct {
	ID         string // names the incident to all receivers, and is the same each time
	Repository string
	Monitor    string
	Deployment string
	Model      string // of the declaration
	Finding    string // drifted or fault
	Summary    string // one line
	Columns    []string
	Stack      string   // of infrastructure; then there is no monitor, deployment, model or column
	Resources  []string // of it, that are not as declared
	Entry      int64    // of the ledger: the newest that tells of it
	Pull       int      // the pull request that would train again; 0: there is none
	Since      time.Time
	Again      time.Time // zero: it was not over before
	Over       time.Time // zero: it goes on
}

// Receiver is told of incidents.
type Receiver interface {
	// Tell tells of an incident as it is now: that it began, or that it is over. The same may be
	// told again at any time, and a receiver that can recognises it. One that does not answer is
	// Transient, one that refuses is Denied or Invalid; no error holds an address's secret.
	Tell(ctx context.Context, a Alert) error
}

// Issue is a text on a forge that is open as long as something is to be done.
type Issue struct {
	Marker string // begins its body, and tells it from others
	Title  string // of one that is opened; one that is there keeps its own
	Body   string // begins with Marker
	Labels []string
	Since  time.Time // it was not there before
	Over   bool
	Again  bool // it was over, and is not any more
}

// Issues is a forge that has them.
type Issues interface {
	// ReportIssue opens the issue, or brings the one that is there up to date and, where it is
	// Over, closes it. What people closed stays closed, but for an issue that was over and is told of
	// Again. One that was never opened is not opened to be closed. Somebody else's issue that copies the marker is not ours.
	ReportIssue(ctx context.Context, i Issue) (url string, err error)
}
