// Package port is the contents page: one small interface a role that the outside
// world plays, the values that pass through, and Env, an adapter's only door to
// the machine. Errors carry a fault.Kind; none of them holds a secret.
package port

import (
	"context"
	"io"
	"io/fs"
	"log/slog"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
)

// Env is what an adapter may know of the machine.
type Env struct {
	Now    func() time.Time
	Log    *slog.Logger
	Lookup func(name string) (string, bool) // the caller's environment, one variable at a time
	Self   string                           // the path of the running vishwa program, for processes that outlive it
	// Bounds are what declarations may use of what is this machine's; nil: all of it, as of a user's own commands.
	Bounds Bounds
	// Offline has nobody asked who is not on this machine.
	Offline bool
}

// DataFetcher has the data that pointers name.
type DataFetcher interface {
	// FetchData puts data into the store, file by file, and tells what it is by SHA-256.
	// tree is the repository's at the revision, for the configuration of its remotes.
	// Data that no remote has is Missing, data that is not what its pointer says Corrupt.
	FetchData(ctx context.Context, tree fs.FS, p DataPointer, tell func(line string)) (Artifact, error)
}

// Store keeps bytes by their digest.
type Store interface {
	Has(ctx context.Context, d digest.Digest) (bool, error)
	// Get reads bytes and checks them on the way: a read that reaches the end of
	// bytes that are not d fails with Corrupt instead of io.EOF. Absent is Missing.
	Get(ctx context.Context, d digest.Digest) (io.ReadCloser, error)
	// Put keeps what r yields. Half a Put is invisible; putting twice is once.
	Put(ctx context.Context, r io.Reader) (digest.Digest, int64, error)
}

// WriteTester is a Store that tells whether Put would be let. Nothing new is seen in it
// afterwards but, where nothing less shows it, the empty content.
type WriteTester interface {
	TestWrite(ctx context.Context) error
}

// Runner carries out jobs, each named by its key.
type Runner interface {
	// Start begins job, or finds the run that was begun under the same key. A run
	// that ended badly is begun anew.
	Start(ctx context.Context, job Job) (Run, error)
	// Poll tells how the run under key stands; an unknown run is Missing. Done is final.
	Poll(ctx context.Context, key digest.Digest) (Run, error)
	// Wait tells how the run under key stands once that is another state than seen, or once
	// more than offset bytes of its log are there, or after a while: how a runner learns of
	// it, and how often it asks its tool, is its own affair. An unknown run is Missing; where
	// ctx ends, Wait ends as Cancelled.
	Wait(ctx context.Context, key digest.Digest, seen RunState, offset int64) (Run, error)
	// Stop ends the run and every process that it began. Stopping twice is once.
	Stop(ctx context.Context, key digest.Digest) error
	// Logs reads the run's output from offset, in bytes, as far as it has come.
	Logs(ctx context.Context, key digest.Digest, offset int64) ([]byte, error)
}

// Signer signs in-toto statements.
type Signer interface {
	// Sign wraps statement, an in-toto Statement v1 as JSON, in a DSSE envelope
	// signed by the key of role, in a Sigstore bundle v0.3 as JSON. A wrong
	// password is Denied, a lost key Missing.
	Sign(ctx context.Context, role Role, statement []byte) (bundle []byte, err error)
}

// Verifier checks what a Signer made, against the keys that are trusted.
type Verifier interface {
	// Verify returns the statement and who signed it. One flipped bit, or a key
	// that is not trusted, is Denied.
	Verify(ctx context.Context, bundle []byte) (statement []byte, by Identity, err error)
}

// Provisioner makes infrastructure match its declaration.
type Provisioner interface {
	// Diff says what Apply would do. Infrastructure that matches has an empty change and its outputs.
	Diff(ctx context.Context, i Infrastructure) (Change, error)
	// Apply carries out exactly the change that Diff returned; where the world has
	// moved on since, it is a Conflict and nothing is done. On an error the
	// Outcome still tells what was done.
	Apply(ctx context.Context, i Infrastructure, c Change) (Outcome, error)
}

// Server serves releases.
type Server interface {
	// Observe tells what is served under name; nothing is the zero Live.
	Observe(ctx context.Context, name string) (Live, error)
	// Apply serves r under its name, or stops serving where r has no target. It
	// returns when r answers, or with an error while what was served before goes on.
	// Applying twice is once.
	Apply(ctx context.Context, r Release) (Live, error)
}

// Observer looks at what is served.
type Observer interface {
	// Observe is a Server's.
	Observe(ctx context.Context, name string) (Live, error)
}

// Surveyor is a Server that looks at many names at less cost than at one after another.
type Surveyor interface {
	// Survey looks at many names at once: what its Observe tells was asked after Survey, and may have been asked for
	// several names together. It is for one look, and not kept.
	Survey() Observer
}

// Reviver is a Server that can bring back what it served before as it stands.
type Reviver interface {
	// Revive makes the release of this key answer again, where it is what was served
	// under name last; Missing says that it is not. It lays nothing out.
	Revive(ctx context.Context, name string, key digest.Digest) (Live, error)
}

// Splitter is a Server that can try a new release beside the one that serves. An Apply of another release
// ends what is tried.
type Splitter interface {
	// Splits tells whether releases of a target can be tried here at all.
	Splits(target string) bool
	// Split has r answer its part of the requests under its name, and a second process of what serves,
	// begun with it, as many, where so many are left. It returns when both answer. For the release that is
	// tried already it changes the part alone. Where nothing is served under the name, it is Missing. A shadow where
	// requests cannot be sent twice is Invalid.
	Split(ctx context.Context, r Release, part Part) (Live, error)
	// Join ends what is tried under name, where it is of: its release, and where of has a Since, its trial that began
	// then and not one since. Promote makes it what serves, else what
	// serves has all requests again. Where it serves already, a promotion is done; where it does not, and nothing is
	// tried, the other is. A release that serves cannot go back by this, and another than what is tried is none
	// of it: both are a Conflict.
	Join(ctx context.Context, name string, of Trial, promote bool) (Live, error)
}

// Branch is a branch of the repository that files are delivered on, for somebody else to apply. It is neither the
// tracked branch nor one of Vishwa's own.
type Branch interface {
	// Read is the content of the file at path; nil where there is none. What is no plain file there is a Conflict.
	Read(ctx context.Context, path string) ([]byte, error)
	// Write has the file at path hold content, or be gone where that is nil, by one signed commit on top of what others
	// have written beside it meanwhile. Where it holds neither was nor content, it is a Conflict, and nothing is written;
	// what is so already is not written again.
	Write(ctx context.Context, path string, was, content []byte, message string) error
}

// Renewer is a Server that keeps up what it serves, where somebody calls it now and then.
type Renewer interface {
	// Renew lends anew what is served under name, where that ends soon. What is not served here is no error.
	Renew(ctx context.Context, name string) error
}

// Witness is a place outside of a ledger's branch where its checkpoints are kept:
// whoever can write the branch cannot take back what stands there.
type Witness interface {
	// Newest lists the checkpoints that are kept there, the newest first as far as the
	// place can tell, and no more than a few. None is no error. Nobody has checked them.
	Newest(ctx context.Context) ([][]byte, error)
	// Keep adds a checkpoint, which covers count entries. Keeping twice is once.
	Keep(ctx context.Context, count int64, checkpoint []byte) error
}

// Repo is the Git repository of declarations.
type Repo interface {
	// Head is the tracked revision. A repository without commits is Missing.
	Head(ctx context.Context) (Revision, error)
	// Open is the revision's tree, read-only. Symbolic links are listed as such and cannot be opened.
	Open(ctx context.Context, sha string) (fs.FS, error)
}
