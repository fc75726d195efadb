// The demo's stage: folders, people, keys, and running what is shown.

package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/vishwaops/vishwa/examples"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

// stage makes the folder: a bare remote, a clone with the example, keys and people.
func (a *cli) stage(ctx context.Context, dir string) (*demonstration, error) {
	for _, program := range []string{"git", "python3"} {
		if _, err := exec.LookPath(program); err != nil {
			return nil, fault.WithHint(fault.New(fault.Missing, "the demo needs %s, which is not on PATH", program), "install %s", program)
		}
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Invalid, "find %s: %w", dir, err), "go to a folder that exists, or give an absolute path")
	}
	if err := os.Mkdir(abs, 0o755); err != nil {
		return nil, fault.WithHint(fault.New(fault.Conflict, "make the demo's folder: %w", err), "name a folder that is not there yet: vishwa demo NEW-FOLDER, or make demo DEMO=NEW-FOLDER")
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fault.New(fault.Internal, "find the running program: %w", err)
	}
	d := &demonstration{a: a, ctx: ctx, self: self, dir: abs, repo: filepath.Join(abs, "students"), began: a.now()}
	if err := d.people(); err != nil {
		return nil, err
	}
	if err := d.environment(); err != nil {
		return nil, err
	}
	return d, d.repository()
}

func (d *demonstration) people() (err error) {
	if d.alice, err = d.person("alice"); err != nil {
		return err
	}
	d.bob, err = d.person("bob")
	return err
}

func (d *demonstration) person(name string) (person, error) {
	p := person{name: name, email: name + "@example.com", key: filepath.Join(d.dir, "people", name)}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return p, fault.New(fault.Internal, "make a key for %s: %w", name, err)
	}
	block, err := ssh.MarshalPrivateKey(private, p.email)
	if err != nil {
		return p, fault.New(fault.Internal, "encode the key of %s: %w", name, err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		return p, fault.New(fault.Internal, "encode the key of %s: %w", name, err)
	}
	p.public = strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
	return p, write(p.key, pem.EncodeToMemory(block), 0o600)
}

// environment keeps the demo's state and keys to its folder; software environments
// are shared with every other use of vishwa, so that a second demo is quick.
func (d *demonstration) environment() error {
	set := [][2]string{
		{"XDG_STATE_HOME", filepath.Join(d.dir, "state")},
		{"VISHWA_KEYS", filepath.Join(d.dir, "keys")},
		{"VISHWA_KEY_PASSWORD", rand.Text()},
	}
	var sh bytes.Buffer
	bin := filepath.Dir(d.self)
	if _, err := exec.LookPath("terraform"); err != nil {
		if tofu, err := exec.LookPath("tofu"); err == nil { // of make's own PATH, perhaps
			bin += string(os.PathListSeparator) + filepath.Dir(tofu)
		}
	}
	fmt.Fprintf(&sh, "# What the demo's commands ran with. The password guards the demo's keys alone.\nexport PATH=%q:\"$PATH\"\n", bin)
	d.env = os.Environ()
	for _, kv := range set {
		d.env = append(d.env, kv[0]+"="+kv[1])
		fmt.Fprintf(&sh, "export %s=%q\n", kv[0], kv[1])
	}
	return write(filepath.Join(d.dir, "env.sh"), sh.Bytes(), 0o600)
}

func (d *demonstration) repository() error {
	files, err := fs.Sub(examples.Files, example)
	if err != nil {
		return fault.New(fault.Internal, "open the example: %w", err)
	}
	d.narrate("A repository with a bare remote, a controller's keys, and two people whom trust.yaml knows.")
	if err := d.overlay(files, "."); err != nil {
		return err
	}
	trust := fmt.Sprintf(`# Whose approval counts. Alice develops; Bob may approve what goes to production.
apiVersion: vishwa.dev/v1alpha1
kind: Trust
principals:
  alice: {emails: [%s], ssh: [%q], roles: [developer]}
  bob: {emails: [%s], ssh: [%q], roles: [approver]}
`, d.alice.email, d.alice.public, d.bob.email, d.bob.public)
	if err := write(filepath.Join(d.repo, "trust.yaml"), []byte(trust), 0o644); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"git", "init", "-q", "--bare", "-b", "main", filepath.Join(d.dir, "remote.git")},
		{"git", "init", "-q", "-b", "main"},
		{"git", "remote", "add", "origin", filepath.Join(d.dir, "remote.git")},
		{"git", "config", "user.name", "Alice"},
		{"git", "config", "user.email", d.alice.email},
		{"git", "config", "commit.gpgsign", "false"},
	} {
		if _, err := d.run(d.ctx, 0, true, args...); err != nil {
			return err
		}
	}
	if _, err := d.run(d.ctx, 0, false, d.self, "keys", "generate", "--name", "demo"); err != nil {
		return err
	}
	return d.commit("Declare the enrollment model")
}

// narrate narrates.
func (d *demonstration) narrate(text string) {
	d.chapter++
	fmt.Fprintf(d.a.out, "\n== %d. %s\n", d.chapter, text)
}

// step lays one variation of the example over the repository and commits it.
func (d *demonstration) step(name, subject string) error {
	files, err := fs.Sub(examples.Files, path.Join(example, "steps", name))
	if err != nil {
		return fault.New(fault.Internal, "open the example: %w", err)
	}
	if err := d.overlay(files, "."); err != nil {
		return err
	}
	return d.commit(subject)
}

func (d *demonstration) commit(subject string) error {
	for _, args := range [][]string{{"git", "add", "-A"}, {"git", "commit", "-q", "-m", subject}, {"git", "push", "-q", "origin", "main"}} {
		if _, err := d.run(d.ctx, 0, false, args...); err != nil {
			return err
		}
	}
	return nil
}

func (d *demonstration) undo() error {
	for _, args := range [][]string{{"git", "revert", "--no-edit", "HEAD"}, {"git", "push", "-q", "origin", "main"}} {
		if _, err := d.run(d.ctx, 0, false, args...); err != nil {
			return err
		}
	}
	return nil
}

// overlay copies files into the repository; what only the demo needs stays out.
func (d *demonstration) overlay(files fs.FS, root string) error {
	return fs.WalkDir(files, root, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() {
			if p == "steps" {
				return fs.SkipDir
			}
			return nil
		}
		raw, err := fs.ReadFile(files, p)
		if err != nil {
			return err
		}
		return write(filepath.Join(d.repo, filepath.FromSlash(p)), raw, 0o644)
	})
}

func write(at string, raw []byte, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		return fault.WithHint(fault.New(fault.Invalid, "make folder: %w", err), "let this user write to %s", filepath.Dir(filepath.Dir(at)))
	}
	if err := os.WriteFile(at, raw, mode); err != nil {
		return fault.WithHint(fault.New(fault.Invalid, "write %s: %w", filepath.Base(at), err), "let this user write to %s", filepath.Dir(at))
	}
	return nil
}

// run runs one command in the repository, shows it unless quiet, and insists on
// its exit code: a demo that shows something else than it says fails.
func (d *demonstration) run(ctx context.Context, want int, quiet bool, args ...string) (string, error) {
	if !quiet {
		fmt.Fprintf(d.a.out, "$ %s\n", d.typed(args))
	}
	if err := os.MkdirAll(d.repo, 0o755); err != nil {
		return "", fault.WithHint(fault.New(fault.Invalid, "make the repository's folder: %w", err), "let this user write to %s", filepath.Dir(d.repo))
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir, cmd.Env = d.repo, d.env
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 30 * time.Second
	var seen bytes.Buffer
	cmd.Stdout = io.MultiWriter(&seen, d.a.out)
	cmd.Stderr = cmd.Stdout
	if quiet {
		cmd.Stdout, cmd.Stderr = &seen, &seen
	}
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return "", fault.New(fault.Cancelled, "the demo was stopped: %w", ctx.Err())
	case err != nil && !errors.As(err, &exit):
		return "", fault.New(fault.Internal, "run %s: %w", args[0], err)
	}
	if code := cmd.ProcessState.ExitCode(); code != want {
		if quiet {
			fmt.Fprint(d.a.err, seen.String())
		}
		return "", fault.New(fault.Internal, "%s ended with exit code %d; want %d", d.typed(args), code, want)
	}
	return seen.String(), nil
}

// expect runs vishwa and insists that it says something.
func (d *demonstration) expect(text string, args ...string) error {
	out, err := d.run(d.ctx, 0, false, append([]string{d.self}, args...)...)
	if err == nil && !strings.Contains(out, text) {
		return fault.New(fault.Internal, "%s does not say %q", d.typed(append([]string{d.self}, args...)), text)
	}
	return err
}

// typed is a command as a person would type it.
func (d *demonstration) typed(args []string) string {
	words := append([]string{filepath.Base(args[0])}, args[1:]...)
	for i, w := range words {
		w = strings.Replace(w, d.dir+string(filepath.Separator), ".."+string(filepath.Separator), 1)
		if strings.ContainsAny(w, " '\"") {
			w = fmt.Sprintf("%q", w)
		}
		words[i] = w
	}
	return strings.Join(words, " ")
}
