// The forge: where pull requests are talked about. Its values say what Vishwa
// reads and writes there, in no forge's own words.

package port

import (
	"context"
	"time"
)

// Forge is where pull requests are.
type Forge interface {
	PullRequests
	Comments
	StatusReporter
}

// PullRequests reads pull requests and who may do what. What is not there is Missing.
type PullRequests interface {
	// Pull is pull request n as it is now.
	Pull(ctx context.Context, n int) (PullRequest, error)
	// Open lists the open pull requests into the branch base, oldest first.
	Open(ctx context.Context, base string) ([]PullRequest, error)
	// MergedAs lists the pull requests that were merged as the commit sha, oldest first.
	MergedAs(ctx context.Context, sha string) ([]PullRequest, error)
	// Reviews lists all reviews of n, oldest first.
	Reviews(ctx context.Context, n int) ([]Review, error)
	// Pushers lists the logins of those who pushed to the branch that p comes from, sorted,
	// each once, and perhaps more than those of p itself. A forge that does not tell all of
	// them, as for another's repository, says Missing.
	Pushers(ctx context.Context, p PullRequest) ([]string, error)
	// Tips lists the commits that a branch was at, as the forge noted each time that it moved,
	// and since, one of them, was: the newest first, without a gap. A forge that does not tell
	// all of them back to since says Missing.
	Tips(ctx context.Context, branch, since string) ([]string, error)
	// Landed lists the logins of those who moved a branch since it was last at since: whoever pushed to it, and whoever opened a
	// pull request that was merged into it, or pushed to that one's branch; sorted, each once, and perhaps more. Since is "" for
	// as far back as the forge knows. A forge that does not tell all of them says Missing.
	Landed(ctx context.Context, branch, since string) ([]string, error)
	// Propose finds the pull request from p.Head into p.Base, or opens it. One that
	// was closed when its newest commit was p.SHA stays closed, and is returned:
	// people have said no to it. One that was withdrawn is opened again.
	Propose(ctx context.Context, p Proposal) (PullRequest, error)
	// Withdraw closes pull request n, and says why below it. One that is closed, or that
	// somebody else opened, is left alone, and so is one that people opened again after it was withdrawn for the same reason.
	Withdraw(ctx context.Context, n int, why string) error
	// Permission tells what login may do in the repository; nobody known may do nothing.
	Permission(ctx context.Context, login string) (Permission, error)
}

// Comments is the conversation.
type Comments interface {
	// Comments lists what was written below pull request n, or below any where n is
	// 0, and touched at or after since; oldest first. Vishwa's own is not among it.
	Comments(ctx context.Context, n int, since time.Time) ([]Comment, error)
	// OwnComment is the body of Vishwa's own comment of pull request n that begins with
	// marker, or "".
	OwnComment(ctx context.Context, n int, marker string) (string, error)
	// UpsertComment makes body, which begins with marker, the body of Vishwa's one comment of
	// pull request n: it is written where there is none, edited where it differs, and
	// left alone where it is the same. Where there are several, the oldest stays. A
	// comment of somebody else that copies the marker is not Vishwa's.
	UpsertComment(ctx context.Context, n int, marker, body string) (url string, err error)
	// React answers a remark; answering twice is once.
	React(ctx context.Context, remark int64, with Reaction) error
	// Reacted tells whether Vishwa has answered a remark.
	Reacted(ctx context.Context, remark int64) (bool, error)
}

// StatusReporter shows results beside commits.
type StatusReporter interface {
	// ReportStatus shows m at m.SHA, as a check run with annotations where that is allowed,
	// else as a commit status. What shows it already is left alone.
	ReportStatus(ctx context.Context, m CommitStatus) error
	// ReportDeployment shows that a deployment is under way, or how it ended. The same
	// rollout, by its Key, is shown once and its state is moved on; what it takes the place of, by the name
	// before the @ of its Key, is shown as over. One that is Gone and was never shown is not shown.
	ReportDeployment(ctx context.Context, r Deployment) error
}

// Account is somebody on the forge.
type Account struct {
	Login string `json:"login"`
	Bot   bool   `json:"bot,omitempty"`
}

// PullRequest is a pull request.
type PullRequest struct {
	Number   int       `json:"number"`
	Title    string    `json:"title"`
	Author   Account   `json:"author"`
	Base     string    `json:"base"`    // branch
	Head     string    `json:"head"`    // branch, of another repository where Fork
	HeadSHA  string    `json:"headSHA"` // its newest commit
	Fork     bool      `json:"fork,omitempty"`
	Owner    string    `json:"owner,omitempty"` // whose repository Head is in, where Fork and known
	Draft    bool      `json:"draft,omitempty"`
	Closed   bool      `json:"closed,omitempty"` // merged or not
	Merged   bool      `json:"merged,omitempty"`
	MergeSHA string    `json:"mergeSHA,omitempty"` // the commit on Base, where Merged
	URL      string    `json:"url,omitempty"`
	Updated  time.Time `json:"updated,omitzero"`
}

// Proposal is a pull request to be opened, of a branch of the repository itself.
type Proposal struct {
	Base, Head  string // branches
	SHA         string // of Head
	Title, Body string // of a pull request that is opened; one that is open keeps its own
}

// ReviewState is what a review says.
type ReviewState string

const (
	Approved  ReviewState = "approved"
	Rejected  ReviewState = "changes-requested"
	Commented ReviewState = "commented"
	Dismissed ReviewState = "dismissed"
)

// Review is a review of a pull request at a commit.
type Review struct {
	ID    int64       `json:"id"`
	By    Account     `json:"by"`
	State ReviewState `json:"verdict"`
	SHA   string      `json:"sha"` // what was reviewed
	Time  time.Time   `json:"time"`
}

// Comment is a comment that somebody wrote below a pull request.
type Comment struct {
	ID   int64     `json:"id"`
	Pull int       `json:"pull"`
	By   Account   `json:"by"`
	Body string    `json:"body"`
	Time time.Time `json:"time"` // written
	// Edited says that it does not stand as it was written. Whoever may write to the
	// repository can edit what others said.
	Edited bool `json:"edited,omitempty"`
}

// Permission is what an account may do in a repository, in rising order.
type Permission int

const (
	Nothing Permission = iota
	Reading
	Triaging
	Writing
	Maintaining
	Administering
)

// Reaction is an answer to a remark.
type Reaction string

const (
	Seen     Reaction = "eyes"     // under way
	Well     Reaction = "+1"       // done
	Declined Reaction = "-1"       // not allowed
	Puzzled  Reaction = "confused" // not understood
)

// State says how a mark stands.
type State string

const (
	Pending   State = "pending" // under way
	Succeeded State = "success"
	Failure   State = "failure"
	Waits     State = "waiting" // for a person: an approval, a command
	Gone      State = "gone"    // of a deployment: it was taken away
)

// CommitStatus is a result beside a commit.
type CommitStatus struct {
	SHA         string
	Name        string // such as vishwa/plan: one mark a name and commit
	State       State
	Title       string // one line
	Summary     string // Markdown: the whole report, where the forge has room for it
	URL         string // of more
	Annotations []Annotation
}

// Annotation is a message at a line of a file.
type Annotation struct {
	Path    string
	Line    int    // from 1
	Level   string // notice, warning, failure
	Title   string
	Message string
}

// Deployment is a deployment as a forge shows it.
type Deployment struct {
	Key         string // names the rollout: the deployment, @ and its content key
	SHA         string
	Environment string
	State       State
	Description string
	URL         string // where it is served
	Production  bool
}
