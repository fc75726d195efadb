// Runs on disk. A key has a folder, in it a folder an attempt, numbered; the
// newest is the run. What is decided by a file is decided once: the file appears
// whole, and its first writer wins.

package runner

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
	"github.com/vishwaops/vishwa/reconciler/machine/work"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// attempt is the folder of one try at a run. What is decided by its files is sealed:
// nothing else can put an order, a status or a result in their place, or move one.
type attempt struct {
	dir  string
	seal seal.Key
}

// order is what the starting process asks of the supervisor, in job.json.
type order = work.Order

// status is what the supervisor says of itself, in status.json.
type status struct {
	PID     int           `json:"pid"`
	State   port.RunState `json:"state"`
	Started time.Time     `json:"started"`
	Reason  string        `json:"reason,omitempty"` // what it waits for
}

func (a attempt) file(name string) string { return filepath.Join(a.dir, name) }

// purpose says which file of which attempt is sealed.
func (a attempt) purpose(name string) string {
	return name + " of run " + filepath.Base(filepath.Dir(a.dir)) + "/" + filepath.Base(a.dir)
}

// alive is held by the supervisor as long as it lives: the kernel lets go of it
// at any death, a reboot included, and a process number that is used again cannot
// be mistaken for it.
func (a attempt) alive() (bool, error) { return sandbox.Held(a.file("alive")) }

func (a attempt) work() string { return a.file("work") }

// newest is the attempt that counts, or Missing.
func newest(keyDir string, key seal.Key) (attempt, error) {
	n, err := latest(keyDir)
	if err != nil {
		return attempt{}, err
	}
	if n == 0 {
		return attempt{}, fault.New(fault.Missing, "find run: none was begun under this key")
	}
	return attempt{filepath.Join(keyDir, number(n)), key}, nil
}

// attemptNumber is which try of its key an attempt is, from 1.
func attemptNumber(a attempt) int {
	n, _ := strconv.Atoi(filepath.Base(a.dir))
	return n
}

func number(n int) string { return fmt.Sprintf("%06d", n) }

func latest(keyDir string) (int, error) {
	entries, err := os.ReadDir(keyDir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return 0, artifact.Disk(fmt.Errorf("list attempts: %w", err), keyDir)
	}
	last := 0
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err == nil && e.IsDir() {
			last = max(last, n)
		}
	}
	return last, nil
}

// next makes the folder of a new attempt, whole or not at all. Its alive file is
// held by the file that is returned before anyone can see the attempt.
// fill says what its job.json holds.
func next(keyDir string, key seal.Key, fill func(a attempt, n int) any) (attempt, *os.File, error) {
	n, err := latest(keyDir)
	if err != nil {
		return attempt{}, nil, err
	}
	final := attempt{filepath.Join(keyDir, number(n+1)), key}
	draft := attempt{final.dir + ".new", key}
	if err := sandbox.Remove(draft.dir); err != nil {
		return attempt{}, nil, fmt.Errorf("clear draft of attempt: %w", err)
	}
	raw, err := json.Marshal(fill(final, n+1))
	if err != nil {
		return attempt{}, nil, fmt.Errorf("encode job: %w", err)
	}
	if err := os.Mkdir(draft.dir, 0o700); err != nil {
		return attempt{}, nil, fmt.Errorf("make attempt: %w", err)
	}
	if err := sandbox.WriteFile(draft.file(orderFile), key.Wrap(final.purpose(orderFile), raw)); err != nil {
		return attempt{}, nil, fmt.Errorf("write job: %w", err)
	}
	held, err := os.OpenFile(draft.file("alive"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return attempt{}, nil, fmt.Errorf("make attempt: %w", err)
	}
	if err = sandbox.Hold(held); err == nil {
		err = os.Rename(draft.dir, final.dir)
	}
	if err != nil {
		held.Close()
		return attempt{}, nil, fmt.Errorf("make attempt: %w", err)
	}
	return final, held, nil
}

// forget removes every attempt but the newest, and what of them may still run.
func forget(keyDir string) error {
	last, err := latest(keyDir)
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(keyDir)
	if err != nil {
		return fmt.Errorf("list attempts: %w", err)
	}
	for _, e := range entries {
		name := strings.TrimSuffix(e.Name(), ".new")
		if n, err := strconv.Atoi(name); err == nil && n < last {
			if err := sandbox.Remove(filepath.Join(keyDir, e.Name())); err != nil {
				return fmt.Errorf("remove old attempt: %w", err)
			}
		}
	}
	return nil
}

func (a attempt) order() (order, error) {
	var o order
	err := a.readSealed(orderFile, &o)
	return o, err
}

func (a attempt) status() (status, error) {
	var s status
	err := a.readSealed(statusFile, &s)
	return s, err
}

func (a attempt) result() (port.Result, error) {
	var r port.Result
	err := a.readSealed(resultFile, &r)
	return r, err
}

func (a attempt) setStatus(s status) error { return a.write(statusFile, s) }

// write seals one file, whole or not at all.
func (a attempt) write(name string, v any) error {
	raw, err := json.Marshal(v)
	if err == nil {
		err = sandbox.WriteFile(a.file(name), a.seal.Wrap(a.purpose(name), raw))
	}
	if err != nil {
		return artifact.Disk(fmt.Errorf("write %s: %w", name, err), a.dir)
	}
	return nil
}

// conclude writes the result where there is none yet; Done is final.
func (a attempt) conclude(r port.Result) error {
	raw, err := json.Marshal(r)
	draft := a.file(fmt.Sprintf("result-%d.json", os.Getpid()))
	if err == nil {
		err = sandbox.WriteFile(draft, a.seal.Wrap(a.purpose(resultFile), raw))
	}
	if err == nil {
		err = os.Link(draft, a.file(resultFile))
		os.Remove(draft)
	}
	if err != nil && !errors.Is(err, os.ErrExist) {
		return artifact.Disk(fmt.Errorf("write result: %w", err), a.dir)
	}
	return nil
}

// The sealed files.
const (
	orderFile  = "job.json"
	statusFile = "status.json"
	resultFile = "result.json"
)

// readSealed is one sealed file; one whose seal does not hold is Corrupt, and counts as none.
func (a attempt) readSealed(name string, into any) error {
	raw, err := os.ReadFile(a.file(name))
	if errors.Is(err, os.ErrNotExist) {
		return fault.New(fault.Missing, "read %s: %w", name, err)
	}
	if err == nil {
		raw, err = a.seal.Open(a.purpose(name), raw)
	}
	if err == nil {
		err = json.Unmarshal(raw, into)
	}
	if err != nil {
		return fault.WithHint(fault.New(fault.Corrupt, "read %s: %w", name, err),
			"Nothing has to be done: apply begins the run anew")
	}
	return nil
}

// Has tells whether runs in the folder dir have one of a key.
func Has(dir string, key digest.Digest) bool {
	at, err := keyDir(dir, key)
	if err != nil {
		return false
	}
	_, err = os.Stat(at)
	return err == nil
}

// keyDir is the folder of a key. Half of the digest is enough to tell keys apart
// and keeps paths short.
func keyDir(state string, key digest.Digest) (string, error) {
	if _, err := digest.Parse(string(key)); err != nil {
		return "", fault.New(fault.Invalid, "find run: %w", err)
	}
	return filepath.Join(state, key.Hex()[:32]), nil
}
