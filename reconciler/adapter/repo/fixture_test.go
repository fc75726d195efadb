// The tests' world: repositories made by the real git, and signers that sign
// with keys made for the test.

package repo

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// notary signs and verifies DSSE envelopes with one Ed25519 key a role.
type notary struct{ calls atomic.Int64 }

type envelope struct {
	PayloadType string `json:"payloadType"`
	Payload     []byte `json:"payload"`
	Role        string `json:"role"`
	Sig         []byte `json:"sig"`
}

func (n *notary) key(r port.Role) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("test " + r))
	return ed25519.NewKeyFromSeed(seed[:])
}

func pae(e envelope) []byte {
	return fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(e.PayloadType), e.PayloadType, len(e.Payload), e.Payload)
}

func (n *notary) Sign(_ context.Context, r port.Role, stated []byte) ([]byte, error) {
	e := envelope{PayloadType: "application/vnd.in-toto+json", Payload: stated, Role: string(r)}
	e.Sig = ed25519.Sign(n.key(r), pae(e))
	return json.Marshal(e)
}

func (n *notary) Verify(_ context.Context, b []byte) ([]byte, port.Identity, error) {
	n.calls.Add(1)
	var e envelope
	if err := json.Unmarshal(b, &e); err != nil {
		return nil, port.Identity{}, fault.New(fault.Denied, "%w", err)
	}
	r := port.Role(e.Role)
	if !ed25519.Verify(n.key(r).Public().(ed25519.PublicKey), pae(e), e.Sig) {
		return nil, port.Identity{}, fault.New(fault.Denied, "signature is wrong")
	}
	return e.Payload, port.Identity{Name: "vishwa", Role: r}, nil
}

func sshKey(t testing.TB) ssh.Signer {
	t.Helper()
	seed := sha256.Sum256([]byte("test ledger"))
	s, err := ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(seed[:]))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// git runs the real git, away from the caller's configuration.
func git(t testing.TB, dir string, args ...string) string {
	t.Helper()
	out, err := tryGit(dir, args...)
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func tryGit(dir string, args ...string) (string, error) {
	c := exec.Command("git", args...)
	c.Dir = dir
	c.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.org", "GIT_COMMITTER_NAME=Grace", "GIT_COMMITTER_EMAIL=grace@example.org")
	out, err := c.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func needGit(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		const way = "git is not installed: apt-get install git openssh-client"
		if os.Getenv("CI") != "" {
			t.Fatal(way)
		}
		t.Skip(way)
	}
}

func write(t testing.TB, dir, name, text string) {
	t.Helper()
	p := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// newRepo is a repository with one commit.
func newRepo(t testing.TB) string {
	t.Helper()
	needGit(t)
	dir := t.TempDir()
	git(t, dir, "init", "-q", "-b", "main")
	write(t, dir, "vishwa.yaml", "kind: Project\n")
	git(t, dir, "add", ".")
	git(t, dir, "commit", "-q", "-m", "first")
	return dir
}

// newClones is a bare remote and n clones of it.
func newClones(t testing.TB, n int) (remote string, clones []string) {
	t.Helper()
	first := newRepo(t)
	remote = filepath.Join(t.TempDir(), "remote.git")
	git(t, first, "clone", "-q", "--bare", first, remote)
	for range n {
		dir := filepath.Join(t.TempDir(), "clone")
		git(t, first, "clone", "-q", remote, dir)
		clones = append(clones, dir)
	}
	return remote, clones
}

func openRepo(t testing.TB, dir string) *Repo {
	t.Helper()
	r, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func openLedger(t testing.TB, dir string, change ...func(*LedgerOptions)) *Ledger {
	t.Helper()
	n := &notary{}
	o := LedgerOptions{
		Signer: n, Verifier: n, Now: time.Now, Trusted: map[string][]ssh.PublicKey{"vishwa": {sshKey(t).PublicKey()}},
		SSH: func() (ssh.Signer, error) { return sshKey(t), nil },
	}
	for _, f := range change {
		f(&o)
	}
	l, err := OpenLedger(openRepo(t, dir), o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func key(i int) digest.Digest { return digest.Of(fmt.Append(nil, "key ", i)) }

// trained is an entry of the size that real ones have.
func trained(i int) ledger.Entry {
	code := map[string]digest.Digest{"src/train.py": key(i / 7), "src/features.py": key(3)}
	files := digest.Manifest{{Path: "model.json", Digest: key(i + 1000), Size: 1234}}
	return ledger.Entry{
		Action: ledger.Train, Ref: schemas.Ref{Kind: "training", Name: fmt.Sprintf("enrollment-%d", i%100), Output: "xgboost"},
		Key: key(i), Revision: "0123456789012345678901234567890123456789", Author: "Ada <ada@example.org>",
		Plan: key(1), Policy: key(2), Verdict: "allow", Actor: "controller:vishwa", Reason: fmt.Sprintf("param max_depth %d -> %d", i, i+1),
		Recipe:  &port.Recipe{Schema: schemas.APIVersion, Kind: "training", Command: []string{"python", "src/train.py"}, Code: code, Env: key(4), Params: map[string]any{"max_depth": float64(i), "estimator": "xgboost"}, Inputs: map[string]digest.Digest{"train": key(5), "test": key(6)}},
		Outputs: map[string]port.Artifact{"model": {Name: "model", Digest: files.Digest(), Size: 1234, Files: files}},
		Metrics: map[string]float64{"test.roc_auc": 0.83, "test.f1": 0.75, "train.roc_auc": 0.9},
		Run:     &ledger.Run{Started: time.Unix(1700000000, 0).UTC(), Finished: time.Unix(1700000060, 0).UTC(), Host: "linux/amd64", Python: "3.11.2", Log: key(i + 5000)},
	}
}

func mustAppend(t testing.TB, l *Ledger, e ledger.Entry) ledger.Entry {
	t.Helper()
	got, err := l.Append(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func mustFacts(t testing.TB, l *Ledger) *ledger.Facts {
	t.Helper()
	f, err := l.Facts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func verify(t testing.TB, l *Ledger) (ledger.Report, error) {
	t.Helper()
	return ledger.Verify(l.Entries(t.Context(), 0), l.trust(t.Context()), nil)
}

func wantFault(t testing.TB, err error, kind fault.Kind, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %s", kind)
	}
	if fault.Of(err) != kind {
		t.Fatalf("%s error %q, want %s", fault.Of(err), err, kind)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Fatalf("%q does not say %q", err, w)
		}
	}
}
