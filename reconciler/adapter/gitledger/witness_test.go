// The ledger against its checkpoints: whoever can force-push, delete or replace the
// branch, and even has the key that signs its commits, is found out in a fresh clone.

package gitledger

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore/gittest"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// places is one of checkpoints, by their counts.
type places struct {
	kept map[int64][]byte
	err  error
}

func (s *places) Newest(context.Context) (out [][]byte, err error) {
	for _, n := range slices.Backward(slices.Sorted(maps.Keys(s.kept))) {
		out = append(out, s.kept[n])
	}
	return out, s.err
}

func (s *places) Keep(_ context.Context, count int64, raw []byte) error {
	if s.err == nil {
		s.kept[count] = raw
	}
	return s.err
}

func witnessed(w port.Witness, required bool) func(*Options) {
	return func(o *Options) {
		o.Controller, o.Witnesses = "vishwa", []Witness{{Name: "the shelf", Place: w, Required: required}}
	}
}

// clone is a fresh clone of remote.
func clone(t *testing.T, remote string) string {
	dir := filepath.Join(t.TempDir(), "fresh")
	git(t, filepath.Dir(dir), "clone", "-q", remote, dir)
	return dir
}

func TestCheckpointsHoldTheBranch(t *testing.T) {
	for name, c := range map[string]struct {
		// to changes the branch in a clone, and is pushed by force.
		to          func(f *forger)
		fresh, seen string
	}{
		"nothing": {func(*forger) {}, "", ""},
		"the tail is cut": {func(f *forger) {
			git(f.t, f.l.place.Common, "update-ref", "refs/heads/vishwa/ledger", "vishwa/ledger~1")
		}, "rolled back", "rewritten"},
		"all is cut": {func(f *forger) { git(f.t, f.l.place.Common, "update-ref", "-d", "refs/heads/vishwa/ledger") }, "missing", "rewritten"},
		"it goes on another way": {func(f *forger) {
			git(f.t, f.l.place.Common, "update-ref", "refs/heads/vishwa/ledger", "vishwa/ledger~2")
			for i := range 5 {
				mustAppend(f.t, openLedger(f.t, f.l.place.Common, offline), trained(50+i))
			}
		}, "another one", "rewritten"},
		"it begins anew": {func(f *forger) {
			git(f.t, f.l.place.Common, "update-ref", "-d", "refs/heads/vishwa/ledger")
			git(f.t, f.l.place.Common, "remote", "remove", "origin")
			for i := range 7 {
				mustAppend(f.t, openLedger(f.t, f.l.place.Common), trained(70+i))
			}
		}, "another one", "rewritten"},
		"an entry is dropped": {func(f *forger) {
			k, base := f.link("vishwa/ledger"), f.link("vishwa/ledger~2")
			k.Commit.Parent = base.ID.String()
			k.Commit.Tree = f.put(base.Commit.Tree, ledger.Path(3), f.file("vishwa/ledger", ledger.Path(4)))
			f.commit(k.Commit, nil)
		}, "entry 3", "rewritten"},
		"an entry is replayed": {func(f *forger) {
			k := f.link("vishwa/ledger")
			k.Commit.Parent = k.ID.String()
			k.Commit.Tree = f.put(k.Commit.Tree, ledger.Path(5), f.file("vishwa/ledger", ledger.Path(4)))
			f.commit(k.Commit, nil)
		}, "entry 5", "rewritten"},
		"payloads are swapped": {func(f *forger) {
			k := f.link("vishwa/ledger")
			two, three := f.file("vishwa/ledger", ledger.Path(2)), f.file("vishwa/ledger", ledger.Path(3))
			k.Commit.Tree = f.put(f.put(k.Commit.Tree, ledger.Path(2), three), ledger.Path(3), two)
			f.commit(k.Commit, nil)
		}, "entry 2", "rewritten"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it waits for programs
			remote, clones := newClones(t, 3)
			place := &places{kept: map[int64][]byte{}}
			memory := func(o *Options) { witnessed(place, false)(o); o.Memory = filepath.Join(remote, "..", "memory") }
			l := openLedger(t, clones[0], witnessed(place, false))
			for i := range 4 {
				mustAppend(t, l, trained(i))
			}
			seen := openLedger(t, clones[1], memory)
			mustFacts(t, seen)
			git(t, clones[2], "fetch", "-q", "origin", "vishwa/ledger:vishwa/ledger")
			c.to(forge(t, clones[2]))
			if tip, err := tryGit(clones[2], "rev-parse", "-q", "--verify", "vishwa/ledger"); err == nil {
				git(t, clones[2], "push", "-q", remote, "+"+tip+":refs/heads/vishwa/ledger")
			} else {
				git(t, remote, "update-ref", "-d", "refs/heads/vishwa/ledger")
			}
			try := func(who string, l *Ledger, want string) {
				t.Helper()
				before := git(t, remote, "for-each-ref")
				for what, err := range map[string]error{"facts": factsOf(t, l), "append": appendTo(t, l)} {
					if want == "" && err != nil {
						t.Errorf("%s, %s: %v", who, what, err)
					}
					if want != "" && (fault.Of(err) != fault.Corrupt || !strings.Contains(err.Error(), want) || fault.HintOf(err) == "") {
						t.Errorf("%s, %s: %v (%s); want %q", who, what, err, fault.HintOf(err), want)
					}
				}
				if after := git(t, remote, "for-each-ref"); want != "" && after != before {
					t.Errorf("%s: the remote went from\n%s\nto\n%s", who, before, after)
				}
			}
			fresh := clone(t, remote)
			try("a fresh clone", openLedger(t, fresh, witnessed(place, false)), c.fresh)
			if c.fresh == "missing" || c.fresh == "rolled back" || c.fresh == "another one" {
				try("a fresh clone on a machine that has seen it", openLedger(t, clone(t, remote), func(o *Options) { memory(o); o.Witnesses = nil }), c.fresh)
			}
			if c.seen != "" {
				try("a clone that has seen it", seen, c.seen)
			}
			if c.fresh == "" {
				return
			}
			// What was refused leaves no trace: put right, the clone goes on.
			git(t, clones[0], "push", "-q", remote, "+vishwa/ledger:refs/heads/vishwa/ledger")
			try("the fresh clone, once it is put right", openLedger(t, fresh, witnessed(place, false)), "")
		})
	}
}

func offline(o *Options) { o.Offline = true }

func factsOf(t *testing.T, l *Ledger) error {
	_, err := l.Facts(t.Context())
	return err
}

func appendTo(t *testing.T, l *Ledger) error {
	_, err := l.Append(t.Context(), trained(99))
	return err
}

// TestOneByteLessAnywhereShows: in the newest entry, whose bytes nothing follows.
func TestOneByteLessAnywhereShows(t *testing.T) {
	dir := newRepo(t)
	l := openLedger(t, dir)
	mustAppend(t, l, trained(1))
	f := forge(t, dir)
	k, whole := f.link("vishwa/ledger"), f.file("vishwa/ledger", ledger.Path(1))
	step := 101 // each costs programs; package ledger asks the same of every byte
	if os.Getenv("VISHWA_REAL") != "" {
		step = 13
	}
	for i := 0; i < len(whole); i += step {
		c := k.Commit
		c.Tree = f.put(k.Commit.Tree, ledger.Path(1), slices.Concat(whole[:i], whole[i+1:]))
		f.commit(c, nil)
		if _, err := verify(t, openLedger(t, dir)); fault.Of(err) != fault.Corrupt || err == nil || !strings.Contains(err.Error(), "entry 1") {
			t.Fatalf("without byte %d: %v", i, err)
		}
	}
}

// TestPlacesThatDoNotAnswer: it is said, and stops those alone that are required.
func TestPlacesThatDoNotAnswer(t *testing.T) {
	_, clones := newClones(t, 2)
	broken := &places{kept: map[int64][]byte{}, err: errors.New("no route")}
	l := openLedger(t, clones[0], witnessed(broken, false))
	mustAppend(t, l, trained(1))
	if held, unsaid := l.Claims(); len(held) != 0 || len(unsaid) != 1 || !strings.Contains(unsaid[0], "the shelf: no route") {
		t.Errorf("%v, %v", held, unsaid)
	}
	must := openLedger(t, clones[1], witnessed(broken, true))
	for _, err := range []error{factsOf(t, must), appendTo(t, must)} {
		wantFault(t, err, fault.Transient, "the shelf", "no route")
		if fault.HintOf(err) == "" {
			t.Error("no way out")
		}
	}
	junk := &places{kept: map[int64][]byte{9: []byte("junk")}}
	mustFacts(t, openLedger(t, clones[1], witnessed(junk, false)))
	wantFault(t, factsOf(t, openLedger(t, clones[1], witnessed(junk, true))), fault.Denied, "none of its checkpoints counts")
}

// TestCheckpointOfTheRevokedDoesNotCount: nor does a stranger's, or another ledger's.
func TestCheckpointOfTheRevokedDoesNotCount(t *testing.T) {
	_, clones := newClones(t, 2)
	place := &places{kept: map[int64][]byte{}}
	l := openLedger(t, clones[0], witnessed(place, false))
	mustAppend(t, l, trained(1))
	n, err := ledger.ParseNotice(place.kept[2])
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*ledger.Notice) string{
		"another ledger's": func(n *ledger.Notice) string { n.Origin = "elsewhere#vishwa/ledger"; return "vishwa" },
		"a stranger's":     func(*ledger.Notice) string { return "mallory" },
		"the revoked's":    func(*ledger.Notice) string { return "vishwa" },
	} {
		more := n
		more.Count = 50
		by := change(&more)
		raw, err := more.Sign(by, gittest.SSHKey(t), zero{})
		if err != nil {
			t.Fatal(err)
		}
		two := &places{kept: map[int64][]byte{2: place.kept[2], 50: raw}}
		fresh := openLedger(t, clones[1], witnessed(two, true), func(o *Options) {
			o.Stands = nil
			if name == "the revoked's" {
				o.Stands = terms{"vishwa": 10}.stands
			}
		})
		mustFacts(t, fresh)
		if held, _ := fresh.Claims(); len(held) != 1 || held[0].Count != 2 {
			t.Errorf("%s: held against %+v", name, held)
		}
	}
}

type zero struct{}

func (zero) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// TestRefKeepsCheckpoints: in the ledger's remote, and in one that others administer.
func TestRefKeepsCheckpoints(t *testing.T) {
	for _, elsewhere := range []bool{false, true} {
		remote, clones := newClones(t, 2)
		url, there := "", remote
		if elsewhere {
			there = filepath.Join(t.TempDir(), "other.git")
			git(t, filepath.Dir(there), "init", "-q", "--bare", there)
			url = there
		}
		with := func(dir string) *Ledger {
			plain := openLedger(t, dir)
			w, err := plain.Ref(url, UsualCheckpoints)
			if err != nil {
				t.Fatal(err)
			}
			return openLedger(t, dir, witnessed(w, true))
		}
		l := with(clones[0])
		for i := range 6 {
			mustAppend(t, l, trained(i))
		}
		if n := strings.Count(git(t, there, "log", "--format=%H", UsualCheckpoints), "\n") + 1; n != 6 {
			t.Errorf("%d checkpoints, want one a call", n)
		}
		git(t, there, "fsck", "--strict")
		fresh := with(clones[1])
		mustFacts(t, fresh)
		if held, _ := fresh.Claims(); len(held) != 1 || held[0].Count != 7 || held[0].Commit != git(t, remote, "rev-parse", "vishwa/ledger") {
			t.Errorf("held against %+v", held)
		}
		git(t, remote, "update-ref", "refs/heads/vishwa/ledger", "vishwa/ledger~1")
		wantFault(t, factsOf(t, with(clone(t, remote))), fault.Corrupt, "rolled back")
		git(t, remote, "update-ref", "-d", "refs/heads/vishwa/ledger")
		wantFault(t, appendTo(t, with(clone(t, remote))), fault.Corrupt, "missing")
		blob := plumbing.ComputeHash(plumbing.BlobObject, []byte("x"))
		write(t, there, "x", "x")
		git(t, there, "hash-object", "-w", "x")
		git(t, there, "update-ref", UsualCheckpoints, blob.String())
		if err := factsOf(t, with(clone(t, remote))); err == nil {
			t.Error("a ref that is not a commit is read as none")
		}
	}
	dir := newRepo(t)
	l := openLedger(t, dir)
	for url, ref := range map[string]string{"https://user:secret@example.org/x": UsualCheckpoints, "https://example.org/x": "main", "/tmp/x": "refs/heads/vishwa/ledger", "/tmp/y": "refs/../x"} {
		_, err := l.Ref(url, ref)
		wantFault(t, err, fault.Invalid)
		if strings.Contains(err.Error()+fault.HintOf(err), "secret") {
			t.Error("the password is told")
		}
	}
}

// TestMemoryIsNotTakenForAnother: what was written into it by others is refused.
func TestMemoryIsNotTakenForAnother(t *testing.T) {
	_, clones := newClones(t, 1)
	file := filepath.Join(t.TempDir(), "memory")
	with := func(o *Options) { o.Memory = file }
	mustAppend(t, openLedger(t, clones[0], with), trained(1))
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"x", strings.Replace(string(raw), "#vishwa/ledger", "#other", 1)} {
		write(t, filepath.Dir(file), "memory", text)
		wantFault(t, factsOf(t, openLedger(t, clones[0], with)), fault.Corrupt, "notes of the ledger")
	}
	write(t, filepath.Dir(file), "memory", "") // as after a machine went down
	mustFacts(t, openLedger(t, clones[0], with))
	if again, err := os.ReadFile(file); err != nil || strings.Split(string(again), "time")[0] != strings.Split(string(raw), "time")[0] {
		t.Errorf("written anew as %q, %v", again, err)
	}
}

// terms are the last entries of controllers that were revoked.
type terms map[string]int64

func (t terms) stands(name string, seq int64, _ time.Time) error {
	if last, ok := t[name]; ok && seq > last {
		return errors.New("was revoked")
	}
	return nil
}

// TestPlaceIsLeftAloneForAWhile: but not by what weighs, and it learns the last in the end.
func TestPlaceIsLeftAloneForAWhile(t *testing.T) {
	_, clones := newClones(t, 1)
	place, now := &places{kept: map[int64][]byte{}}, time.Unix(1700000000, 0)
	l := openLedger(t, clones[0], witnessed(place, false), func(o *Options) {
		o.Witnesses[0].Rest, o.Now = time.Minute, func() time.Time { return now }
	})
	told := func(want ...int64) {
		t.Helper()
		if got := slices.Sorted(maps.Keys(place.kept)); !slices.Equal(got, want) {
			t.Errorf("told of %v, want %v", got, want)
		}
	}
	mustAppend(t, l, trained(1))
	told(2)
	mustAppend(t, l, trained(2))
	told(2)
	gone := trained(3)
	gone.Action = ledger.Retire
	mustAppend(t, l, gone)
	told(2, 4)
	mustAppend(t, l, trained(4))
	now = now.Add(time.Minute)
	mustAppend(t, l, trained(5))
	told(2, 4, 6)
	mustAppend(t, l, trained(6))
	l.Flush(t.Context())
	l.Flush(t.Context())
	told(2, 4, 6, 7)
}
