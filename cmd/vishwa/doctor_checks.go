// What else the doctor looks at: the programs that Vishwa calls, and, in a repository,
// what a pass needs of it. Each is tried, and what cannot be had comes with a way out.

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	goversion "github.com/hashicorp/go-version"

	"github.com/vishwaops/vishwa/reconciler/adapter/provisioner"
	"github.com/vishwaops/vishwa/reconciler/adapter/repo"
	"github.com/vishwaops/vishwa/reconciler/adapter/signer"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// check is one thing that was looked at.
type check struct {
	What  string `json:"what"`
	State string `json:"state"` // ok, wrong, or note: it is not needed here, or was not looked at
	Text  string `json:"text"`
	Hint  string `json:"hint,omitempty"`
}

const (
	fine  = "ok"
	wrong = "wrong"
	note  = "note"
)

// checked is what err, or its absence, says of something.
func checked(what, text string, err error) check {
	if err == nil {
		return check{what, fine, text, ""}
	}
	if errors.As(err, new(port.Unasked)) {
		return check{what, note, err.Error(), fault.HintOf(err)}
	}
	return check{what, wrong, strings.TrimSpace(err.Error()), fault.WayOut(err)}
}

// unless makes of what is wrong a note, where it is not needed.
func (c check) unless(needed bool, why string) check {
	if c.State == wrong && !needed {
		c.State, c.Text = note, c.Text+"; "+why
	}
	return c
}

const (
	gitHint    = "install Git 2.38 or newer: apt-get install git, or https://git-scm.com/downloads"
	pythonHint = "install Python 3.11 or newer with venv: apt-get install python3 python3-venv"
)

var numbered = lazyregexp.New(`[0-9]+(\.[0-9]+)+`)

// since makes state of a program that is older than the oldest version that who needs.
func (c check) since(state, oldest, who, hint string) check {
	found, err := goversion.NewVersion(numbered.FindString(c.Text))
	if c.State != fine || err == nil && found.GreaterThanOrEqual(goversion.Must(goversion.NewVersion(oldest))) {
		return c
	}
	return check{c.What, state, fmt.Sprintf("%s; %s %s or newer", c.Text, who, oldest), hint}
}

// lookTime bounds each question to a program or a remote.
const lookTime = 20 * time.Second

// checks looks at the programs and at the repository that a.dir is in, if any.
func (a *cli) checks(ctx context.Context) []check {
	r, err := repo.Open(a.dir, repo.Options{})
	if err != nil {
		out := a.programs(ctx, nil, "")
		if _, there := os.Stat(a.dir); there == nil && fault.Of(err) == fault.Missing {
			return append(out, check{"repository", note, "this is not a Git repository: its keys, store, remote and ledger were not looked at", "run it in a clone, or name one with -C"})
		}
		return append(out, checked("repository", "", err))
	}
	r.Close()
	s, err := a.open(ctx, reading)
	if err != nil {
		return append(a.programs(ctx, nil, ""), checked("repository", "", err))
	}
	defer s.close()
	in, read := s.Intent(ctx)
	out := a.programs(ctx, in, s.GitLedger.Remote())
	declared := "they are valid"
	if in != nil {
		declared = fmt.Sprintf("%d are valid", len(in.Decls))
	}
	out = append(out, checked("declarations", declared, read), a.keysCheck(ctx, s), storeCheck(ctx, s), a.clockCheck(ctx, s.GitLedger.Remote()), remoteCheck(ctx, s), ledgerCheck(ctx, s))
	return append(append(out, placeChecks(ctx, s, in)...), trackerChecks(s)...)
}

// placeChecks look at what runs and deployments are begun on elsewhere, as far as this machine knows by itself.
func placeChecks(ctx context.Context, s *station, in *pass.Intent) (out []check) {
	if in == nil || s.Ready == nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(in.Project.Runners)) {
		out = append(out, checked("runner "+name, "this machine has what it needs to begin runs there; the runner itself was not asked", s.Ready(ctx, in.Project, []pass.Place{{Runner: name}})[0]))
	}
	served := map[string]bool{}
	for _, d := range in.Decls {
		if spec, ok := d.Spec.(schemas.Serves); ok && spec.Serves().Cluster != "" {
			served[spec.Serves().Cluster] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(served)) {
		out = append(out, checked("cluster "+name, "this machine has what it needs to deploy there; the cluster itself was not asked", s.Ready(ctx, in.Project, []pass.Place{{Cluster: name, Brought: true}})[0]))
	}
	return out
}

// programs are those that Vishwa calls, as far as what is declared needs them.
func (a *cli) programs(ctx context.Context, in *pass.Intent, remote string) []check {
	python, stacks := false, false
	if in != nil {
		for _, d := range in.Decls {
			is := d.Traits()
			stacks = stacks || is.Provisioned
			scores, _ := d.Spec.(schemas.Evaluates)
			python = python || is.Runs || is.Serves || scores != nil && scores.Evaluates() != nil
		}
	}
	ssh := overSSH(remote) || in != nil && in.Project != nil && overSSH(in.Project.Ledger.Checkpoints.Remote)
	asking, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	which, err := provisioner.Look(asking, a.lookup)
	return []check{
		a.program(ctx, "git", gitHint, "git", "--version").since(wrong, "2.38", "Vishwa needs", gitHint),
		a.program(ctx, "python", pythonHint, "python3", "-I", "-c", // no module of the folder that it is run in
			"import sys, venv, ensurepip; print('Python', sys.version.split()[0], 'with venv')").since(note, "3.11", "vishwa demo needs", pythonHint).unless(python, "nothing that is declared here runs it"),
		checked("terraform", which.Name+" "+which.Version, err).unless(stacks, "no infrastructure is declared here"),
		a.program(ctx, "ssh", "install an SSH client: apt-get install openssh-client", "ssh", "-V").unless(ssh, "no remote is reached by it"),
	}
}

// overSSH tells whether Git asks SSH for a remote: by the scheme, or as HOST:PATH, which a
// slash before the colon makes a path.
func overSSH(remote string) bool {
	if scheme, _, found := strings.Cut(remote, "://"); found {
		return scheme == "ssh" || scheme == "git+ssh" || scheme == "ssh+git"
	}
	host, _, found := strings.Cut(remote, ":")
	return found && host != "" && !strings.Contains(host, "/")
}

// program asks a program for its version.
func (a *cli) program(ctx context.Context, what, way, name string, args ...string) check {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	at, err := exec.LookPath(name)
	if err != nil {
		return checked(what, "", fault.WithHint(fault.New(fault.Missing, "%s is not on PATH", name), "%s", way))
	}
	cmd := exec.CommandContext(ctx, at, args...)
	for _, name := range []string{"PATH", "HOME", "LANG", "LC_ALL", "TMPDIR"} { // and no password
		if v, ok := a.lookup(name); ok {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	said, err := cmd.CombinedOutput()
	lines := strings.Split(strings.TrimSpace(string(said)), "\n")
	if err != nil {
		return checked(what, "", fault.WithHint(fault.New(fault.Missing, "%s does not work: %s", at, lines[len(lines)-1]), "%s", way))
	}
	return checked(what, lines[0]+", "+at, nil)
}

// keysCheck looks at the controller's keys: all there, for this user's eyes alone, known
// to trust.yaml, and opened by the password where that is given.
func (a *cli) keysCheck(ctx context.Context, s *station) check {
	dir := s.Paths.Keys
	secret := []string{signer.LedgerKey}
	for _, r := range signer.Roles {
		secret = append(secret, string(r)+".key")
	}
	for _, name := range secret {
		info, err := os.Stat(filepath.Join(dir, name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return checked("keys", "", fault.WithHint(fault.New(fault.Missing, "the key %s is missing from %s: this machine can plan, but not apply", name, dir), "make keys with vishwa keys generate, or set VISHWA_KEYS to their folder"))
		case err != nil:
			return checked("keys", "", fault.WithHint(fault.New(fault.Denied, "look at the keys: %w", err), "allow this user to read %s, or set VISHWA_KEYS to another folder", dir))
		case info.Mode().Perm()&0o077 != 0:
			at := filepath.Join(dir, name)
			return checked("keys", "", fault.WithHint(fault.New(fault.Denied, "other users can read %s", at), "chmod 600 %s", at))
		}
	}
	if s.Actor.Name == "" {
		return checked("keys", "", s.Untrusted())
	}
	text := fmt.Sprintf("in %s, known to trust.yaml as %s", dir, s.Actor.Name)
	if _, given := a.lookup("VISHWA_KEY_PASSWORD"); !given {
		return checked("keys", text+"; the password was not tried: VISHWA_KEY_PASSWORD is not set", nil)
	}
	return checked("keys", text+"; the password opens them", s.Keys.Ready(ctx))
}

// storeCheck writes some bytes to the store, the same each time, and reads them. Nothing is written, with the user's rights and credentials, to a place
// that this checkout alone names.
func storeCheck(ctx context.Context, s *station) check {
	if s.StoreNamed != nil {
		if err := s.StoreNamed(ctx); err != nil {
			return checked("store", "", fault.WithHint(fmt.Errorf("it was not tried: %w", err), "%s", fault.WayOut(err)))
		}
	}
	const text = "vishwa doctor was here\n"
	d, _, err := s.Store.Put(ctx, strings.NewReader(text))
	if err == nil {
		var r io.ReadCloser
		if r, err = s.Store.Get(ctx, d); err == nil {
			_, err = io.Copy(io.Discard, r)
			err = errors.Join(err, r.Close())
		}
	}
	return checked("store", "can be written to and read", err)
}

// skew is how far a clock may be off before approvals and terms are judged wrongly.
const skew = time.Minute

// clockCheck holds the clock against that of the remote, without credentials.
func (a *cli) clockCheck(ctx context.Context, remote string) check {
	const way = "set the clock, or have it set: timedatectl set-ntp true"
	const unasked = "compare it with another clock: it decides whether approvals and keys are still valid"
	at, err := url.Parse(remote)
	if err != nil || at.Scheme != "http" && at.Scheme != "https" || a.offline {
		return check{"clock", note, a.now().UTC().Format(time.RFC3339) + "; there is no remote over HTTP to compare it with", unasked}
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodHead, at.String(), nil)
	if err != nil {
		return checked("clock", "", fault.WithHint(fault.New(fault.Invalid, "ask the remote for the time: %w", err), "correct the address of the remote: git remote set-url origin URL"))
	}
	before := a.now()
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return check{"clock", note, "the remote does not tell the time", unasked}
	}
	answer.Body.Close()
	told, err := http.ParseTime(answer.Header.Get("Date"))
	if err != nil {
		return check{"clock", note, "the remote does not tell the time", unasked}
	}
	mine := before.Add(a.now().Sub(before) / 2)
	if off := mine.Sub(told); off.Abs() > skew {
		return checked("clock", "", fault.WithHint(fault.New(fault.Invalid, "it is off by %s, by the clock of %s", off.Round(time.Second), at.Host), way))
	}
	return checked("clock", "agrees with that of "+at.Host, nil)
}

// remoteCheck asks the remote for the ledger.
func remoteCheck(ctx context.Context, s *station) check {
	at := s.GitLedger.Remote()
	if at == "" {
		return check{"remote", note, "there is none: the ledger is in this clone alone", "add one: git remote add origin URL"}
	}
	_, err := s.GitLedger.Facts(ctx)
	if fault.Of(err) == fault.Corrupt || fault.Of(err) == fault.Conflict {
		err = nil // it answers; what it says is the ledger's matter
	}
	return checked("remote", "the ledger can be read from "+at, err)
}

// ledgerCheck replays the ledger.
func ledgerCheck(ctx context.Context, s *station) check {
	facts, stale := s.GitLedger.Facts(ctx)
	if fault.Of(stale) == fault.Transient { // the remote's matter: what is here is verified
		stale = nil
	}
	if stale != nil {
		return checked("ledger", "", stale)
	}
	if facts != nil && facts.Count == 0 {
		return check{"ledger", note, "it is empty", "vishwa apply begins it"}
	}
	whose, err := s.LedgerTrust(ctx)
	if err != nil {
		return checked("ledger", "", err)
	}
	report, err := ledger.Verify(s.GitLedger.Entries(ctx, 0), whose, nil)
	return checked("ledger", fmt.Sprintf("%s checked", plural.Of(report.Entries, "entry")), err)
}

func showChecks(out io.Writer, all []check) {
	fmt.Fprintln(out)
	for _, c := range all {
		if lines := strings.Split(c.Text, "\n"); len(lines) > 1 { // several problems
			fmt.Fprintf(out, "%-6s %s:\n", c.State, c.What)
			for _, line := range lines {
				fmt.Fprintf(out, "       %s\n", harmless.Line(line))
			}
		} else {
			fmt.Fprintf(out, "%-6s %s: %s\n", c.State, c.What, harmless.Line(c.Text))
		}
		if c.Hint != "" {
			fmt.Fprintf(out, "       %s\n", harmless.Line(c.Hint))
		}
	}
}

// sound tells whether nothing is wrong.
func sound(all []check) bool {
	return !slices.ContainsFunc(all, func(c check) bool { return c.State == wrong })
}
