// vishwa controller: the reconciler as a service, for many repositories.

package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/cmd/internal/terminal"
	"github.com/vishwaops/vishwa/reconciler/adapter/signer"
	"github.com/vishwaops/vishwa/reconciler/app"
	"github.com/vishwaops/vishwa/reconciler/controller"
	"github.com/vishwaops/vishwa/reconciler/controller/config"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/machine/token"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/wrap"
	"github.com/vishwaops/vishwa/schemas"
)

func (a *cli) controllerVerb() *cobra.Command {
	var file string
	var check bool
	cmd := &cobra.Command{
		Use:   "controller --config FILE",
		Short: "Reconcile many repositories for as long as it runs",
		Long: `Reconcile many repositories for as long as it runs. It polls their refs, acts at once
on GitHub's webhooks and on changes of local repositories, and keeps the schedules of
declarations. /healthz, /readyz and /metrics show how it is.

SIGTERM or SIGINT ends it: it finishes what is under way or hands it back, as the
configuration says. A second signal ends it at once.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file == "" {
				return usage(cmd, fmt.Errorf("no configuration is given; add --config FILE"))
			}
			read := config.Read
			if check {
				read = config.Check
			}
			c, err := read(a.path(file))
			if err != nil {
				return err
			}
			if check {
				if err := a.examine(cmd.Context(), c); err != nil {
					return err
				}
				fmt.Fprintf(a.out, "%s is valid. Repositories: %d.\n", file, len(c.Repositories))
				return nil
			}
			return a.control(cmd.Context(), c)
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "the controller's `FILE`")
	cmd.Flags().BoolVar(&check, "check", false, "check the configuration, open what it names (keys, remotes, stores, ledgers, the forge) and test whether it may be written to, and do nothing")
	return cmd
}

// control runs the controller until ctx ends.
func (a *cli) control(ctx context.Context, c config.Spec) error {
	o, err := a.opener(c, slog.New(logHandler(a, c.Log)))
	if err != nil {
		return err
	}
	a.garbage.Eager()
	env := o.env
	if err := sandbox.SetNonDumpable(); err != nil {
		env.Log.Warn("this process is not concealed from runs", "error", err)
	}
	if c.State, err = o.state(); err != nil {
		return err
	}
	lock, err := alone(c.State)
	if err != nil {
		return err
	}
	defer lock.Close()
	if c.Lease.Name == "" {
		if c.Lease.Name, err = os.Hostname(); err != nil {
			return fault.WithHint(fault.New(fault.Internal, "find the machine's name: %w", err), "give the controller a name: lease: {name: NAME}")
		}
	}
	c.Lease.Name += "/" + rand.Text()[:8] // a machine may run two, and none takes the other for itself
	o.config = c
	roll, err := o.roll()
	if err != nil {
		return err
	}
	return controller.New(controller.Options{
		Config: c, Open: o.open, Roll: roll, Keys: o.ready, Now: a.now, Lookup: a.lookup, Log: env.Log, Metrics: o.metrics, Version: versionText(),
	}).Run(ctx)
}

// state is the controller's own folder.
func (o opener) state() (string, error) {
	if o.config.State != "" {
		return o.config.State, nil
	}
	p, err := app.FindPaths(o.env.Lookup, digest.Of(nil))
	return filepath.Join(filepath.Dir(p.State), "controller"), err
}

// stateWay is what to do about a state folder that cannot be used.
const stateWay = "make %s writable, or name another with state: in the controller's file"

// makeable tells whether dir is, or can be made, a folder to write to; it leaves nothing behind.
func makeable(dir string) error {
	at := dir
	for _, err := os.Lstat(at); errors.Is(err, fs.ErrNotExist) && filepath.Dir(at) != at; _, err = os.Lstat(at) {
		at = filepath.Dir(at)
	}
	tried, err := os.MkdirTemp(at, ".vishwa-check-")
	if err == nil {
		err = os.Remove(tried)
	}
	if err != nil {
		return fault.WithHint(fault.New(fault.Invalid, "the state folder %s cannot be made or written to: %w", dir, err), stateWay, dir)
	}
	return nil
}

// alone holds the controller's state folder: two would overwrite each other's memory.
func alone(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fault.WithHint(fault.New(fault.Invalid, "make the state folder: %w", err), stateWay, dir)
	}
	f, err := os.OpenFile(filepath.Join(dir, "controller.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Invalid, "open the state folder's lock: %w", err), stateWay, dir)
	}
	if err := sandbox.Hold(f); err != nil {
		f.Close()
		if fault.Of(err) == fault.Conflict {
			return nil, fault.WithHint(fault.New(fault.Conflict, "another controller works with the state folder %s", dir),
				"end it first, or give this one a folder of its own: state: DIR")
		}
		return nil, fmt.Errorf("lock the state folder: %w", err)
	}
	return f, nil
}

// logHandler logs as the configuration says, each line of a pass with its trigger.
func logHandler(a *cli, l config.Log) slog.Handler {
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.Level)); err != nil {
		level = slog.LevelInfo
	}
	o := &slog.HandlerOptions{Level: level}
	if l.Format == "text" {
		return controller.Correlated(slog.NewTextHandler(a.err, o))
	}
	return controller.Correlated(slog.NewJSONHandler(terminal.JSON(a.err), o))
}

// opener opens the repositories of a configuration.
type opener struct {
	cli     *cli
	config  config.Spec
	env     port.Env
	metrics *controller.Metrics
	keys    *signer.Ring
}

func (o opener) open(ctx context.Context, r config.Repository) (controller.Repository, error) {
	name := r.Title()
	apart, err := o.config.Isolation.Policy()
	if err != nil {
		return nil, err
	}
	apart.Hidden = o.config.Secrets()
	sealed, err := o.seal()
	if err != nil {
		return nil, err
	}
	s := app.ManagedOptions{
		Seal: sealed,
		Name: name, URL: cmp.Or(r.URL, r.Path), Branches: r.Branches, Env: o.env, Version: versionText(),
		Password: o.password, Keys: o.keys, Pass: r.Pass, Packages: &r.Packages, Trackers: &r.Trackers, Reach: o.reach(r), Wall: apart, Prices: o.config.Table(), Refresh: app.Refreshing{Allow: r.Allow},
		Lease:    &app.Lease{Holder: o.config.Lease.Name, Duration: o.config.Lease.Duration},
		Recorded: func(e ledger.Entry) { o.recorded(name, e) },
		Failed:   func(ref schemas.Ref, err error) { o.metrics.Step(name, string(ref.Kind), err) },
		Asked:    func(operation string) { o.metrics.Git(name, operation) },
		Watched: func(w controller.Watched) {
			w.Repository = name
			o.metrics.Watched(w)
		},
		Unwatched: func(monitors []string) { o.metrics.Unwatched(name, monitors) },
		Models:    func(all []controller.Model) { o.metrics.Models(name, all) },
		Incidents: func(open int) { o.metrics.Incidents(name, open) },
	}
	s.Env.Log, s.Env.Lookup = o.env.Log.With("repository", name), token.Below(r.Sees(o.env.Lookup), r.TokenFolder())
	var issues port.Issues
	if r.GitHub != nil {
		client, err := o.gitHub(ctx, r)
		if err != nil {
			return nil, err
		}
		s.Forge, s.Credentials, issues = client, client.Credentials, client
	}
	s.Receivers = o.receivers(r, issues)
	site, err := app.OpenManaged(ctx, s)
	if err != nil {
		return nil, err // no Site, rather than one that is nil inside
	}
	return site, nil
}

// reach is where the file lets runs and deployments of a repository be begun, and what they may use. What it does not say of the only
// repository is what the declarations say, and of one of several, nothing.
func (o opener) reach(r config.Repository) *wrap.Reach {
	shared := len(o.config.Repositories) > 1
	out := &wrap.Reach{Runners: r.Runners, Bounds: wrap.Bounds{Own: o.config.SecretVariables(), Variables: r.Passes(), Apart: shared}}
	for _, c := range r.Clusters {
		out.Clusters = append(out.Clusters, wrap.ClusterReach{Context: c.Context, Namespaces: c.Namespaces})
	}
	for _, m := range r.ModelServers {
		out.ModelServers = append(out.ModelServers, wrap.ModelServerReach{Folder: m.Folder, URL: m.URL})
	}
	if shared && out.Variables == nil {
		out.Variables = &r.Pass
	}
	if shared || r.Tokens != nil {
		out.Tokens = &r.Tokens
	}
	if shared || r.Storage != nil {
		out.Storage = &r.Storage
	}
	if shared || r.Hosts != nil {
		out.Hosts = &r.Hosts
	}
	out.Declared, out.Allow = r.Network == config.Declared, r.Allow
	if r.Infrastructure != nil {
		out.Apart = !*r.Infrastructure
	}
	return out
}

// ready opens the controller's keys, the same for all repositories.
func (o opener) ready(ctx context.Context) error {
	p, err := app.FindPaths(o.env.Lookup, digest.Of(nil))
	if err != nil {
		return err
	}
	return o.keys.Open(p.Keys, o.password).Ready(ctx)
}

// password opens the controller's keys: nobody is there to be asked.
func (o opener) password() ([]byte, error) {
	from := config.Secret{Env: "VISHWA_KEY_PASSWORD"}
	if o.config.KeyPassword != nil {
		from = *o.config.KeyPassword
	}
	return from.Read(o.cli.lookup)
}

// recorded counts what is on the ledger.
func (o opener) recorded(repository string, e ledger.Entry) {
	o.metrics.Ledger(repository, int(e.Seq)+1)
	if e.Ref.Kind.Traits().Outputs != schemas.CandidateOutputs {
		return
	}
	result := "success"
	if e.Action == ledger.Fail && e.Failure != nil {
		result = e.Failure.Cause
	} else if e.Action != ledger.Train {
		return
	}
	var took time.Duration
	if e.Run != nil {
		took = e.Run.Finished.Sub(e.Run.Started)
	}
	o.metrics.Training(controller.Trained{Repository: repository, Config: e.Ref.String(), Result: result, Took: took, Entry: e.Seq})
}
