// Remotes that take a question and leave it without an answer, in every way that they
// can: whoever asks is told in time. Those that answer slowly are heard out.

package mirror

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"

	"golang.org/x/crypto/ssh/agent"

	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/gitledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/dial"
	"github.com/vishwaops/vishwa/reconciler/machine/gitremote"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore/gittest"
)

// brisk has the tests end soon.
var brisk = gitremote.Paces{
	Ask:  dial.Pace{Window: 700 * time.Millisecond, Least: 500, Whole: 20 * time.Second},
	Work: dial.Pace{Window: 9 * time.Second, Least: 5000, Whole: 20 * time.Second},
}

// listening has each connection handled until the test ends; its address is a host and port.
func listening(t testing.TB, handle func(context.Context, net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	ctx := t.Context()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			context.AfterFunc(ctx, func() { _ = c.Close() })
			go handle(ctx, c)
		}
	}()
	return l.Addr().String()
}

// drip writes text once, and drop again and again.
func drip(text, drop string, every time.Duration) func(context.Context, net.Conn) {
	return func(ctx context.Context, c net.Conn) {
		go func() { _, _ = io.Copy(io.Discard, c) }()
		_, err := io.WriteString(c, text)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for err == nil && drop != "" {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				_, err = io.WriteString(c, drop)
			}
		}
	}
}

const answers = "HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement\r\nTransfer-Encoding: chunked\r\n\r\n"

// TestARemoteThatDoesNotAnswerIsGivenUp: by the ledger, by a look at the refs and by
// Git's program alike.
func TestARemoteThatDoesNotAnswerIsGivenUp(t *testing.T) {
	const often = 50 * time.Millisecond
	agentless(t)
	for name, c := range map[string]struct {
		scheme string
		handle func(context.Context, net.Conn)
	}{
		"silent":                       {"http", drip("", "", often)},
		"a header by the byte":         {"http", drip("HTTP/1.1 200 OK\r\nX: ", "x", often)},
		"a body by the byte":           {"http", drip(answers+"4\r\n00a0\r\n", "1\r\n0\r\n", often)},
		"stops in the middle":          {"http", drip(answers+"1e\r\n001e# service=git-upload-pack\n\r\n4\r\n0000\r\n8\r\n00a01234\r\n", "", often)},
		"interim answers without end":  {"http", drip("", "HTTP/1.1 103 Early Hints\r\n\r\n", 5*often)},
		"never ends the TLS handshake": {"https", drip("", "", often)},
		"TLS by the byte":              {"https", drip("\x16\x03\x03\x40\x00", "\x00", often)},
		"silent over SSH":              {"ssh", drip("", "", often)},
		"SSH by the byte":              {"ssh", drip("SSH-2.0-x\r\n", "\x00", often)},
		"SSH that only greets":         {"ssh", drip("SSH-2.0-x\r\n", "", often)},
		"a greeting without end":       {"ssh", drip("", "hello\r\n", 10*often)},
		"silent over git":              {"git", drip("", "", often)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := c.scheme + "://" + listening(t, c.handle) + "/x.git"
			m := mirrorOf(t, at, func(o *Options) { o.Paces = brisk })
			place, err := gitstore.Find(m.Dir())
			if err != nil {
				t.Fatal(err)
			}
			place.Remote, place.URL = "origin", at
			n := &gittest.Notary{}
			l, err := gitledger.Open(place, gitledger.Options{Signer: n, Verifier: n, Now: time.Now, Paces: brisk})
			if err != nil {
				t.Fatal(err)
			}
			for what, ask := range map[string]func() error{
				"refs":  func() error { _, err := m.Refs(t.Context()); return err },
				"facts": func() error { _, err := l.Facts(t.Context()); return err },
				"fetch": func() error { return m.Fetch(t.Context(), "refs/heads/main") },
			} {
				if c.scheme == "git" && what == "fetch" {
					continue // not allowed
				}
				began := time.Now()
				err := ask()
				wantFault(t, err, fault.Transient)
				if took := time.Since(began); took > 10*time.Second {
					t.Errorf("%s: it took %s", what, took)
				}
				if fault.HintOf(err) == "" {
					t.Errorf("%s: %v: there is no way out", what, err)
				}
			}
		})
	}
}

// agentless is a user's SSH agent without a key, and a file of known hosts without any.
func agentless(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	l, err := net.Listen("unix", filepath.Join(dir, "agent"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _ = agent.ServeAgent(agent.NewKeyring(), c); _ = c.Close() }()
		}
	}()
	write(t, dir, "known_hosts", "")
	t.Setenv("SSH_AUTH_SOCK", filepath.Join(dir, "agent"))
	t.Setenv("SSH_KNOWN_HOSTS", filepath.Join(dir, "known_hosts"))
}

// through is the remote's server, whose answers to what a clone asks for come by pass.
func through(t testing.TB, to string, pass func(w http.ResponseWriter, body []byte, done <-chan struct{})) string {
	t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(u)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			proxy.ServeHTTP(w, r)
			return
		}
		if pass == nil { // it does not get there
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
			return
		}
		kept := httptest.NewRecorder()
		proxy.ServeHTTP(kept, r)
		for k, v := range kept.Header() {
			if k != "Content-Length" {
				w.Header()[k] = v
			}
		}
		w.WriteHeader(kept.Code)
		pass(w, kept.Body.Bytes(), r.Context().Done())
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// pieces writes body so many bytes at a time, from a place on.
func pieces(from, n int, every time.Duration) func(http.ResponseWriter, []byte, <-chan struct{}) {
	return func(w http.ResponseWriter, body []byte, done <-chan struct{}) {
		from := min(from, len(body))
		_, _ = w.Write(body[:from])
		for body = body[from:]; ; {
			w.(http.Flusher).Flush()
			select {
			case <-done:
				return
			case <-time.After(every):
			}
			if n == 0 {
				continue
			}
			if len(body) == 0 {
				return
			}
			k := min(n, len(body))
			_, _ = w.Write(body[:k])
			body = body[k:]
		}
	}
}

// noisy is a remote over HTTP whose main has what does not get smaller, and a ledger.
func noisy(t testing.TB) string {
	t.Helper()
	s, remote, clones := gittest.OverHTTP(t, 1)
	noise := make([]byte, 300<<10)
	_, _ = rand.NewChaCha8([32]byte{}).Read(noise)
	write(t, clones[0], "noise", string(noise))
	git(t, clones[0], "add", ".")
	git(t, clones[0], "commit", "-q", "-m", "more")
	git(t, clones[0], "push", "-q", remote, "HEAD:main")
	for i := range 3 {
		mustAppend(t, openLedger(t, clones[0]), trained(i))
	}
	return s.URL
}

// TestAPackThatDoesNotComeIsGivenUp: one that stops in the middle, and one that comes by
// the byte. One that comes slowly is taken.
func TestAPackThatDoesNotComeIsGivenUp(t *testing.T) {
	to := noisy(t)
	for name, c := range map[string]struct {
		pass  func(http.ResponseWriter, []byte, <-chan struct{})
		comes bool
	}{
		"stops":   {pieces(2000, 0, 20*time.Millisecond), false},
		"drips":   {pieces(2000, 1, 20*time.Millisecond), false},
		"silent":  {pieces(0, 0, 20*time.Millisecond), false},
		"is slow": {pieces(0, 4000, 40*time.Millisecond), true}, // a pack of 300 KiB takes as long as a window
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := through(t, to, c.pass) + "/remote.git"
			for what, ask := range map[string]func() error{
				"fetch": func() error {
					return mirrorOf(t, at, func(o *Options) { o.Paces = brisk }).Fetch(t.Context(), "refs/heads/main")
				},
				"facts": func() error {
					dir := t.TempDir()
					git(t, dir, "init", "-q", "--bare")
					git(t, dir, "remote", "add", "origin", at)
					f, err := openLedger(t, dir, func(o *gitledger.Options) { o.Paces = brisk }).Facts(t.Context())
					if err == nil && f.Count != 4 {
						return fmt.Errorf("%d entries", f.Count)
					}
					return err
				},
			} {
				began := time.Now()
				err := ask()
				if c.comes {
					if err != nil {
						t.Errorf("%s: %v", what, err)
					}
					continue
				}
				wantFault(t, err, fault.Transient)
				if took := time.Since(began); took > 20*time.Second {
					t.Errorf("%s: it took %s", what, took)
				}
			}
		})
	}
}

// TestAPushWithoutAnAnswerIsGivenUp: the remote advertises, and never says more. What it
// took all the same is found there.
func TestAPushWithoutAnAnswerIsGivenUp(t *testing.T) {
	s, remote, clones := gittest.OverHTTP(t, 1)
	for i, pass := range []func(http.ResponseWriter, []byte, <-chan struct{}){nil, pieces(0, 0, 20*time.Millisecond)} {
		at, taken := through(t, s.URL, pass)+"/remote.git", pass != nil
		m := mirrorOf(t, s.URL+"/remote.git", func(o *Options) { o.Paces = brisk })
		mustFetch(t, m, "refs/heads/main")
		m.o.URL = at
		name := fmt.Sprintf("refs/heads/x%d", i)
		wantFault(t, m.Push(t.Context(), git(t, clones[0], "rev-parse", "HEAD"), name, ""), fault.Transient)
		if _, err := tryGit(remote, "rev-parse", "--verify", name); (err == nil) != taken {
			t.Errorf("that the remote took the push is %v", err == nil)
		}
		git(t, clones[0], "remote", "set-url", "origin", at)
		_, err := openLedger(t, clones[0], func(o *gitledger.Options) { o.Paces = brisk }).Append(t.Context(), trained(i))
		if taken && err != nil {
			t.Errorf("the entry is there, and not found: %v", err)
		} else if !taken {
			wantFault(t, err, fault.Transient)
		}
	}
}

// TestHungRemoteEndsWithTheCaller: a remote that never answers is given up when the caller
// does, save the seconds that a killed git is waited for.
func TestHungRemoteEndsWithTheCaller(t *testing.T) {
	s, _, clones := gittest.OverHTTP(t, 1)
	l := openLedger(t, clones[0])
	mustAppend(t, l, trained(1))
	m := mirrorOf(t, s.URL+"/remote.git")
	hang := make(chan struct{})
	s.Breaks(gittest.Broken{Hang: hang})
	for name, ask := range map[string]func(context.Context) error{
		"append": func(ctx context.Context) error { _, err := l.Append(ctx, trained(2)); return err },
		"facts":  func(ctx context.Context) error { _, err := l.Facts(ctx); return err },
		"refs":   func(ctx context.Context) error { _, err := m.Refs(ctx); return err },
		"fetch":  func(ctx context.Context) error { return m.Fetch(ctx, "refs/heads/main") },
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		began := time.Now()
		err := ask(ctx)
		cancel()
		if fault.Of(err) != fault.Cancelled || err == nil {
			t.Errorf("%s: %s %v, want Cancelled", name, fault.Of(err), err)
		}
		if d := time.Since(began); d > 8*time.Second {
			t.Errorf("%s took %v after its deadline of 200 ms", name, d)
		}
	}
	s.Breaks(gittest.Broken{})
	close(hang)
	if got := mustAppend(t, l, trained(2)); got.Seq != 2 {
		t.Errorf("recorded as %d, want 2", got.Seq)
	}
}
