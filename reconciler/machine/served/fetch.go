// Fetching: what runs in a pod before the one that serves. It brings the release, checks the model's
// signature and every byte, and only where it ends well does anything begin to serve.

package served

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/machine/dispatch"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/routine"
)

// The exit codes of a fetch that did not end well: what may end otherwise the next time, what will not, what does once it is lent anew, and
// what does where there is more room.
const (
	Again    = 1
	Hopeless = 3
	Lapsed   = 4
	Full     = 5
)

// lapsed is what could not be read as what was lent had ended.
type lapsed struct {
	until time.Time
	err   error
}

func (l lapsed) Error() string {
	return fmt.Sprintf("what this pod may read of the store ended at %s: %v", l.until.UTC().Format(time.RFC3339), l.err)
}

func (l lapsed) Unwrap() error { return l.err }

// TicketFile is where a pod that serves has its ticket.
const TicketFile = "/vishwa/ticket/" + TicketName

// TicketName is the key of the ticket in its Secret.
const TicketName = "release"

// fetchers are how many files are brought at once.
const fetchers = 8

// Fetcher brings one release into one folder.
type Fetcher struct {
	Now    func() time.Time
	Log    *slog.Logger
	Client *http.Client // nil is one of its own
	Dir    string       // of a volume of its own
	Ticket func() ([]byte, error)
	Want   digest.Digest // of the release
}

// FetchMain is the program of a pod's first container; ticket is the file, and want the digest of the release. It returns its exit code, and says why on standard error,
// of which Kubernetes keeps the end.
func FetchMain(ctx context.Context, ticket, want, dir string) int {
	ctx, cancel := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	f := Fetcher{Now: time.Now, Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})), Dir: dir,
		Want: digest.Digest(want), Ticket: func() ([]byte, error) { return os.ReadFile(ticket) }}
	_, err := digest.Parse(want)
	if err == nil {
		err = f.Fetch(ctx)
	}
	if err == nil {
		return 0
	}
	text := err.Error()
	if hint := fault.HintOf(err); hint != "" {
		text += ": " + hint
	}
	fmt.Fprintln(os.Stderr, text)
	return exitOf(err)
}

func exitOf(err error) int {
	if errors.As(err, new(lapsed)) {
		return Lapsed
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return Full
	}
	switch fault.Of(err) {
	case fault.Invalid, fault.Denied, fault.Corrupt, fault.Missing:
		return Hopeless
	}
	return Again
}

// Fetch has exactly the release in its folder, verified. What is there and right is not brought again: a pod that
// comes back with its volume needs nothing of the store.
func (f Fetcher) Fetch(ctx context.Context) error {
	packed, err := f.Ticket()
	if err != nil {
		return fault.New(fault.Transient, "read the ticket of the release: %w", err)
	}
	ticket, release, err := ReadTicket(packed, f.Want)
	if err != nil {
		return err
	}
	if f.Client == nil {
		f.Client = dispatch.Client(f.Log, f.Now)
	}
	store := ticketStore{dispatch.Lent(f.Client, ticket.Read, ticket.Until, f.Now), ticket.Inline}
	lacks, err := f.clear(ctx, release.Files)
	if err != nil {
		return err
	}
	if len(release.Model()) > 0 {
		signature, err := artifact.ReadAll(ctx, store, release.Signature)
		if err != nil {
			return f.ended(ticket, fmt.Errorf("bring the model's signature: %w", err))
		}
		if err := release.Verify(signature); err != nil {
			return err
		}
	}
	if err := f.room(lacks); err != nil {
		return err
	}
	return f.ended(ticket, f.bring(ctx, store, lacks))
}

// ended says that what was lent has ended, where that is why something could not be read.
func (f Fetcher) ended(t Ticket, err error) error {
	if err == nil || !f.Now().After(t.Until) {
		return err
	}
	return fault.WithHint(fault.New(fault.Transient, "%w", lapsed{t.Until, err}),
		"the controller lends it anew while it runs, and vishwa apply does; the pod then tries again by itself")
}

// ticketStore is the store as a ticket has it.
type ticketStore struct {
	port.Store
	inline map[digest.Digest][]byte
}

func (s ticketStore) Get(ctx context.Context, d digest.Digest) (io.ReadCloser, error) {
	if raw, ok := s.inline[d]; ok {
		if digest.Of(raw) != d {
			return nil, fault.WithHint(fault.New(fault.Corrupt, "%s: its bytes in the ticket are not what they are named", d), "run vishwa apply: it writes the ticket anew")
		}
		return io.NopCloser(bytes.NewReader(raw)), nil
	}
	return s.Store.Get(ctx, d)
}

// clear takes away what is not of the release, and tells which of its files are to be brought.
func (f Fetcher) clear(ctx context.Context, files digest.Manifest) (lacks digest.Manifest, err error) {
	want := map[string]digest.File{}
	folders := map[string]bool{".": true}
	for _, file := range files {
		want[file.Path] = file
		for d := path.Dir(file.Path); d != "."; d = path.Dir(d) {
			folders[d] = true
		}
	}
	root, err := os.OpenRoot(f.Dir)
	if err != nil {
		return nil, fault.New(fault.Internal, "open the folder of the release: %w", err)
	}
	defer root.Close()
	var wrong []string
	err = fs.WalkDir(root.FS(), ".", func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		file, declared := want[p]
		switch {
		case e.IsDir() && folders[p]:
			return nil
		case e.IsDir():
			wrong = append(wrong, p)
			return fs.SkipDir
		case declared && e.Type().IsRegular() && same(root, file):
			delete(want, p)
		default:
			wrong = append(wrong, p)
		}
		return ctx.Err()
	})
	for _, p := range wrong {
		err = errors.Join(err, root.RemoveAll(p))
	}
	if err != nil {
		return nil, artifact.Disk(fmt.Errorf("clear the folder of the release: %w", err), f.Dir)
	}
	for _, file := range files {
		if _, lack := want[file.Path]; lack {
			lacks = append(lacks, file)
		}
	}
	return lacks, nil
}

func same(root *os.Root, want digest.File) bool {
	in, err := root.Open(want.Path)
	if err != nil {
		return false
	}
	defer in.Close()
	d, n, err := digest.Reader(in)
	return err == nil && d == want.Digest && n == want.Size
}

// room tells of a volume that is too small before anything is brought.
func (f Fetcher) room(lacks digest.Manifest) error {
	var st unix.Statfs_t
	if err := unix.Statfs(f.Dir, &st); err != nil {
		return nil // the disk says so itself, later
	}
	if free := int64(st.Bavail) * int64(st.Bsize); lacks.Size() > free {
		return fault.WithHint(fault.New(fault.Transient, "the release has %d MiB, and the node's disk has %d MiB free", lacks.Size()>>20, free>>20),
			"give the pods nodes with more disk: by spec.target.kubernetes.nodeSelector, or by room on those that there are")
	}
	return nil
}

// bring fetches files side by side; the first that fails ends the others.
func (f Fetcher) bring(ctx context.Context, store ticketStore, lacks digest.Manifest) error {
	for _, dir := range []string{CodeDir, ModelDir, InputsDir} {
		if err := os.MkdirAll(filepath.Join(f.Dir, dir), 0o755); err != nil {
			return artifact.Disk(fmt.Errorf("make the folder of the release: %w", err), f.Dir)
		}
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var all routine.Set
	slots := make(chan struct{}, fetchers)
	for _, file := range lacks {
		slots <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		all.Start(func() {
			defer func() { <-slots }()
			at := filepath.Join(f.Dir, filepath.FromSlash(file.Path))
			err := os.MkdirAll(filepath.Dir(at), 0o755)
			if err == nil {
				err = artifact.CopyOut(ctx, store, file.Digest, at)
			}
			if err != nil {
				stop(fmt.Errorf("bring %s: %w", file.Path, artifact.Disk(err, "the release on its node")))
			}
		})
	}
	all.Wait()
	if err := context.Cause(ctx); err != nil {
		if errors.Is(err, context.Canceled) {
			return fault.New(fault.Cancelled, "bring the release: %w", err)
		}
		return err
	}
	return nil
}
