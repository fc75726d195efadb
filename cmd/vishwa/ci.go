// vishwa ci: one job of GitHub Actions or Jenkins does what the controller would do
// for the event that began it.

package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/reconciler/adapter/forge"
	"github.com/vishwaops/vishwa/reconciler/adapter/repo"
	"github.com/vishwaops/vishwa/reconciler/adapter/signer"
	"github.com/vishwaops/vishwa/reconciler/app"
	"github.com/vishwaops/vishwa/reconciler/app/ci"
	"github.com/vishwaops/vishwa/reconciler/controller"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/templates"
)

// secrets are the variables that hold secrets. They are taken out of the process's
// environment when they are read: no process that it begins inherits them.
var secrets = []string{"GITHUB_TOKEN", "VISHWA_KEYS_ARCHIVE", "VISHWA_KEY_PASSWORD"}

// mostTries is how often a job looks before it gives up on what may pass.
const mostTries = 4

func (a *cli) ciVerb() *cobra.Command {
	var j job
	cmd := &cobra.Command{
		Use:   "ci",
		Short: "Do a controller's work in a job of GitHub Actions or Jenkins",
		Long: `In a job of GitHub Actions or Jenkins, do what the controller would do for the event
that started it: plan a pull request and show the plan in its comment, or apply a
tracked branch. vishwa init --github and --jenkins write the pipelines.

It reads GITHUB_TOKEN, VISHWA_KEYS_ARCHIVE (the base64 of a tar.gz of the keys'
folder) or VISHWA_KEYS, and VISHWA_KEY_PASSWORD. A pull request from a fork is
planned without them, and none of its code runs.

Exit codes: 0 done, nothing to do, or a pull request that waits for people, 1 error,
3 refused by policy, 4 conflict, 5 the tracked branch waits for people.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.ci(cmd.Context(), j) },
	}
	cmd.Flags().StringArrayVar(&j.branches, "branch", nil, "a tracked `BRANCH`; without it, the repository's default branch")
	j.lease = span(time.Minute)
	cmd.Flags().Var(&j.lease, "lease", "how long a job that gives no sign of life keeps the next one from the tracked branch")
	cmd.Flags().StringSliceVar(&j.allow, "allow", nil, "read datasets from this private `HOST` or network, over HTTP or as S3")
	cmd.Flags().StringVar(&j.junit, "junit", "", "write JUnit XML to `FILE`")
	cmd.Flags().StringVar(&j.report, "report", "", "write the whole report, Markdown, to `FILE`")
	return cmd
}

// job is one run of vishwa ci.
type job struct {
	branches      []string // tracked
	junit, report string   // files
	allow         []string // private hosts that datasets may be read from
	lease         span
	event         ci.Event
	env           port.Env
}

func (a *cli) ci(ctx context.Context, j job) error {
	desk, err := a.announcer()
	if err != nil {
		return err
	}
	event, err := a.eventBytes()
	if err != nil {
		return err
	}
	if j.event, err = ci.Read(a.lookup, event); err != nil {
		return err
	}
	if nothing := j.nothing(); nothing != "" {
		fmt.Fprintf(a.out, "Nothing to do: %s.\n", nothing)
		return a.outputs(map[string]string{"verdict": "nothing"})
	}
	forget, err := a.takeSecrets()
	if err != nil {
		return err
	}
	defer forget()
	if j.env, err = a.env(); err != nil {
		return err
	}
	r, err := a.perform(ctx, j)
	if err != nil {
		r = templates.Report{Stage: templates.Broken, Pull: r.Pull, Base: r.Base, Head: cmp.Or(r.Head, j.event.SHA), Problems: r.Problems, Error: err.Error(), Hint: fault.WayOut(err)}
	}
	if told := a.publishReport(desk, j, r); told != nil && err == nil {
		err = told
	}
	if err != nil {
		return err
	}
	return verdict(r)
}

// eventBytes is GitHub's file about the event; elsewhere there is none.
func (a *cli) eventBytes() ([]byte, error) {
	path, _ := a.lookup("GITHUB_EVENT_PATH")
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Missing, "read the event: %w", err), "run vishwa ci in a job of GitHub Actions, which sets GITHUB_EVENT_PATH")
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, 26<<20)) // a little more than the largest, so that a larger one shows
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Invalid, "read the event: %w", err), "see that the job may read the file that GITHUB_EVENT_PATH names")
	}
	return raw, nil
}

// nothing says why there is nothing to do, if so; and settles which branches are tracked.
func (j *job) nothing() string {
	if len(j.branches) == 0 {
		j.branches = []string{cmp.Or(j.event.Default, j.event.Branch)}
	}
	switch {
	case j.event.Kind == ci.Nothing:
		return j.event.Why
	case j.event.Branch != "" && !slices.Contains(j.branches, j.event.Branch):
		return fmt.Sprintf("the branch %s is not tracked: --branch names those that are", j.event.Branch)
	case j.branches[0] == "":
		j.branches = []string{"main"}
	}
	return ""
}

// takeSecrets moves the secrets out of the environment, and the keys into a folder of
// their own for as long as the job lasts.
func (a *cli) takeSecrets() (forget func(), err error) {
	if err := sandbox.SetNonDumpable(); err != nil {
		fmt.Fprintf(a.err, "vishwa: this process is not concealed from runs: %s\n", err)
	}
	taken := map[string]string{}
	for _, name := range secrets {
		v, _ := a.lookup(name)
		taken[name] = v
		if err := os.Unsetenv(name); err != nil {
			return nil, fault.New(fault.Internal, "forget %s: %w", name, err)
		}
	}
	forget = func() {}
	if archive := taken["VISHWA_KEYS_ARCHIVE"]; archive != "" {
		files, err := ci.Keys(archive)
		if err != nil {
			return nil, err
		}
		above, _ := a.lookup("RUNNER_TEMP")
		dir, err := os.MkdirTemp(above, "vishwa-keys-") // for this user alone
		if err != nil {
			return nil, fault.WithHint(fault.New(fault.Invalid, "make a folder for the keys: %w", err), "let the job write to the folder that RUNNER_TEMP or TMPDIR names")
		}
		forget = func() { _ = os.RemoveAll(dir) }
		for name, raw := range files {
			if err := os.WriteFile(filepath.Join(dir, name), raw, 0o600); err != nil {
				forget()
				return nil, fault.WithHint(fault.New(fault.Invalid, "write the keys: %w", err), "see that the disk of the job has room")
			}
		}
		taken["VISHWA_KEYS"] = dir
	}
	outer := a.lookup
	a.lookup = func(name string) (string, bool) {
		if v, ok := taken[name]; ok {
			return v, v != "" // a secret that is not set is empty
		}
		return outer(name)
	}
	return forget, nil
}

// perform looks at what the event is about; what may pass is tried again.
func (a *cli) perform(ctx context.Context, j job) (templates.Report, error) {
	none := templates.Report{Pull: j.event.Pull, Base: j.event.Branch}
	hub, err := j.hub()
	if err != nil {
		return none, err
	}
	var notes []string
	if !j.event.Foreign {
		var problems pass.Problems
		if notes, problems, err = a.lasting(ctx, j); err != nil {
			none.Problems = problems
			return none, err
		}
	}
	ctx = controller.WithTrigger(ctx, j.trigger())
	for tries := 1; ; tries++ {
		r, err := a.once(ctx, j, hub)
		r.Notes = append(r.Notes, notes...)
		kind := fault.Of(err)
		if err == nil || kind != fault.Transient && kind != fault.Conflict || tries == mostTries {
			return r, err
		}
		wait := controller.Next(err, tries)
		j.env.Log.Warn("looking again", "in", wait, "error", err)
		select {
		case <-ctx.Done():
			return r, err
		case <-time.After(wait):
		}
	}
}

func (a *cli) once(ctx context.Context, j job, hub hosted) (templates.Report, error) {
	if j.event.Foreign {
		return a.outside(ctx, j, hub)
	}
	apart, err := wall.FromEnvironment(a.lookup)
	if err != nil {
		return templates.Report{Pull: j.event.Pull, Base: j.event.Branch}, err
	}
	password := func() ([]byte, error) { return a.secret("VISHWA_KEY_PASSWORD", "Password of the controller's keys") }
	keys := &signer.Ring{Unlock: a.unlock}
	if err := a.keysOpen(ctx, keys, password); err != nil {
		return templates.Report{Pull: j.event.Pull, Base: j.event.Branch}, err
	}
	site, err := app.OpenManaged(ctx, app.ManagedOptions{
		Wall: apart, Keys: keys, Password: password,
		Name: j.event.At.URL, URL: j.event.At.URL, Branches: j.branches, Forge: hub, Credentials: hub.Credentials,
		Env: j.env, Version: versionText(), Full: j.event.At.Job,
		Refresh: app.Refreshing{Off: !j.event.Timed, Allow: j.allow, Consider: true},
		Lease:   &app.Lease{Holder: "job/" + rand.Text()[:12], Duration: time.Duration(j.lease)},
	})
	if err != nil {
		return templates.Report{Pull: j.event.Pull, Base: j.event.Branch}, err
	}
	defer site.Close()
	if j.event.Kind == ci.Branch {
		return site.ReconcileBranch(ctx, j.event.Branch)
	}
	return site.ReconcilePull(ctx, j.event.Pull)
}

// keysOpen opens all keys before any work begins: what a job could not sign or
// record it would do in vain, and announce, which may begin the next job. A folder without
// keys is reported with the repository.
func (a *cli) keysOpen(ctx context.Context, keys *signer.Ring, password func() ([]byte, error)) error {
	p, err := app.FindPaths(a.lookup, digest.Of(nil))
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(p.Keys, signer.LedgerKey)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return keys.Open(p.Keys, password).Ready(ctx)
}

// hosted is a forge with what logs in to its repositories.
type hosted interface {
	port.Forge
	Credentials(ctx context.Context) (user, password string, err error)
}

// hub is GitHub, as the job may use it.
func (j job) hub() (hosted, error) {
	host, owner, name, err := forge.Parse(j.event.At.URL)
	if err != nil {
		return nil, err
	}
	api := j.event.At.API
	if api == "" && host != "github.com" {
		api = "https://" + host + "/api/v3/"
	}
	token, ok := j.env.Lookup("GITHUB_TOKEN")
	if !ok {
		return nil, fault.WithHint(fault.New(fault.Denied, "GITHUB_TOKEN is not set: there is nothing to speak to GitHub with"),
			"hand the job's token to the step: env: {GITHUB_TOKEN: ${{ github.token }}}")
	}
	return forge.GitHub(forge.Config{Owner: owner, Repo: name, API: api, Auth: forge.Auth{Token: token}, Env: j.env})
}

// trigger names the job in logs and in the ledger.
func (j job) trigger() string {
	if at := strings.LastIndexByte(j.event.At.Job, '/'); j.event.At.Server == ci.Actions && at >= 0 {
		return "actions-" + j.event.At.Job[at+1:]
	}
	return "ci-" + strconv.FormatInt(j.env.Now().Unix(), 36)
}

// lasting refuses what would be lost with the machine, and says what ends with the
// job. It goes by the checkout, so that the way out stands at the line.
func (a *cli) lasting(ctx context.Context, j job) ([]string, pass.Problems, error) {
	r, err := repo.Open(a.dir, repo.Options{})
	if err != nil {
		return nil, nil, fault.WithHint(err, "check the repository out before vishwa ci")
	}
	defer r.Close()
	if r.Bare() {
		return nil, nil, fault.WithHint(fault.New(fault.Invalid, "the job works in a bare repository"), "check the repository out before vishwa ci")
	}
	in, err := pass.Read(ctx, r.Worktree())
	if err != nil {
		return nil, nil, nil // the pass reports it
	}
	if lost := ci.LocalStateProblems(in.Decls, r.Worktree(), j.event.At.Hosted); len(lost) > 0 {
		return nil, lost, fault.WithHint(fault.New(fault.Refused, "%w", pass.Problems(lost)), "keep the state where every job finds it: see docs/github.md, Terraform state")
	}
	return ci.EphemeralWarnings(in.Decls, j.event.At.Hosted), nil, nil
}
