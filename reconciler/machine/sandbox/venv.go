// Python environments, one a lock file and interpreter, made once and kept.

package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/requirements"
	"github.com/vishwaops/vishwa/reconciler/machine/egress"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Environments keeps Python virtual environments below Dir. What is kept for
// pull requests and what is kept for the tracked branch have a Dir each.
type Environments struct {
	Dir  string
	Env  port.Env
	Seal seal.Key    // seals what is said of an environment
	Wall wall.Policy // what the machine's owner says of how installers are kept apart
	Dial egress.Dial // connects them to the package index; nil is plainly
	// Named connects them to a host that a lock file or an image names, and the machine's owner does not; nil is Dial.
	Named egress.Dial
	// Foreign tells that the interpreter, the variables and the settings are those of an image,
	// whoever made it: none of its programs begins before the wall is up, and where what is
	// installed is of a pull request, none of its settings says what is reached.
	Foreign bool
	// Packed is an environment that Pack wrote elsewhere, which may be for what is asked: then
	// nothing is installed. It is used by this process alone, and not kept for others. What it
	// reads must fail at its end where it is not what it should be. Nil is none.
	Packed func(ctx context.Context) (io.ReadCloser, error)
}

// Environment is one that is ready. The zero Environment is the caller's own PATH.
type Environment struct {
	Bin    string        `json:"bin,omitempty"`    // the folder to put before PATH
	Python string        `json:"python,omitempty"` // "3.11.7"
	Digest digest.Digest `json:"digest,omitempty"` // of the lock file and the interpreter
}

// Vars are the variables by which a command finds the environment.
func (e Environment) Vars(lookup func(string) (string, bool)) map[string]string {
	if e.Bin == "" {
		return map[string]string{}
	}
	path, _ := lookup("PATH")
	return map[string]string{
		"PATH":        strings.TrimSuffix(e.Bin+string(filepath.ListSeparator)+path, string(filepath.ListSeparator)),
		"VIRTUAL_ENV": filepath.Dir(e.Bin),
	}
}

// Prepare makes the environment that lock asks for, or finds it. Processes that
// ask at once make it once. An empty lock is the zero Environment; a lock without
// hashes is Invalid. What the installer says goes to progress.
func (e Environments) Prepare(ctx context.Context, lock []byte, progress io.Writer) (Environment, error) {
	if len(bytes.TrimSpace(lock)) == 0 {
		return Environment{}, nil
	}
	if _, err := requirements.Check(lock); err != nil {
		return Environment{}, err
	}
	python, err := e.findPython(ctx)
	if err != nil {
		return Environment{}, err
	}
	name, err := digest.JSON(struct {
		Lock   digest.Digest `json:"lock"`
		Python interpreter   `json:"python"`
	}{digest.Of(lock), python})
	if err != nil {
		return Environment{}, err
	}
	dir, err := filepath.Abs(filepath.Join(e.Dir, name.Hex()[:32]))
	if err != nil {
		return Environment{}, fmt.Errorf("find environments: %w", err)
	}
	if ready, err := finished(dir, e.Seal); err == nil {
		return ready, nil
	}
	held, err := Lock(ctx, dir+".lock")
	if err != nil {
		return Environment{}, fmt.Errorf("prepare environment: %w", err)
	}
	defer held.Close()
	ready, err := finished(dir, e.Seal)
	if err == nil { // another process has made it meanwhile
		return ready, nil
	}
	if fault.Of(err) == fault.Corrupt {
		fmt.Fprintf(progress, "vishwa: %v; it is made anew\n", err)
	}
	build := installation{Environments: e, python: python, dir: dir, held: held, out: &tail{to: progress}}
	// What an installer that lost its parent still writes must not get into this one.
	if err := Sweep(build.group(), time.Second); err != nil {
		return Environment{}, fmt.Errorf("end old installer: %w", err)
	}
	// A virtual environment holds its own path, so it is made where it stays.
	if err := errors.Join(removeFile(recordFile(dir)), Remove(dir)); err != nil {
		return Environment{}, fmt.Errorf("clear unfinished environment: %w", err)
	}
	if e.unpacked(ctx, name, dir, progress) {
		return Environment{Bin: filepath.Join(dir, "bin"), Python: python.Version, Digest: name}, nil
	}
	if err := build.run(ctx, lock); err != nil {
		_ = Remove(dir) // without its record it is cleared by whoever comes next
		return Environment{}, err
	}
	ready = Environment{Bin: filepath.Join(dir, "bin"), Python: python.Version, Digest: name}
	if err := finish(dir, ready, e.Seal); err != nil {
		return Environment{}, fmt.Errorf("finish environment: %w", err)
	}
	return ready, nil
}

// unpacked tells whether the environment was laid out from a pack. What cannot be used is
// said, and installed as if there were none.
func (e Environments) unpacked(ctx context.Context, name digest.Digest, dir string, progress io.Writer) bool {
	if e.Packed == nil {
		return false
	}
	began := time.Now()
	in, err := e.Packed(ctx)
	if err == nil {
		err = errors.Join(os.MkdirAll(filepath.Dir(dir), 0o755), unpack(ctx, in, name, dir, e.Wall.Filled(0).Limits.Disk))
		in.Close()
	}
	if err == nil && executable(filepath.Join(dir, "bin", "python")) == "" {
		err = fault.New(fault.Missing, "its interpreter is not here")
	}
	if err != nil {
		_ = Remove(dir)
		fmt.Fprintf(progress, "vishwa: the packed environment cannot be used here, and is installed instead: %v\n", err)
		return false
	}
	fmt.Fprintf(progress, "vishwa: the environment was unpacked in %s\n", time.Since(began).Round(time.Millisecond))
	return true
}

// WriteFile writes a file whole or not at all, also where the machine loses power.
func WriteFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// removeFile removes a file that may not be there.
func removeFile(path string) error {
	if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// Remove removes dir and what is below it, read-only folders included.
func Remove(dir string) error {
	err := os.RemoveAll(dir)
	if !errors.Is(err, os.ErrPermission) {
		return err
	}
	walk := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			return os.Chmod(p, 0o700)
		}
		return nil
	})
	return errors.Join(os.RemoveAll(dir), walk)
}

// missingPython is the one thing that Prepare cannot make.
func missingPython() error {
	return fault.WithHint(fault.New(fault.Missing, "find python3: it is not on PATH"), "Install Python 3 with its venv module (Debian: apt-get install python3 python3-venv) and put it on PATH")
}
