// How a worker's program begins: its ticket, its folder, its copy.

package dispatch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// mostTicket bounds a ticket, in bytes.
const mostTicket = 1 << 20

// Main is the worker's program: it finds its ticket, works, and returns its exit code.
func Main(ctx context.Context, version string) int {
	ticket, err := ownTicket(port.TicketFile, os.LookupEnv, os.Unsetenv)
	if err != nil {
		untold(os.Stderr, terminationFile, err)
		return Untold
	}
	dir, done, err := room()
	if err != nil {
		untold(os.Stderr, terminationFile, err)
		return Untold
	}
	defer done()
	if file := os.Getenv(fetched); file != "" && filepath.Base(file) == path.Base(port.WorkerProgram) {
		defer func() { _ = errors.Join(os.Remove(file), os.Remove(filepath.Dir(file))) }()
	}
	return Work(ctx, Worker{Now: time.Now, Lookup: os.LookupEnv, Program: version, Ticket: ticket, Dir: dir,
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))})
}

// ownTicket is the ticket of the file or, where there is none, of the variable: the file is
// the launcher's, and a variable may be the image's. It is taken away either way.
func ownTicket(file string, lookup func(string) (string, bool), unset func(string) error) ([]byte, error) {
	text, set := lookup(port.TicketVariable)
	if err := unset(port.TicketVariable); err != nil {
		return nil, fmt.Errorf("take the ticket: %w", err)
	}
	f, err := os.Open(file)
	switch {
	case errors.Is(err, fs.ErrNotExist) && set:
		return []byte(text), nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.WithHint(fault.New(fault.Missing, "there is no ticket: neither %s nor %s is set; a runner begins workers, people do not", port.TicketVariable, file), "run vishwa apply: it begins workers, and gives each its ticket")
	case err != nil:
		return nil, fmt.Errorf("read the ticket: %w", err)
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, mostTicket))
}

// fetched is the variable by which Bootstrap tells what it fetched, in a folder of its own.
const fetched = "VISHWA_FETCHED"

// room is where to work: the folder that a runner made for it, or one below the temporary
// folder, which done removes: its machine may be there for longer than the worker.
func room() (dir string, done func(), err error) {
	if st, err := os.Stat(port.WorkDir); err == nil && st.IsDir() {
		return port.WorkDir, func() {}, nil
	}
	dir, err = os.MkdirTemp("", "vishwa-worker-")
	return dir, func() { _ = sandbox.Remove(dir) }, err
}

// Install copies the running program into dir, under the name that tasks begin it by.
func Install(dir string) error {
	in, err := os.Open("/proc/self/exe")
	if err != nil {
		return fmt.Errorf("copy the worker: %w", err)
	}
	defer in.Close()
	to := filepath.Join(dir, path.Base(port.WorkerProgram))
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755)
	if err == nil {
		_, err = io.Copy(out, in)
		err = errors.Join(err, out.Chmod(0o755), out.Close())
	}
	if err != nil {
		return fmt.Errorf("copy the worker: %w", err)
	}
	return nil
}
