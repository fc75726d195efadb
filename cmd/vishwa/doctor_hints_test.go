// Whatever the doctor finds wrong, or leaves to a person, comes with what to do about it.

package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/signer"
	"github.com/vishwaops/vishwa/reconciler/app"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/peers"
	"github.com/vishwaops/vishwa/schemas"
)

// says insists on one check's state, and on what its text and its hint say.
func (c check) says(t *testing.T, state, text, hint string) {
	t.Helper()
	if c.State != state || !strings.Contains(c.Text, text) || !strings.Contains(c.Hint, hint) || hint == "" {
		t.Errorf("%+v, want %s, %q with the hint %q", c, state, text, hint)
	}
}

// TestTheDoctorMissesPrograms: each that is not there is wrong where it is needed and a note
// elsewhere, with how it is installed.
func TestTheDoctorMissesPrograms(t *testing.T) {
	path, err := peers.Hide(t.TempDir(), os.Getenv("PATH"), "git", "python3", "terraform", "tofu", "ssh")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", path)
	a := &cli{lookup: os.LookupEnv, now: time.Now}
	with := func(specs ...schemas.Spec) *pass.Intent {
		in := &pass.Intent{Project: &schemas.Project{}}
		for _, s := range specs {
			in.Decls = append(in.Decls, schemas.Declaration{Kind: kindOf(t, s), Spec: s})
		}
		return in
	}
	hints := map[string]string{
		"git": "apt-get install git", "python": "apt-get install python3 python3-venv", "terraform": "install", "ssh": "apt-get install openssh-client",
	}
	checkpoints := with()
	checkpoints.Project.Ledger.Checkpoints.Remote = "git@backup.example.com:x.git"
	for name, c := range map[string]struct {
		in     *pass.Intent
		remote string
		wrong  []string
	}{
		"nothing declared":     {with(), "", []string{"git"}},
		"no repository":        {nil, "", []string{"git"}},
		"a training":           {with(&schemas.Training{}), "https://example.com/x.git", []string{"git", "python"}},
		"infrastructure":       {with(&schemas.Infrastructure{}), "", []string{"git", "terraform"}},
		"a remote by ssh":      {with(), "ssh://git@example.com/x.git", []string{"git", "ssh"}},
		"checkpoints by ssh":   {checkpoints, "https://example.com/x.git", []string{"git", "ssh"}},
		"everything":           {with(&schemas.Training{}, &schemas.Infrastructure{}), "git@example.com:x.git", []string{"git", "python", "ssh", "terraform"}},
		"a remote of a folder": {with(), "/srv/x@y/z.git", []string{"git"}},
	} {
		needed := " " + strings.Join(c.wrong, " ") + " "
		for _, got := range a.programs(t.Context(), c.in, c.remote) {
			state := note
			if strings.Contains(needed, " "+got.What+" ") {
				state = wrong
			}
			if hints[got.What] == "" {
				t.Errorf("%s: %s has no row here", name, got.What)
			}
			got.says(t, state, "on PATH", hints[got.What])
		}
	}
}

func kindOf(t *testing.T, s schemas.Spec) string {
	t.Helper()
	switch s.(type) {
	case *schemas.Training:
		return "Training"
	case *schemas.Infrastructure:
		return "Infrastructure"
	}
	t.Fatalf("%T", s)
	return ""
}

func TestGitAsksSSHForARemote(t *testing.T) {
	for remote, want := range map[string]bool{
		"ssh://git@example.com/x.git": true, "git+ssh://example.com/x.git": true, "git@example.com:team/x.git": true, "backup:x.git": true,
		"https://me@example.com/x.git": false, "/srv/x.git": false, "./a:b.git": false, "file:///srv/x.git": false, "": false, ":x": false,
	} {
		if got := overSSH(remote); got != want {
			t.Errorf("%s: %v", remote, got)
		}
	}
}

func TestTheDoctorLooksAtKeys(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	a := &cli{lookup: func(string) (string, bool) { return "", false }, now: time.Now}
	s := &station{&app.Repository{Reconciler: &pass.Reconciler{}, Paths: app.Paths{Keys: dir}}}
	look := func() check { return a.keysCheck(t.Context(), s) }
	look().says(t, wrong, "the key "+signer.LedgerKey+" is missing from "+dir, "vishwa keys generate")
	for _, name := range []string{signer.LedgerKey, "build.key", "deploy.key", "refuse.key"} {
		if err := write(filepath.Join(dir, name), []byte("key"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	look().says(t, wrong, "are not a controller's in trust.yaml", "vishwa keys trust")
	open := filepath.Join(dir, "deploy.key")
	if err := os.Chmod(open, 0o640); err != nil {
		t.Fatal(err)
	}
	look().says(t, wrong, "other users can read "+open, "chmod 600 "+open)
	s.Paths.Keys = open // a file where a folder should be
	look().says(t, wrong, "look at the keys", "VISHWA_KEYS")
}

// fullStore is a store on a disk that is full.
type fullStore struct{ port.Store }

func (fullStore) Put(context.Context, io.Reader) (digest.Digest, int64, error) {
	return "", 0, fault.WithHint(fault.New(fault.Transient, "no space left"), "make room on /srv")
}

// lossyStore does not have what it was given.
type lossyStore struct{ port.Store }

func (lossyStore) Put(context.Context, io.Reader) (digest.Digest, int64, error) { return "", 0, nil }

func (lossyStore) Get(context.Context, digest.Digest) (io.ReadCloser, error) {
	return nil, fault.New(fault.Missing, "nothing is there")
}

func TestTheDoctorTriesTheStore(t *testing.T) {
	for want, c := range map[string]struct {
		store port.Store
		hint  string
	}{"no space left": {fullStore{}, "make room on /srv"}, "nothing is there": {lossyStore{}, "make sure that it is there"}} {
		storeCheck(t.Context(), &station{&app.Repository{Reconciler: &pass.Reconciler{Observers: pass.Observers{Store: c.store}}}}).says(t, wrong, want, c.hint)
	}
}

// TestWhatIsWrongHasAHint: an error of each kind that a check may meet, with a hint of its own or
// without, says what to do.
func TestWhatIsWrongHasAHint(t *testing.T) {
	for _, k := range fault.Kinds() {
		checked("x", "", fault.New(k, "text")).says(t, wrong, "text", " ")
		checked("x", "", fault.WithHint(fault.New(k, "text"), "of its own")).says(t, wrong, "text", "of its own")
	}
	checked("x", "", errors.New("text")).says(t, wrong, "text", "report it")
}

// TestAProgramThatIsTooOldIsNotFine: what is there and too old comes with what to install, as what is missing does.
func TestAProgramThatIsTooOldIsNotFine(t *testing.T) {
	for text, want := range map[string]string{
		"git version 2.20.1, /usr/bin/git":           wrong,
		"git version 2.9, /usr/bin/git":              wrong,
		"git version 2.38.0.windows.1, /usr/bin/git": fine,
		"git version 2.39.5 (Apple Git-154), /x/git": fine,
		"git version 3.0, /usr/bin/git":              fine,
		"hello":                                      wrong,
	} {
		c := check{"git", fine, text, ""}.since(wrong, "2.38", "Vishwa needs", gitHint)
		if c.State != want || want == wrong && (!strings.Contains(c.Text, "Vishwa needs 2.38 or newer") || c.Hint != gitHint) {
			t.Errorf("%s: %+v", text, c)
		}
	}
	if c := (check{"git", wrong, "git is not on PATH", "install it"}).since(wrong, "2.38", "Vishwa needs", gitHint); c.Hint != "install it" {
		t.Errorf("what is missing: %+v", c)
	}
}

// TestTheDoctorOfAFolderThatIsNotThere: -C with a slip is wrong, and not a folder without a repository.
func TestTheDoctorOfAFolderThatIsNotThere(t *testing.T) {
	a := &cli{dir: filepath.Join(t.TempDir(), "nowhere"), lookup: os.LookupEnv, now: time.Now}
	all := a.checks(t.Context())
	all[len(all)-1].says(t, wrong, "nowhere does not exist", "give the folder of a Git repository")
}

// TestTheDoctorRunsNothingThatIsCheckedOut: it is run in clones of strangers' changes, and Python looks for modules where it is run.
func TestTheDoctorRunsNothingThatIsCheckedOut(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, module := range []string{"sys.py", "venv.py", "ensurepip.py"} {
		if err := os.WriteFile(module, []byte("open('ran', 'w')\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a := &cli{lookup: os.LookupEnv, now: time.Now}
	for _, c := range a.programs(t.Context(), nil, "") {
		if c.What == "python" && !strings.Contains(c.Text, "Python 3") {
			t.Errorf("Python was not asked: %+v", c)
		}
	}
	if _, err := os.Stat("ran"); err == nil {
		t.Error("it ran a module of the folder that it was run in")
	}
}
