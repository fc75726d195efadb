// Package attempt keeps runs on disk. A key has a folder, in it a folder an attempt, numbered; the
// Newest is the run. What is decided by a file is decided once: the file appears
// whole, and its first writer wins.
package attempt

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

// Attempt is the folder of one try at a run. What is decided by its files is sealed:
// nothing else can put an order, a status or a result in their place, or move one.
type Attempt struct {
	Dir  string
	Seal seal.Key
}

// Order is what the starting process asks of the supervisor, in job.json.
type Order = work.Order

// Status is what the supervisor says of itself, in status.json.
type Status struct {
	PID     int           `json:"pid"`
	State   port.RunState `json:"state"`
	Started time.Time     `json:"started"`
	Reason  string        `json:"reason,omitempty"` // what it waits for
}

// File is where a file of it is.
func (a Attempt) File(name string) string { return filepath.Join(a.Dir, name) }

// purpose says which file of which attempt is sealed.
func (a Attempt) purpose(name string) string {
	return name + " of run " + filepath.Base(filepath.Dir(a.Dir)) + "/" + filepath.Base(a.Dir)
}

// Alive is held by the supervisor as long as it lives: the kernel lets go of it
// at any death, a reboot included, and a process number that is used again cannot
// be mistaken for it.
func (a Attempt) Alive() (bool, error) { return sandbox.Held(a.File("alive")) }

// Work is the folder of its command.
func (a Attempt) Work() string { return a.File("work") }

// Newest is the attempt that counts, or Missing.
func Newest(keyDir string, key seal.Key) (Attempt, error) {
	n, err := latest(keyDir)
	if err != nil {
		return Attempt{}, err
	}
	if n == 0 {
		return Attempt{}, fault.WithHint(fault.New(fault.Missing, "find run: none was begun under this key"), "run vishwa apply: it begins one where one is due")
	}
	return Attempt{filepath.Join(keyDir, number(n)), key}, nil
}

// Number is which try of its key an attempt is, from 1.
func Number(a Attempt) int {
	n, _ := strconv.Atoi(filepath.Base(a.Dir))
	return n
}

// Before is the attempt before it, which need not be there any more.
func (a Attempt) Before() Attempt {
	return Attempt{filepath.Join(filepath.Dir(a.Dir), number(Number(a)-1)), a.Seal}
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

// Next makes the folder of a new attempt, whole or not at all. Its alive file is
// held by the file that is returned before anyone can see the attempt.
// fill says what its job.json holds.
func Next(keyDir string, key seal.Key, fill func(a Attempt, n int) any) (Attempt, *os.File, error) {
	n, err := latest(keyDir)
	if err != nil {
		return Attempt{}, nil, err
	}
	final := Attempt{filepath.Join(keyDir, number(n+1)), key}
	draft := Attempt{final.Dir + ".new", key}
	if err := sandbox.Remove(draft.Dir); err != nil {
		return Attempt{}, nil, fmt.Errorf("clear draft of attempt: %w", err)
	}
	raw, err := json.Marshal(fill(final, n+1))
	if err != nil {
		return Attempt{}, nil, fmt.Errorf("encode job: %w", err)
	}
	if err := os.Mkdir(draft.Dir, 0o700); err != nil {
		return Attempt{}, nil, fmt.Errorf("make attempt: %w", err)
	}
	if err := sandbox.WriteFile(draft.File(OrderFile), key.Wrap(final.purpose(OrderFile), raw)); err != nil {
		return Attempt{}, nil, fmt.Errorf("write job: %w", err)
	}
	held, err := os.OpenFile(draft.File("alive"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return Attempt{}, nil, fmt.Errorf("make attempt: %w", err)
	}
	if err = sandbox.Hold(held); err == nil {
		err = os.Rename(draft.Dir, final.Dir)
	}
	if err != nil {
		held.Close()
		return Attempt{}, nil, fmt.Errorf("make attempt: %w", err)
	}
	return final, held, nil
}

// Forget removes every attempt but the newest, and what of them may still run.
func Forget(keyDir string) error {
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

func (a Attempt) Order() (Order, error) {
	var o Order
	err := a.ReadSealed(OrderFile, &o)
	return o, err
}

func (a Attempt) Status() (Status, error) {
	var s Status
	err := a.ReadSealed(StatusFile, &s)
	return s, err
}

func (a Attempt) Result() (port.Result, error) {
	var r port.Result
	err := a.ReadSealed(ResultFile, &r)
	return r, err
}

func (a Attempt) SetStatus(s Status) error { return a.Write(StatusFile, s) }

// Write seals one file, whole or not at all.
func (a Attempt) Write(name string, v any) error {
	raw, err := json.Marshal(v)
	if err == nil {
		err = sandbox.WriteFile(a.File(name), a.Seal.Wrap(a.purpose(name), raw))
	}
	if err != nil {
		return artifact.Disk(fmt.Errorf("write %s: %w", name, err), a.Dir)
	}
	return nil
}

// Conclude writes the result where there is none yet; Done is final.
func (a Attempt) Conclude(r port.Result) error {
	raw, err := json.Marshal(r)
	draft := a.File(fmt.Sprintf("result-%d.json", os.Getpid()))
	if err == nil {
		err = sandbox.WriteFile(draft, a.Seal.Wrap(a.purpose(ResultFile), raw))
	}
	if err == nil {
		err = os.Link(draft, a.File(ResultFile))
		os.Remove(draft)
	}
	if err != nil && !errors.Is(err, os.ErrExist) {
		return artifact.Disk(fmt.Errorf("write result: %w", err), a.Dir)
	}
	return nil
}

// The sealed files.
const (
	OrderFile  = "job.json"
	StatusFile = "status.json"
	ResultFile = "result.json"
)

// ReadSealed is one sealed file; one whose seal does not hold is Corrupt, and counts as none.
func (a Attempt) ReadSealed(name string, into any) error {
	raw, err := os.ReadFile(a.File(name))
	if errors.Is(err, os.ErrNotExist) {
		return fault.New(fault.Missing, "read %s: %w", name, err)
	}
	if err == nil {
		raw, err = a.Seal.Open(a.purpose(name), raw)
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
	at, err := Dir(dir, key)
	if err != nil {
		return false
	}
	_, err = os.Stat(at)
	return err == nil
}

// Dir is the folder of a key. Half of the digest is enough to tell keys apart
// and keeps paths short.
func Dir(state string, key digest.Digest) (string, error) {
	if _, err := digest.Parse(string(key)); err != nil {
		return "", fault.New(fault.Invalid, "find run: %w", err)
	}
	return filepath.Join(state, key.Hex()[:32]), nil
}
