// What programs that were killed have left: it goes when the next one begins, unless
// another is at work.

package dvccache

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
)

// atWork is a file that everybody who writes to the cache has a shared lock on. The
// system lets go of it when a program ends, however it ends.
func (c *Cache) atWork() string {
	return filepath.Join(c.root, "files", "md5", underway, "lock")
}

// begin says that somebody is at work, until the file is closed.
func (c *Cache) begin() (*os.File, error) {
	f, err := os.OpenFile(c.atWork(), os.O_RDWR|os.O_CREATE, 0o666)
	if err == nil && c.shared {
		_ = f.Chmod(0o664) // another's is as it should be already
	}
	if err != nil {
		return nil, artifact.Disk(err, c.root)
	}
	// A file system without locks has nobody swept, which needs them alone.
	_ = lock(f, unix.LOCK_SH)
	return f, nil
}

// CacheLock says that somebody is at work, until it is closed.
type CacheLock struct {
	c *Cache
	f *os.File
}

// Hold keeps gc away until what is added is pointed to, too.
func (c *Cache) Hold() (*CacheLock, error) {
	f, err := c.begin()
	if err != nil {
		return nil, err
	}
	h := &CacheLock{c, f}
	h.mark()
	return h, nil
}

// Close lets gc in.
func (h *CacheLock) Close() error {
	h.mark() // first: who comes in then sees that something was done
	return h.f.Close()
}

// mark changes the Mark.
func (h *CacheLock) mark() {
	_, _ = h.f.WriteAt(binary.LittleEndian.AppendUint64(nil, rand.Uint64()), 0) // where locks cannot be, neither can marks
}

// Mark is another each time that somebody begins or ends to add to the cache.
func (c *Cache) Mark() string {
	b, err := os.ReadFile(c.atWork())
	if err != nil {
		return ""
	}
	return string(b)
}

// patience is how long those who are at work are waited for.
const patience = 10 * time.Minute

// Alone waits until nobody is at work, and keeps everybody else from it until it is closed.
func (c *Cache) Alone(ctx context.Context) (io.Closer, error) {
	f, err := os.OpenFile(c.atWork(), os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, artifact.Disk(err, c.root)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		switch err := lock(f, unix.LOCK_EX|unix.LOCK_NB); {
		case err == nil:
			return f, nil
		case !errors.Is(err, unix.EWOULDBLOCK): // a file system without locks
			return f, nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			f.Close()
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return nil, fault.WithHint(fault.New(fault.Conflict, "others have been adding to the cache %s for %s", c.root, patience), "run gc when they have ended")
			}
			return nil, fault.New(fault.Cancelled, "wait for the cache: %w", ctx.Err())
		}
	}
}

func lock(f *os.File, how int) error {
	for {
		if err := unix.Flock(int(f.Fd()), how); err != unix.EINTR {
			return err
		}
	}
}

// sweep removes what was left under way, where nobody is at work.
func (c *Cache) sweep() {
	f, err := os.OpenFile(c.atWork(), os.O_RDWR, 0)
	if err != nil {
		return // nobody has ever written
	}
	defer f.Close()
	if lock(f, unix.LOCK_EX|unix.LOCK_NB) != nil {
		return
	}
	for i := range desks {
		left, err := readNames(c.desk(uint64(i)))
		if err != nil {
			continue
		}
		for _, name := range left {
			_ = os.Remove(filepath.Join(c.desk(uint64(i)), name)) // the next one tries again
		}
	}
	c.Abandon(false)
}

// draft begins the names of files that are not whole yet and stand where people look:
// in the work tree, and among what is remembered.
const draft = ".vishwa-draft-"

// Draft is a pattern of os.CreateTemp for a file that is not whole yet.
func Draft() string { return draft + process + "-*" }

// process is this one: to ask it of the system each time is one call more for each file.
var process = strconv.Itoa(os.Getpid())

// draftOf is the process that a draft, by its name, is of.
func draftOf(name string) (pid int, ok bool) {
	rest, ok := strings.CutPrefix(name, draft)
	process, n, cut := strings.Cut(rest, "-")
	pid, err := strconv.Atoi(process)
	if _, errN := strconv.ParseUint(n, 36, 64); !ok || !cut || err != nil || errN != nil || pid <= 0 {
		return 0, false
	}
	return pid, true
}

// IsDraft tells whether a file is one that is not whole, by its name: it is no data.
func IsDraft(name string) bool {
	_, ok := draftOf(name)
	return ok
}

// Left tells whether a file is a draft, by its name, of a process that has ended.
func Left(name string) bool {
	pid, ok := draftOf(name)
	return ok && pid != os.Getpid() && errors.Is(unix.Kill(pid, 0), unix.ESRCH)
}

// Tidy removes the drafts in dir that processes left that have ended.
func Tidy(dir string) {
	names, err := readNames(dir)
	if err != nil {
		return
	}
	for _, name := range names {
		if Left(name) {
			_ = os.Remove(filepath.Join(dir, name)) // the next one tries again
		}
	}
}

// draft is a name beside a file's that nothing has.
func (c *Cache) draft(to Spot) Spot {
	name := draft + process + "-" + strconv.FormatUint(c.pending.Add(1), 36)
	if to.In == nil {
		name = filepath.Join(filepath.Dir(to.Name), name)
	}
	return Spot{to.In, name}
}
