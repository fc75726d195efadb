// The mirror and the ledger over TLS: cut in the middle, of an authority that nobody
// knows, and of one that SSL_CERT_FILE names. The last, and two mirrors at once, take a
// process of their own: this test's program, called again.

package mirror

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore/gittest"
)

// TestAnUnknownAuthorityIsNotTrusted: whoever answers without a certificate that holds is
// told nothing, and a person is told what to do.
func TestAnUnknownAuthorityIsNotTrusted(t *testing.T) {
	s, _, clones := gittest.OverHTTP(t, 1)
	url, _ := gittest.Secured(t, s)
	s.Mu.Lock()
	s.Asked = nil
	s.Mu.Unlock()
	m := mirrorOf(t, url+"/remote.git", as("ada", "hunter2"))
	_, seen := m.Refs(t.Context())
	git(t, clones[0], "remote", "set-url", "origin", url+"/remote.git")
	_, kept := openLedger(t, clones[0]).Append(t.Context(), trained(1))
	for what, err := range map[string]error{"refs": seen, "fetch": m.Fetch(t.Context(), "refs/heads/main"), "append": kept} {
		wantFault(t, err, fault.Denied, "certificate is not trusted")
		if !strings.Contains(fault.HintOf(err), "SSL_CERT_FILE") {
			t.Errorf("%s: the way out is %q", what, fault.HintOf(err))
		}
	}
	if len(s.Asked) > 0 {
		t.Errorf("%d questions came through", len(s.Asked))
	}
}

// TestTheAuthorityOfSSL_CERT_FILEIsTrusted: by Git's program as well as by this one.
func TestTheAuthorityOfSSL_CERT_FILEIsTrusted(t *testing.T) {
	s, remote, _ := gittest.OverHTTP(t, 1)
	url, authority := gittest.Secured(t, s)
	dir := filepath.Join(t.TempDir(), "m.git")
	out, err := another(t, url+"/remote.git", dir, "SSL_CERT_FILE="+authority).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got := git(t, dir, "rev-parse", "refs/heads/main"); got != git(t, remote, "rev-parse", "main") {
		t.Errorf("main is at %s", got)
	}
}

// another is a process that looks at and fetches main into the mirror dir.
func another(t testing.TB, url, dir string, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run", "^TestInAnotherProcess$")
	cmd.Env = append(append(os.Environ(), "VISHWA_TEST_MIRROR="+url+" "+dir), env...)
	return cmd
}

func TestInAnotherProcess(t *testing.T) {
	url, dir, called := strings.Cut(os.Getenv("VISHWA_TEST_MIRROR"), " ")
	if !called {
		t.Skip("it is called by other tests")
	}
	m := mirrorOf(t, url, func(o *Options) { o.Dir = dir })
	refs, err := m.Refs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Fetch(t.Context(), "refs/heads/main"); err != nil {
		t.Fatalf("a %s error: %v", fault.Of(err), err)
	}
	if got := at(t, m, "refs/heads/main"); got != refs["refs/heads/main"] {
		t.Errorf("main is at %s, want %s", got, refs["refs/heads/main"])
	}
}

// TestTwoProcessesFetchOneMirror: at once, where there is none yet and where there is,
// and both have what the remote has.
func TestTwoProcessesFetchOneMirror(t *testing.T) {
	remote, clones := newClones(t, 1)
	dir := filepath.Join(t.TempDir(), "m.git")
	for round := range 3 {
		want := commit(t, clones[0], "main", fmt.Sprintf("file-%d", round), "x")
		ended := make(chan error, 2)
		for range 2 {
			cmd := another(t, remote, dir)
			go func() {
				out, err := cmd.CombinedOutput()
				if err != nil {
					err = fmt.Errorf("%w\n%s", err, out)
				}
				ended <- err
			}()
		}
		for range 2 {
			if err := <-ended; err != nil {
				t.Errorf("round %d: %v", round, err)
			}
		}
		if got := git(t, dir, "rev-parse", "refs/heads/main"); got != want {
			t.Errorf("round %d: main is at %s, want %s", round, got, want)
		}
		git(t, dir, "fsck", "--strict")
	}
}

// TestTLSCutInTheMiddleIsTriedAgain: nothing of half an answer stays, and the next try
// has it all.
func TestTLSCutInTheMiddleIsTriedAgain(t *testing.T) {
	s, remote, clones := gittest.OverHTTP(t, 1)
	url, authority := gittest.Secured(t, s)
	noise := make([]byte, 200<<10)
	_, _ = rand.NewChaCha8([32]byte{}).Read(noise) // what does not get smaller
	write(t, clones[0], "noise", string(noise))
	git(t, clones[0], "add", ".")
	git(t, clones[0], "commit", "-q", "-m", "more")
	git(t, clones[0], "push", "-q", remote, "HEAD:main")
	through, cut := cutter(t, strings.TrimPrefix(url, "https://"))
	dir := filepath.Join(t.TempDir(), "m.git")
	cut.Store(60 << 10) // after the handshake, in the answer
	out, err := another(t, "https://"+through+"/remote.git", dir, "SSL_CERT_FILE="+authority).CombinedOutput()
	if err == nil {
		t.Fatal("half an answer is taken for a whole one")
	}
	if !strings.Contains(string(out), "a transient error") {
		t.Errorf("it says %s", out)
	}
	cut.Store(1 << 30)
	if out, err := another(t, "https://"+through+"/remote.git", dir, "SSL_CERT_FILE="+authority).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got := git(t, dir, "rev-parse", "refs/heads/main"); got != git(t, remote, "rev-parse", "main") {
		t.Errorf("main is at %s", got)
	}
	git(t, dir, "fsck", "--strict")
}

// cutter passes TCP on to address, and cuts each connection after so many bytes of the answer.
func cutter(t testing.TB, address string) (through string, after *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	after = &atomic.Int64{}
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", address)
			if err != nil {
				_ = near.Close()
				continue
			}
			go func() { _, _ = io.Copy(far, near); _ = far.Close() }()
			go func() { _, _ = io.CopyN(near, far, after.Load()); _ = near.Close(); _ = far.Close() }()
		}
	}()
	return l.Addr().String(), after
}
