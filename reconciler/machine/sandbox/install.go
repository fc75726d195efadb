// Installing a lock file into a virtual environment, by uv where it is there and
// by venv and pip else.

package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/requirements"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
)

// installerVars say where packages come from and whom to trust for them. The
// installer alone gets them: an index address may hold a token.
var installerVars = []string{
	"HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS", "NETRC",
	"SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
	"PIP_CONFIG_FILE", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX", "PIP_TRUSTED_HOST",
	"PIP_CERT", "PIP_CLIENT_CERT", "PIP_PROXY", "PIP_TIMEOUT", "PIP_DEFAULT_TIMEOUT", "PIP_RETRIES",
	"PIP_CACHE_DIR", "PIP_NO_CACHE_DIR", "PIP_KEYRING_PROVIDER", "PIP_USE_FEATURE", "PIP_USE_DEPRECATED",
	"UV_CONFIG_FILE", "UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_NO_INDEX",
	"UV_INDEX_STRATEGY", "UV_INSECURE_HOST", "UV_NATIVE_TLS", "UV_SYSTEM_CERTS", "UV_OFFLINE", "UV_HTTP_TIMEOUT",
	"UV_CACHE_DIR", "UV_NO_CACHE", "UV_LINK_MODE", "UV_KEYRING_PROVIDER",
}

// InstallerVars are the caller's variables that Prepare may need, for whoever
// prepares an environment on the caller's behalf in another process.
func InstallerVars() []string { return append([]string(nil), installerVars...) }

// interpreter is what sets one Python apart from another.
type interpreter struct {
	Path    string `json:"path"`
	Version string `json:"version"`
	Tag     string `json:"tag"` // implementation and platform: compiled packages fit one alone
	Pip     []int  `json:"-"`   // its own pip, which installs but is no part of what is installed
}

const aboutPython = `import json, platform, sys, sysconfig
try:
    import importlib.metadata
    pip = [int(n) for n in importlib.metadata.version("pip").split(".")[:2]]
except Exception:
    pip = []
print(json.dumps({"pip": pip, "path": sys.executable, "version": platform.python_version(), "tag": sys.implementation.name + " " + sysconfig.get_platform()}))`

// installsElsewhere tells whether the interpreter's pip can install into another
// environment (pip 22.3 brought --python). Copying a pip of its own into each
// environment takes longer than most installations.
func (p interpreter) installsElsewhere() bool { return slices.Compare(p.Pip, []int{22, 3}) >= 0 }

// findPython asks the python3 of the caller's PATH what it is. The answer's path
// is the interpreter itself, behind any version switcher.
func (e Environments) findPython(ctx context.Context) (interpreter, error) {
	path, _ := e.Env.Lookup("PATH")
	program := LookPath("python3", path, "")
	if program == "" {
		return interpreter{}, missingPython()
	}
	out, err := e.askPython(ctx, program)
	if ctx.Err() != nil {
		return interpreter{}, fault.New(fault.Cancelled, "ask python3 for its version: %w", ctx.Err())
	}
	var p struct {
		interpreter
		Pip []int `json:"pip"`
	}
	if err == nil {
		err = json.Unmarshal(out, &p)
	}
	p.interpreter.Pip = p.Pip
	if err != nil || p.Path == "" {
		return interpreter{}, fault.WithHint(fault.New(fault.Invalid, "ask python3 for its version: %w", errors.Join(err, errors.New("no usable answer"))),
			"Check that `python3 --version` works in this shell")
	}
	if e.Foreign {
		err = e.isProgram(p.interpreter.Path)
	}
	return p.interpreter, err
}

// askPython begins the interpreter: one of an image behind the wall that its installer has, from
// where it reaches nothing.
func (e Environments) askPython(ctx context.Context, program string) ([]byte, error) {
	ask := []string{"-I", "-c", aboutPython}
	env := Environ(e.Env.Lookup, []string{"HOME"}, nil)
	spec := (*wall.Spec)(nil)
	if e.Foreign {
		spec = e.Wall.Spec()
	}
	if spec == nil {
		cmd := exec.CommandContext(ctx, program, ask...)
		cmd.Env, cmd.Dir = env, "/"
		return cmd.Output()
	}
	dir, err := filepath.Abs(filepath.Join(e.Dir, "asked"))
	if err != nil {
		return nil, err
	}
	at, tmp := filepath.Join(dir, "at"), filepath.Join(dir, "tmp")
	if err := errors.Join(Remove(dir), os.MkdirAll(at, 0o755), os.MkdirAll(tmp, 0o755)); err != nil {
		return nil, err
	}
	defer Remove(dir)
	path, _ := e.Env.Lookup("PATH")
	spec.Read, spec.Write, spec.Tmp = append(spec.Read, wall.Programs(path, program, spec.Hidden)...), []string{at}, tmp
	cmd, said := exec.Command(program, ask...), &tail{}
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.WaitDelay = env, at, said, time.Second
	g, err := Start(cmd, digest.Of([]byte(dir)).Hex()[:32], spec)
	if err != nil {
		return nil, err
	}
	bounded, cancel := context.WithTimeout(ctx, mostAsked)
	defer cancel()
	select {
	case <-bounded.Done():
	case <-g.Done():
	}
	if err := g.Stop(time.Second); err != nil {
		return nil, err
	}
	end, err := g.End()
	if err == nil && !end.Success() {
		err = fmt.Errorf("it ended with %s", end)
	}
	said.mu.Lock()
	defer said.mu.Unlock()
	return said.kept, err
}

// mostAsked is how long an interpreter may take to say what it is.
const mostAsked = 2 * time.Minute

// isProgram refuses what an image's interpreter says that it is, where that is none: it is shown
// to the installer, which is the image's as well.
func (e Environments) isProgram(path string) error {
	at, err := filepath.EvalSymlinks(path)
	bad := err != nil || !filepath.IsAbs(path) || executable(at) == ""
	for _, h := range e.Wall.Hidden {
		bad = bad || wall.Within(at, h)
	}
	if bad {
		return fault.WithHint(fault.New(fault.Invalid, "python3 of the image says that it is %q, which is no program of the image", path), "make the image anew with a plain Python 3")
	}
	return nil
}

// installation is one environment being made.
type installation struct {
	Environments
	python interpreter
	dir    string
	held   *os.File // the lock; the installer inherits it, so that one that outlives us keeps others away
	out    *tail
}

func (i installation) run(ctx context.Context, lock []byte) error {
	list, tmp := i.dir+".txt", i.dir+".tmp"
	if i.Wall.Unreviewed() && i.entrusted() {
		var err error
		if lock, err = requirements.WheelsAlone(lock); err != nil {
			return err
		}
	}
	if err := WriteFile(list, lock); err != nil {
		return fmt.Errorf("write lock file: %w", err)
	}
	defer os.Remove(list)
	if err := Remove(tmp); err != nil {
		return fmt.Errorf("make temporary folder: %w", err)
	}
	defer Remove(tmp)
	for _, dir := range []string{i.dir, tmp, i.cache()} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make environment: %w", err)
		}
	}
	behind, err := i.behind(lock, list, tmp)
	if err != nil {
		return err
	}
	if i.Wall.Unreviewed() {
		defer Remove(i.cache())
	}
	if err := i.steps(ctx, list, behind); err != nil {
		return err
	}
	return i.settle()
}

// steps are those of the installers.
func (i installation) steps(ctx context.Context, list string, behind *wall.Spec) error {
	do := func(program string, args ...string) error { return i.do(ctx, behind, program, args...) }
	built := []string(nil) // wheels alone, where code that nobody reviewed must not see how we log in
	if behind != nil && i.Wall.Unreviewed() && i.entrusted() {
		built = []string{"--only-binary", ":all:"}
		fmt.Fprintln(i.out, "vishwa: this machine logs in at its package index, so that source packages of pull requests are not built on it")
	}
	path, _ := i.Env.Lookup("PATH")
	python := filepath.Join(i.dir, "bin", "python")
	if uv := LookPath("uv", path, ""); uv != "" {
		if err := do(uv, "venv", "--no-config", "--python", i.python.Path, i.dir); err != nil {
			return err
		}
		how := append([]string{"pip", "install", "--python", python, "--require-hashes"}, built...)
		if built == nil { // it begins the environment's interpreter, and with it what packages start there
			how = append(how, "--compile-bytecode")
		}
		return do(uv, append(how, "-r", list)...)
	}
	venv := []string{"-I", "-m", "venv", i.dir}
	pip := []string{"-I", "-m", "pip"}
	by := python
	if i.python.installsElsewhere() {
		venv, pip, by = append(venv, "--without-pip"), append(pip, "--python", python), i.python.Path
	}
	if err := do(i.python.Path, venv...); err != nil {
		return fault.WithHint(err, "Install Python's venv module (Debian: apt-get install python3-venv), or uv")
	}
	pip = append(append(pip, "install", "--no-input", "--disable-pip-version-check", "--progress-bar=off", "--require-hashes"), built...)
	return do(by, append(pip, "-r", list)...)
}

// group names the processes of whoever installs into this directory.
func (i installation) group() string { return Installing(i.dir) }

// Installing names the processes of whoever installs an environment into dir, for Sweep.
func Installing(dir string) string { return digest.Of([]byte(dir)).Hex()[:32] }

// do runs one step of the installation to its end; cancelling ends all of its processes.
func (i installation) do(ctx context.Context, behind *wall.Spec, program string, args ...string) error {
	cmd := exec.Command(program, args...)
	cmd.Dir = i.Dir
	cmd.Env = Environ(i.Env.Lookup, installerVars, map[string]string{
		"NO_COLOR": "1", "PIP_CACHE_DIR": filepath.Join(i.cache(), "pip"), "UV_CACHE_DIR": filepath.Join(i.cache(), "uv"), "UV_LINK_MODE": "copy",
	})
	cmd.Stdout, cmd.Stderr = i.out, i.out
	cmd.ExtraFiles = []*os.File{i.held}
	cmd.WaitDelay = time.Second
	fmt.Fprintf(i.out, "$ %s %s\n", filepath.Base(program), strings.Join(args, " "))
	g, err := Start(cmd, i.group(), behind)
	if err != nil {
		return fmt.Errorf("start %s: %w", filepath.Base(program), err)
	}
	select {
	case <-ctx.Done():
		return errors.Join(fault.New(fault.Cancelled, "make environment: %w", ctx.Err()), g.Stop(2*time.Second))
	case <-g.Done():
	}
	// Nothing of it may still write, while what it made is given its modes and looked at.
	if err := g.Stop(2 * time.Second); err != nil {
		return fmt.Errorf("end %s: %w", filepath.Base(program), err)
	}
	end, err := g.End()
	if err != nil {
		return fmt.Errorf("run %s: %w", filepath.Base(program), err)
	}
	if !end.Success() {
		return fault.WithHint(fault.New(fault.Invalid, "make environment: %s ended with %s:\n%s", filepath.Base(program), end, i.out.last()),
			"Check the lock file against this machine's Python %s, and that the package index can be reached%s", i.python.Version, refusedHosts(g.Refused()))
	}
	return nil
}

// tail passes bytes on and remembers the last of them.
type tail struct {
	mu   sync.Mutex
	to   io.Writer
	kept []byte
}

const tailSize = 4 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, b...)
	if n := len(t.kept) - tailSize; n > 0 {
		t.kept = append(t.kept[:0], t.kept[n:]...)
	}
	if t.to != nil {
		_, _ = t.to.Write(b) // a reader who has gone away does not stop an installation
	}
	return len(b), nil
}

// last is what the installer said in the end, some twenty lines of it.
func (t *tail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(string(t.kept)), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}
