// Opening the repository with its ports, and asking for secrets.

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/vishwaops/vishwa/reconciler/adapter/repo"
	"github.com/vishwaops/vishwa/reconciler/adapter/runner"
	"github.com/vishwaops/vishwa/reconciler/adapter/signer"
	"github.com/vishwaops/vishwa/reconciler/app"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// mode says whether a verb records something.
type mode bool

const (
	reading mode = false
	acting  mode = true
)

// station is the repository that a verb works at.
type station struct{ *app.Repository }

func (s *station) close() { _ = s.Close() }

// Intent is what the work tree declares, or the revision where there is none.
func (s *station) Intent(ctx context.Context) (*pass.Intent, error) {
	if s.Worktree != nil {
		return pass.Read(ctx, s.Worktree)
	}
	_, in, err := s.Head(ctx)
	return in, err
}

// where says where the ledger is kept.
func (s *station) where() string {
	if at := s.GitLedger.Remote(); at != "" {
		return "Ledger: " + at + "."
	}
	return "Ledger: this clone alone; there is no remote to keep it on."
}

func (a *cli) open(ctx context.Context, m mode) (*station, error) { return a.openTo(ctx, m, false) }

// openTo opens the repository; look is that what is checked out is looked at by the way.
func (a *cli) openTo(ctx context.Context, m mode, look bool) (*station, error) {
	env, err := a.env()
	if err != nil {
		return nil, err
	}
	if m == acting { // a run of the same user must not read the password from this process
		if err := sandbox.SetNonDumpable(); err != nil {
			env.Log.Warn("this process is not concealed from runs", "error", err)
		}
	}
	apart, err := wall.FromEnvironment(a.lookup)
	if err != nil {
		return nil, err
	}
	h, err := app.Open(ctx, app.Options{
		Dir: a.dir, Env: env, Wall: apart, Version: versionText(), Act: bool(m), Offline: a.offline, Look: look, Allow: a.allow, Keys: &signer.Ring{Unlock: a.unlock},
		Password: func() ([]byte, error) { return a.secret("VISHWA_KEY_PASSWORD", "Password of the controller's keys") },
	})
	if err != nil {
		return nil, err
	}
	return &station{h}, nil
}

// openAndObserve opens the repository and looks at its work tree; the caller closes the station.
func (a *cli) openAndObserve(ctx context.Context) (*station, *pass.Snapshot, error) {
	s, err := a.openTo(ctx, reading, true)
	if err != nil {
		return nil, nil, err
	}
	w, err := s.Preview(ctx)
	if err != nil {
		s.close()
		return nil, nil, err
	}
	return s, w, nil
}

// env is the adapters' door to the world.
func (a *cli) env() (port.Env, error) {
	self, err := os.Executable()
	if err != nil {
		return port.Env{}, fault.New(fault.Internal, "find the running program: %w", err)
	}
	level := slog.LevelWarn
	if a.verbose {
		level = slog.LevelDebug
	}
	lookup := a.lookup
	if a.offline { // what installs packages goes by what it has
		lookup = func(name string) (string, bool) {
			if name == "UV_OFFLINE" || name == "PIP_NO_INDEX" {
				return "1", true
			}
			return a.lookup(name)
		}
	}
	return port.Env{
		Now: a.now, Lookup: lookup, Self: self, Offline: a.offline,
		Log: slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: level})),
	}, nil
}

// path is p as seen from the folder that -C names.
func (a *cli) path(p string) string {
	if filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(a.dir, p)
}

// secret comes from the environment or from a person.
func (a *cli) secret(variable, prompt string) ([]byte, error) {
	if v, ok := a.lookup(variable); ok {
		return []byte(v), nil
	}
	f, ok := a.in.(*os.File)
	if !a.terminal || !ok {
		return nil, fault.WithHint(fault.New(fault.Denied, "%s is not set, and nobody is at a terminal to ask", variable), "set %s", variable)
	}
	fmt.Fprintf(a.err, "%s: ", prompt)
	pass, err := term.ReadPassword(int(f.Fd()))
	fmt.Fprintln(a.err)
	if err != nil {
		return nil, fault.New(fault.Cancelled, "read the password: %w", err)
	}
	return pass, nil
}

// newSecret is a secret that is set here: a person types it twice, as a slip would be noticed only
// once it opens nothing.
func (a *cli) newSecret(variable, prompt string) ([]byte, error) {
	first, err := a.secret(variable, prompt)
	if _, given := a.lookup(variable); given || err != nil || len(first) == 0 { // who makes keys refuses an empty one
		return first, err
	}
	again, err := a.secret(variable, "The same once more")
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(first, again) {
		return nil, fault.WithHint(fault.New(fault.Invalid, "the two passwords are not the same: nothing was made"), "run it again, and type the same password twice")
	}
	return first, nil
}

// superviseVerb is the process that stays with one run; vishwa begins it itself.
func (a *cli) superviseVerb() *cobra.Command {
	return &cobra.Command{
		Use: "supervise DIR RUNS", Hidden: true, Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			a.garbage.Eager()
			env, err := a.env()
			if err != nil {
				return err
			}
			cfg, err := app.SuperviseConfig(args[1], env)
			if err != nil {
				return err
			}
			if code := runner.Supervise(cmd.Context(), args[0], cfg); code != 0 {
				return exitCode(code)
			}
			return nil
		},
	}
}

// hostVerb is the process that serves releases; vishwa begins it itself.
func (a *cli) hostVerb() *cobra.Command {
	return &cobra.Command{
		Use: "host DIR KEY", Hidden: true, Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			a.garbage.Eager()
			env, err := a.env()
			if err != nil {
				return err
			}
			if err := app.Host(cmd.Context(), args[0], args[1], env); err != nil && !errors.Is(err, context.Canceled) {
				return err
			}
			return nil
		},
	}
}

// tree is the work tree of the repository, or the folder itself where there is no
// repository: validate needs none.
func (a *cli) tree() (fs.FS, error) {
	r, err := repo.Open(a.dir, repo.Options{})
	if err == nil && !r.Bare() {
		return r.Worktree(), nil
	}
	if err != nil && fault.Of(err) != fault.Missing {
		return nil, err
	}
	root, err := os.OpenRoot(a.dir)
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Missing, "open %s: %w", a.dir, err), "name an existing folder with -C")
	}
	return root.FS(), nil
}

// placed is err, why the declarations of tree cannot be read, with the folder where there is nothing
// that declares: a name alone does not say where it was looked for.
func (a *cli) placed(tree fs.FS, err error) error {
	if _, statErr := fs.Stat(tree, schemas.Root); err == nil || !errors.Is(statErr, fs.ErrNotExist) {
		return err
	}
	dir := absolute(a.dir)
	if r, openErr := repo.Open(a.dir, repo.Options{}); openErr == nil {
		dir = r.Dir()
		r.Close()
	}
	return app.NoProject(dir)
}
