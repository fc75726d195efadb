// Writers against a remote that misbehaves: many at once, refused, cut off, slow,
// gone, rolled back. Whatever happens, each entry lands once or its writer is told.

package gitledger

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/gitremote"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore/gittest"
)

// landed counts the entries with a key.
func landed(t testing.TB, l *Ledger) map[digest.Digest]int {
	t.Helper()
	n := map[digest.Digest]int{}
	for r, err := range l.Entries(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		stated, _, err := (&gittest.Notary{}).Verify(t.Context(), r.Bundle)
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
// once, in one line, no ticket is left, and none waits for more than half a minute, nor for twenty times as long as all take that append
// one after another: so some append by themselves, before and after.
func TestStormLosesNothing(t *testing.T) {
	writers, alone := 12, 4
	if os.Getenv("VISHWA_REAL") != "" {
		writers, alone = 32, 8
	}
	_, remote, clones := gittest.OverHTTP(t, writers)
	var ledgers []*Ledger
	for _, dir := range clones {
		ledgers = append(ledgers, openLedger(t, dir))
	}
	mustAppend(t, ledgers[0], trained(1000)) // and the ledger begins
	oneByOne := func(first int) time.Duration {
		began := time.Now()
		for i := range alone {
			mustAppend(t, ledgers[(first+i)%writers], trained(1001+first+i))
		}
		return time.Since(began)
	}
	lone := oneByOne(0)
	var mu sync.Mutex
	var wg sync.WaitGroup
	var took []time.Duration
	var errs []error
	for w, l := range ledgers {
		wg.Go(func() {
			began := time.Now()
			_, err := l.Append(t.Context(), trained(w))
			mu.Lock()
			took, errs = append(took, time.Since(began)), append(errs, err)
			mu.Unlock()
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if left := git(t, remote, "for-each-ref", ticketsAt); left != "" {
		t.Errorf("tickets are left: %s", left)
	}
	lone += oneByOne(alone)
	entries := 2 + 2*alone + writers
	l := openLedger(t, clones[0])
	if f := mustFacts(t, l); int(f.Count) != entries || len(f.ByKey) != entries-1 {
		t.Errorf("%d entries and %d keys, want %d and %d", f.Count, len(f.ByKey), entries, entries-1)
	}
	if _, err := verify(t, l); err != nil {
		t.Error(err)
	}
	if n := git(t, remote, "rev-list", "--count", "--merges", "vishwa/ledger"); n != "0" {
		t.Errorf("%s merges in the ledger, want one line", n)
	}
	slices.Sort(took)
	longest, inTurn := took[len(took)-1], lone*time.Duration(writers)/time.Duration(2*alone)
	t.Logf("%d appends: median %v, longest %v; one after another they take %v", len(took), took[len(took)/2], longest, inTurn)
	if most := min(30*time.Second, 20*inTurn); longest > most {
		t.Errorf("an append took %v, want less than %v; one after another all take %v", longest, most, inTurn)
	}
}

// TestHookHasTheLastWord: a push that the remote's hook refuses is Denied with what to
// change, and the entry is recorded nowhere.
func TestHookHasTheLastWord(t *testing.T) {
	_, remote, clones := gittest.OverHTTP(t, 1)
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
			_, remote, clones := gittest.OverHTTP(t, 1)
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
		"the lease":  {gitremote.LostLease(), fault.Conflict, "nothing is lost"},
		"refused":    {fault.New(fault.Denied, "%w: no", gitremote.ErrRefused), fault.Denied, "let the controller's account push to b"},
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
	s, _, clones := gittest.OverHTTP(t, 2)
	l := openLedger(t, clones[0])
	mustAppend(t, l, trained(1))
	s.Breaks(gittest.Broken{Status: http.StatusBadGateway})
	for i := 2; i < 4; i++ {
		_, err := l.Append(t.Context(), trained(i))
		wantFault(t, err, fault.Transient, "recorded in this clone and not pushed")
	}
	s.Breaks(gittest.Broken{})
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
	s, remote, clones := gittest.OverHTTP(t, 1)
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
			s.Breaks(gittest.Broken{Push: func(git http.Handler, w http.ResponseWriter, r *http.Request) {
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
			s.Breaks(gittest.Broken{})
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

// TestHistoryIsNotBegunAnew: a ledger that is deleted or rolled back on the remote is
// Corrupt for whoever saw more, and stays as it was found: nobody writes over it.
func TestHistoryIsNotBegunAnew(t *testing.T) {
	for name, change := range map[string][]string{
		"deleted":     {"update-ref", "-d", "refs/heads/vishwa/ledger"},
		"rolled back": {"update-ref", "refs/heads/vishwa/ledger", "refs/heads/vishwa/ledger~1"},
	} {
		t.Run(name, func(t *testing.T) {
			_, remote, clones := gittest.OverHTTP(t, 1)
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
	_, _, clones := gittest.OverHTTP(t, 2)
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for i := range 6 {
		now = now.Add(-time.Hour)
		mustAppend(t, openLedger(t, clones[i%2], func(o *Options) { o.Now = func() time.Time { return now } }), trained(i))
	}
	l := openLedger(t, clones[0])
	if f := mustFacts(t, l); f.Count != 7 {
		t.Errorf("%d entries, want 7", f.Count)
	}
	if _, err := verify(t, l); err != nil {
		t.Error(err)
	}
}
