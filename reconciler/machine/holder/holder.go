// Package holder has those who wait for a lock between processes hear who holds it. A holder that somebody stopped (SIGSTOP, a debugger)
// lets go of nothing, and nobody sees it.
package holder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
)

const (
	sayAfter    = 3 * time.Second  // that nobody has let go of it
	stoppedMost = 30 * time.Second // that a holder which is stopped is waited for
	longest     = time.Hour        // that one release, or the beginning of one run, is waited for
)

// Wait says how to wait for a lock. The zero one waits without a word, for as long as its holder goes on.
type Wait struct {
	Tell func(text string) // once, after a while, who holds it; nil: nobody is told
	Most time.Duration     // that one is waited for that is not known; 0: no end
}

// Told is how to wait for what takes no longer than a release; log may be nil.
func Told(log *slog.Logger) Wait {
	return Wait{Most: longest, Tell: func(text string) {
		if log != nil {
			log.Warn(text)
		}
	}}
}

// Lock is as sandbox.Lock, and notes in the file who holds it.
func (t Wait) Lock(ctx context.Context, path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make lock folder: %w", err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	switch err = sandbox.Hold(f); {
	case fault.Of(err) == fault.Conflict:
		within, end := context.WithCancelCause(ctx)
		defer end(nil)
		fault.Go(func() { t.watch(within, path, end) }, end)
		if f, err = sandbox.LockFile(within, f); err != nil {
			if why := context.Cause(within); ctx.Err() == nil && why != nil {
				return nil, why
			}
			return nil, err
		}
	case err != nil:
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", filepath.Base(path), err)
	}
	note := fmt.Sprintf("%d %s\n", os.Getpid(), time.Now().UTC().Format(time.RFC3339))
	if f.Truncate(0) == nil { // who cannot be noted holds it all the same
		_, _ = f.WriteAt([]byte(note), 0)
	}
	return f, nil
}

// watch says who holds the lock at path, and ends the wait where that is not to come to an end.
func (t Wait) watch(ctx context.Context, path string, end func(error)) {
	began, stops, told := time.Now(), time.Duration(0), false
	const every = time.Second
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(every):
		}
		h := holderOf(path)
		if stops += every; !Stopped(h.pid) {
			stops = 0
		}
		waited := time.Since(began)
		switch {
		case stops >= stoppedMost:
			end(fault.WithHint(fault.New(fault.Transient, "wait for lock %s: %s", filepath.Base(path), h),
				"let it go on: kill -CONT %d; or end it: kill -KILL %[1]d; then run the command again", h.pid))
			return
		case t.Most > 0 && waited >= t.Most && h.pid == 0: // one that is known and goes on may have a release that takes a day to be ready
			end(fault.WithHint(fault.New(fault.Transient, "wait for lock %s: after %s %s", filepath.Base(path), t.Most, h), "see which process holds %s (fuser tells), and end it; then run the command again", path))
			return
		case waited >= sayAfter && !told && t.Tell != nil:
			t.Tell(fmt.Sprintf("Waiting for lock %s: %s.", filepath.Base(path), h))
			told = true
		}
	}
}

// process is one that holds a lock; 0: which one is not known.
type process struct {
	pid   int
	since time.Time
}

// holderOf is who noted itself in a lock file, where that process has it open: it may have ended, and its number be another's, or be one of
// another container.
func holderOf(path string) (h process) {
	f, err := os.Open(path)
	if err != nil {
		return h
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, 64))
	if err != nil {
		return h
	}
	var pid int
	var since string
	if n, _ := fmt.Sscanf(string(raw), "%d %s\n", &pid, &since); n != 2 || pid <= 0 || !has(pid, f) {
		return h
	}
	at, err := time.Parse(time.RFC3339, since)
	if err != nil {
		return h
	}
	return process{pid, at}
}

// has tells whether a process has a file open. Where the system does not tell, it is taken to have it while it is there.
func has(pid int, f *os.File) bool {
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		return unix.Kill(pid, 0) == nil
	}
	own, err := f.Stat()
	if err != nil {
		return false
	}
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	open, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrPermission) { // it conceals itself, as all that sign do
		return locks(pid, own)
	}
	if err != nil {
		return false
	}
	for _, e := range open {
		if at, err := os.Stat(filepath.Join(dir, e.Name())); err == nil && os.SameFile(own, at) {
			return true
		}
	}
	return false
}

// locks tells whether a process holds a lock of a file by flock, as proc_locks(5) tells everybody. Devices have other numbers there on some
// file systems.
func locks(pid int, file fs.FileInfo) bool {
	st, ok := file.Sys().(*syscall.Stat_t)
	raw, err := os.ReadFile("/proc/locks")
	if !ok || err != nil {
		return false
	}
	for line := range strings.Lines(string(raw)) { // 1: FLOCK  ADVISORY  WRITE 708 fe:01:2359297 0 EOF
		f := strings.Fields(line)
		if len(f) > 5 && f[1] == "FLOCK" && f[4] == strconv.Itoa(pid) && strings.HasSuffix(f[5], ":"+strconv.FormatUint(st.Ino, 10)) {
			return true
		}
	}
	return false
}

func (h process) String() string {
	if h.pid == 0 {
		return "another process holds it"
	}
	text := fmt.Sprintf("process %d has held it since %s", h.pid, h.since.Format("2006-01-02 15:04:05 UTC"))
	if Stopped(h.pid) {
		text += ", and is stopped"
	}
	return text
}

// Stopped tells whether somebody stopped a process, as SIGSTOP and debuggers do. Only Linux tells.
func Stopped(pid int) bool {
	if pid <= 0 {
		return false
	}
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(raw[max(0, strings.LastIndexByte(string(raw), ')')):]), " ")
	return strings.HasPrefix(rest, "T") || strings.HasPrefix(rest, "t")
}
