// Package gittest is the world of tests about Git: repositories made by the real program,
// a server of them that misbehaves as it is told to, and signers with keys made for the test.
package gittest

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

	"golang.org/x/crypto/ssh"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Notary signs and verifies DSSE envelopes with one Ed25519 key a role.
type Notary struct{ Calls atomic.Int64 }

type envelope struct {
	PayloadType string `json:"payloadType"`
	Payload     []byte `json:"payload"`
	Role        string `json:"role"`
	Sig         []byte `json:"sig"`
}

func (n *Notary) key(r port.Role) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("test " + r))
	return ed25519.NewKeyFromSeed(seed[:])
}

func pae(e envelope) []byte {
	return fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(e.PayloadType), e.PayloadType, len(e.Payload), e.Payload)
}

// Sign implements port.Signer.
func (n *Notary) Sign(_ context.Context, r port.Role, stated []byte) ([]byte, error) {
	e := envelope{PayloadType: "application/vnd.in-toto+json", Payload: stated, Role: string(r)}
	e.Sig = ed25519.Sign(n.key(r), pae(e))
	return json.Marshal(e)
}

// Verify implements port.Verifier, and counts its calls.
func (n *Notary) Verify(_ context.Context, b []byte) ([]byte, port.Identity, error) {
	n.Calls.Add(1)
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

// SSHKey signs the tests' commits.
func SSHKey(t testing.TB) ssh.Signer {
	t.Helper()
	seed := sha256.Sum256([]byte("test ledger"))
	s, err := ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(seed[:]))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Git runs the real git, away from the caller's configuration.
func Git(t testing.TB, dir string, args ...string) string {
	t.Helper()
	out, err := TryGit(dir, args...)
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// TryGit is Git that may fail.
func TryGit(dir string, args ...string) (string, error) {
	c := exec.Command("git", args...)
	c.Dir = dir
	c.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.org", "GIT_COMMITTER_NAME=Grace", "GIT_COMMITTER_EMAIL=grace@example.org")
	out, err := c.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// NeedGit skips the test where there is no git, and fails it in CI.
func NeedGit(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		const way = "git is not installed: apt-get install git openssh-client"
		if os.Getenv("CI") != "" {
			t.Fatal(way)
		}
		t.Skip(way)
	}
}

// Write writes a file below dir.
func Write(t testing.TB, dir, name, text string) {
	t.Helper()
	p := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// NewRepo is a repository with one commit.
func NewRepo(t testing.TB) string {
	t.Helper()
	NeedGit(t)
	dir := t.TempDir()
	Git(t, dir, "init", "-q", "-b", "main")
	Write(t, dir, "vishwa.yaml", "kind: Project\n")
	Git(t, dir, "add", ".")
	Git(t, dir, "commit", "-q", "-m", "first")
	return dir
}

// NewClones is a bare remote and n clones of it.
func NewClones(t testing.TB, n int) (remote string, clones []string) {
	t.Helper()
	first := NewRepo(t)
	remote = filepath.Join(t.TempDir(), "remote.git")
	Git(t, first, "clone", "-q", "--bare", first, remote)
	for range n {
		dir := filepath.Join(t.TempDir(), "clone")
		Git(t, first, "clone", "-q", remote, dir)
		clones = append(clones, dir)
	}
	return remote, clones
}

// WantFault fails unless err is of the kind and says the words.
func WantFault(t testing.TB, err error, kind fault.Kind, words ...string) {
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
