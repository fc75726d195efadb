// Writers against a remote that misbehaves: many at once, refused, cut off, slow,
// gone, rolled back. Whatever happens, each entry lands once or its writer is told.

package repo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

// web serves the repositories of a folder over HTTP, and breaks as it is told to.
type web struct {
	*httptest.Server
	mu     sync.Mutex
	broken broken
	asked  []string // Authorization of each request
}

type broken struct {
	status         int           // answered to everything
	hang           chan struct{} // no answer until it is closed
	user, password string
	push           func(git http.Handler, w http.ResponseWriter, r *http.Request) // in place of taking a push in
}

func newWeb(t testing.TB, root string) *web {
	t.Helper()
	core, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		t.Fatal(err)
	}
	git := &cgi.Handler{
		Path:       filepath.Join(strings.TrimSpace(string(core)), "git-http-backend"),
		Env:        []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=ada", "GIT_CONFIG_NOSYSTEM=1"},
		InheritEnv: []string{"PATH"}, Stderr: t.Output(),
	}
	s := &web{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		b := s.broken
		s.asked = append(s.asked, r.Header.Get("Authorization"))
		s.mu.Unlock()
		user, password, _ := r.BasicAuth()
		switch {
		case b.hang != nil:
			select {
			case <-b.hang:
			case <-r.Context().Done():
			}
		case b.status != 0:
			w.WriteHeader(b.status)
		case b.user != "" && (user != b.user || password != b.password):
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			w.WriteHeader(http.StatusUnauthorized)
		case b.push != nil && r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/git-receive-pack"):
			b.push(git, w, r)
		default:
			git.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *web) breaks(b broken) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = b
}

// overHTTP is newClones with the clones' remote served over HTTP.
func overHTTP(t testing.TB, n int) (s *web, remote string, clones []string) {
	t.Helper()
	remote, clones = newClones(t, n)
	s = newWeb(t, filepath.Dir(remote))
	for _, dir := range clones {
		git(t, dir, "remote", "set-url", "origin", s.URL+"/remote.git")
	}
	return s, remote, clones
}

// landed counts the entries with a key.
func landed(t testing.TB, l *Ledger) map[digest.Digest]int {
	t.Helper()
	n := map[digest.Digest]int{}
	for r, err := range l.Entries(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		stated, _, err := (&notary{}).Verify(t.Context(), r.Bundle)
		if err != nil {
			t.Fatal(err)
		}
		e, err := ledger.Parse(stated)
		if err != nil {
			t.Fatal(err)
		}
		n[e.Key]++
	}
	return n
}

// TestStormLosesNothing: of 32 clones that append at the same time each entry lands
// once, in one line, no ticket is left, and none waits for more than half a minute.
func TestStormLosesNothing(t *testing.T) {
	writers, each := 12, 1
	if os.Getenv("VISHWA_REAL") != "" {
		writers = 32
	}
	_, remote, clones := overHTTP(t, writers)
	var mu sync.Mutex
	var wg sync.WaitGroup
	var took []time.Duration
	var errs []error
	for w, dir := range clones {
		l := openLedger(t, dir)
		wg.Go(func() {
			for i := range each {
				began := time.Now()
				_, err := l.Append(t.Context(), trained(w*100+i))
				mu.Lock()
				took, errs = append(took, time.Since(began)), append(errs, err)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	l := openLedger(t, clones[0])
	if f := mustFacts(t, l); int(f.Count) != writers*each+1 || len(f.ByKey) != writers*each {
		t.Errorf("%d entries and %d keys, want %d and %d", f.Count, len(f.ByKey), writers*each+1, writers*each)
	}
	if _, err := verify(t, l); err != nil {
		t.Error(err)
	}
	if n := git(t, remote, "rev-list", "--count", "--merges", "vishwa/ledger"); n != "0" {
		t.Errorf("%s merges in the ledger, want one line", n)
	}
	if left := git(t, remote, "for-each-ref", ticketsAt); left != "" {
		t.Errorf("tickets are left: %s", left)
	}
	slices.Sort(took)
	longest := took[len(took)-1]
	t.Logf("%d appends: median %v, longest %v", len(took), took[len(took)/2], longest)
	if longest > 30*time.Second {
		t.Errorf("an append took %v, want less than 30 s", longest)
	}
}

// TestHookHasTheLastWord: a push that the remote's hook refuses is Denied with what to
// change, and the entry is recorded nowhere.
func TestHookHasTheLastWord(t *testing.T) {
	_, remote, clones := overHTTP(t, 1)
	l := openLedger(t, clones[0])
	mustAppend(t, l, trained(1))
	write(t, remote, "hooks/pre-receive", "#!/bin/sh\necho not today >&2\nexit 1\n")
	if err := os.Chmod(filepath.Join(remote, "hooks/pre-receive"), 0o755); err != nil {
		t.Fatal(err)
	}
	was := git(t, remote, "rev-parse", "vishwa/ledger")
	_, err := l.Append(t.Context(), trained(2))
	wantFault(t, err, fault.Denied, "hook declined", "not today")
	if !strings.Contains(fault.HintOf(err), "push to vishwa/ledger") {
		t.Errorf("the way out is %q", fault.HintOf(err))
	}
	for _, dir := range []string{remote, clones[0]} {
		if is := git(t, dir, "rev-parse", "refs/heads/vishwa/ledger"); is != was {
			t.Errorf("the ledger of %s moved", dir)
		}
	}
	if n := landed(t, l)[key(2)]; n != 0 {
		t.Errorf("the refused entry is there %d times", n)
	}
}

// TestARefusalNamesTheRule: in the remote's words, and says who has to allow what.
func TestARefusalNamesTheRule(t *testing.T) {
	for name, c := range map[string]struct{ hook, says, way string }{
		"protected branch": {`echo "error: GH006: Protected branch update failed for refs/heads/vishwa/ledger." >&2; echo "error: At least 1 approving review is required by reviewers with write access." >&2`,
			"At least 1 approving review is required", "protection of branches that matches vishwa/ledger"},
		"rule set": {`printf 'error: GH013: Repository rule violations found for refs/heads/vishwa/ledger.\n\n- Changes must be made through a pull request.\033[2J\n' >&2`,
			"Changes must be made through a pull request.", "bypass list"},
		"another forge": {`echo "You are not allowed to push code to protected branches; see https://me:hunter2@git.example.org/rules?token=hunter2" >&2`,
			"You are not allowed to push code to protected branches", "whoever administers the repository"},
		"a long one": {`yes 'noise' | head -n 100000 >&2; echo "the rule" >&2`, "the rule", "whoever administers"},
	} {
		t.Run(name, func(t *testing.T) {
			_, remote, clones := overHTTP(t, 1)
			l := openLedger(t, clones[0])
			mustAppend(t, l, trained(1))
			write(t, remote, "hooks/pre-receive", "#!/bin/sh\n"+c.hook+"\nexit 1\n")
			if err := os.Chmod(filepath.Join(remote, "hooks/pre-receive"), 0o755); err != nil {
				t.Fatal(err)
			}
			_, err := l.Append(t.Context(), trained(2))
			wantFault(t, err, fault.Denied, "hook declined", c.says)
			if !strings.Contains(fault.HintOf(err), c.way) || !strings.Contains(fault.HintOf(err), "push to vishwa/ledger") {
				t.Errorf("the way out is %q", fault.HintOf(err))
			}
			if text := err.Error(); strings.Contains(text, "hunter2") || strings.ContainsAny(text, "\x1b\n") || len(text) > 4<<10 {
				t.Errorf("it says too much: %q", text)
			}
		})
	}
}

// TestABrokenPushIsNotARefusal: nobody has to allow anything where the line is bad.
func TestABrokenPushIsNotARefusal(t *testing.T) {
	for name, c := range map[string]struct {
		cause error
		kind  fault.Kind
		way   string
	}{
		"broken off": {fault.WithHint(fault.New(fault.Transient, "unexpected EOF"), "x"), fault.Transient, "try again when it answers"},
		"the lease":  {lostLease(), fault.Conflict, "nothing is lost"},
		"refused":    {fault.New(fault.Denied, "%w: no", errRefused), fault.Denied, "let the controller's account push to b"},
		"unknown":    {errors.New("odd"), fault.Denied, "let the controller's account push to b"},
	} {
		err := (&lost{cause: c.cause}).refusal("b", true)
		if fault.Of(err) != c.kind || !strings.Contains(fault.HintOf(err), c.way) || !errors.Is(err, c.cause) {
			t.Errorf("%s: %v; %s", name, err, fault.HintOf(err))
		}
	}
}

// TestOutageKeepsTheEntry: an entry made while the remote is down is kept in the clone,
// and lands once when the remote is back, whoever asks first.
func TestOutageKeepsTheEntry(t *testing.T) {
	s, _, clones := overHTTP(t, 2)
	l := openLedger(t, clones[0])
	mustAppend(t, l, trained(1))
	s.breaks(broken{status: http.StatusBadGateway})
	for i := 2; i < 4; i++ {
		_, err := l.Append(t.Context(), trained(i))
		wantFault(t, err, fault.Transient, "recorded in this clone and not pushed")
	}
	s.breaks(broken{})
	mustAppend(t, openLedger(t, clones[0]), trained(4))
	other := openLedger(t, clones[1])
	mustFacts(t, other)
	n := landed(t, other)
	for i := 1; i <= 4; i++ {
		if n[key(i)] != 1 {
			t.Errorf("entry %d landed %d times", i, n[key(i)])
		}
	}
}

// cutRequest takes in the first n bytes of a push, and then the line is dead.
func cutRequest(n int64) func(http.Handler, http.ResponseWriter, *http.Request) {
	return func(_ http.Handler, _ http.ResponseWriter, r *http.Request) {
		_, _ = io.CopyN(io.Discard, r.Body, n)
		panic(http.ErrAbortHandler)
	}
}

// cutAnswer takes a push in, and the line is dead after the first n bytes of the answer.
func cutAnswer(n int) func(http.Handler, http.ResponseWriter, *http.Request) {
	return func(git http.Handler, w http.ResponseWriter, r *http.Request) {
		all := httptest.NewRecorder()
		git.ServeHTTP(all, r)
		for k, v := range all.Header() {
			w.Header()[k] = v
		}
		w.WriteHeader(all.Code)
		_, _ = w.Write(all.Body.Bytes()[:min(n, all.Body.Len())])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// TestCutPushLandsOnce: wherever the connection is cut, in what is sent or in what is
// answered, after another try the entry is in the ledger exactly once.
func TestCutPushLandsOnce(t *testing.T) {
	s, remote, clones := overHTTP(t, 1)
	l := openLedger(t, clones[0])
	mustAppend(t, l, trained(0))
	cuts := map[string]func(http.Handler, http.ResponseWriter, *http.Request){}
	for _, n := range []int64{0, 1, 4, 60, 150, 200, 400, 1000, 3000} {
		cuts[fmt.Sprintf("%d bytes sent", n)] = cutRequest(n)
	}
	for _, n := range []int{0, 1, 10, 40, 1000} {
		cuts[fmt.Sprintf("%d bytes answered", n)] = cutAnswer(n)
	}
	i := 0
	for name, cut := range cuts {
		for _, often := range []int{1, 100} { // once, and until it is mended
			i++
			var mu sync.Mutex
			left := often
			s.breaks(broken{push: func(git http.Handler, w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				left--
				now := left >= 0
				mu.Unlock()
				if !now {
					git.ServeHTTP(w, r)
					return
				}
				cut(git, w, r)
			}})
			_, err := l.Append(t.Context(), trained(i))
			s.breaks(broken{})
			if err != nil && fault.Of(err) != fault.Transient {
				t.Errorf("%s, %d times: %s %v, want Transient", name, often, fault.Of(err), err)
			}
			if mustFacts(t, l); landed(t, l)[key(i)] == 0 {
				mustAppend(t, l, trained(i))
			}
			if n := landed(t, l)[key(i)]; n != 1 {
				t.Errorf("%s, %d times: the entry is there %d times", name, often, n)
			}
		}
	}
	if here, there := git(t, clones[0], "rev-parse", "vishwa/ledger"), git(t, remote, "rev-parse", "vishwa/ledger"); here != there {
		t.Errorf("the clone is at %s, the remote at %s", here, there)
	}
	git(t, remote, "fsck", "--strict")
}

// TestHungRemoteEndsWithTheCaller: a remote that never answers is given up when the caller
// does, save the seconds that a killed git is waited for.
func TestHungRemoteEndsWithTheCaller(t *testing.T) {
	s, _, clones := overHTTP(t, 1)
	l := openLedger(t, clones[0])
	mustAppend(t, l, trained(1))
	m := mirrorOf(t, s.URL+"/remote.git")
	hang := make(chan struct{})
	s.breaks(broken{hang: hang})
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
	s.breaks(broken{})
	close(hang)
	if got := mustAppend(t, l, trained(2)); got.Seq != 2 {
		t.Errorf("recorded as %d, want 2", got.Seq)
	}
}

// TestHistoryIsNotBegunAnew: a ledger that is deleted or rolled back on the remote is
// Corrupt for whoever saw more, and stays as it was found: nobody writes over it.
func TestHistoryIsNotBegunAnew(t *testing.T) {
	for name, change := range map[string][]string{
		"deleted":     {"update-ref", "-d", "refs/heads/vishwa/ledger"},
		"rolled back": {"update-ref", "refs/heads/vishwa/ledger", "refs/heads/vishwa/ledger~1"},
	} {
		t.Run(name, func(t *testing.T) {
			_, remote, clones := overHTTP(t, 1)
			l := openLedger(t, clones[0])
			mustAppend(t, l, trained(1))
			mustAppend(t, l, trained(2))
			git(t, remote, change...)
			is := git(t, remote, "for-each-ref")
			for _, again := range []*Ledger{l, openLedger(t, clones[0])} {
				_, err := again.Append(t.Context(), trained(3))
				wantFault(t, err, fault.Corrupt, "rewritten")
				_, err = again.Facts(t.Context())
				wantFault(t, err, fault.Corrupt, "rewritten")
			}
			if now := git(t, remote, "for-each-ref"); now != is {
				t.Errorf("the remote was changed:\n%s\nto\n%s", is, now)
			}
		})
	}
}

// TestClockMayGoBack: entries follow each other by their numbers and digests, and not by
// the time of machines whose clocks differ.
func TestClockMayGoBack(t *testing.T) {
	_, _, clones := overHTTP(t, 2)
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for i := range 6 {
		now = now.Add(-time.Hour)
		mustAppend(t, openLedger(t, clones[i%2], func(o *LedgerOptions) { o.Now = func() time.Time { return now } }), trained(i))
	}
	l := openLedger(t, clones[0])
	if f := mustFacts(t, l); f.Count != 7 {
		t.Errorf("%d entries, want 7", f.Count)
	}
	if _, err := verify(t, l); err != nil {
		t.Error(err)
	}
}
