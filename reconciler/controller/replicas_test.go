// The laws of replicas: each repository has one that tries first, whoever goes is taken over in time, and nothing is done twice.

package controller

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/vishwaops/vishwa/reconciler/controller/config"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

// board is a roll in memory.
type board struct {
	mu    sync.Mutex
	marks map[string]string
	asked int
}

// place is one replica's place on a board.
type place struct {
	*board
	name string
	lost func() bool // nil: never; its signs are lost
	n    int
}

func (p *place) Self() string { return p.name }

func (p *place) Sign(context.Context) (map[string]string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	if p.lost != nil && p.lost() {
		return nil, fault.New(fault.Transient, "it does not answer")
	}
	p.n++
	p.marks[p.name] = fmt.Sprint(p.n)
	return maps.Clone(p.marks), nil
}

func (p *place) Strike(_ context.Context, name, mark string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lost != nil && p.lost() {
		return fault.New(fault.Transient, "it does not answer")
	}
	if mark != "" && p.marks[name] != mark {
		return fault.New(fault.Conflict, "it lives")
	}
	delete(p.marks, name)
	return nil
}

// TestAReplicaThatComesOrGoesMovesItsOwnShareAlone: and each repository has exactly one keeper.
func TestAReplicaThatComesOrGoesMovesItsOwnShareAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z0-9]{1,12}`), 2, 12, rapid.ID[string]).Draw(t, "replicas")
		goes := names[len(names)-1]
		for n := range 50 {
			key := digest.Of([]byte(fmt.Sprint(n)))
			with, without := keeper(key, names), keeper(key, names[:len(names)-1])
			if !slices.Contains(names, with) || with != goes && with != without {
				t.Fatalf("repository %d moves from %s to %s as %s goes", n, with, without, goes)
			}
			slices.Reverse(names)
			if again := keeper(key, names); again != with {
				t.Fatalf("who is asked in another order keeps it: %s and %s", with, again)
			}
			slices.Reverse(names)
		}
	})
}

// TestSharesAreEven: of a thousand repositories, each of n replicas has about the n-th part.
func TestSharesAreEven(t *testing.T) {
	for replicas := 2; replicas <= 8; replicas++ {
		var names []string
		for n := range replicas {
			names = append(names, fmt.Sprint("replica", n))
		}
		held := map[string]int{}
		for n := range 1000 {
			held[keeper(digest.Of([]byte(fmt.Sprint("example.org/team/", n))), names)]++
		}
		for name, n := range held {
			if want := 1000 / replicas; n < want*3/4 || n > want*5/4 {
				t.Errorf("of %d replicas %s has %d repositories, not about %d", replicas, name, n, want)
			}
		}
	}
}

// TestWhoGivesNoSignOfLifeIsGone: after the patience and not before, by this replica's own clock, whatever the marks are.
func TestWhoGivesNoSignOfLifeIsGone(t *testing.T) {
	const patience = time.Minute
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	m := &muster{self: "a", patience: patience}
	at := func(d time.Duration) []string { names, _ := m.alive(start.Add(d)); return names }
	if got := at(0); !slices.Equal(got, []string{"a"}) {
		t.Errorf("before anything is seen: %v", got)
	}
	m.note(map[string]string{"a": "1", "b": "1", "old": "x"}, start)
	m.note(map[string]string{"a": "2", "b": "2", "old": "x"}, start.Add(30*time.Second))
	if got := at(patience - 1); !slices.Equal(got, []string{"a", "b", "old"}) {
		t.Errorf("within the patience: %v", got)
	}
	if got, until := m.alive(start.Add(patience)); !slices.Equal(got, []string{"a", "b"}) || !until.Equal(start.Add(90*time.Second)) {
		t.Errorf("after it: %v until %s", got, until)
	}
	if left := m.note(map[string]string{"a": "2", "b": "3", "old": "x"}, start.Add(2*patience)); len(left) != 1 || left["old"] != "x" {
		t.Errorf("to be struck off: %v", left)
	}
	if got := at(10 * patience); !slices.Equal(got, []string{"a"}) {
		t.Errorf("this replica is not alive to itself: %v", got)
	}
	many := map[string]string{}
	for n := range 10_000 {
		many[fmt.Sprintf("n%05d", n)] = "1"
	}
	m.note(many, start.Add(20*patience))
	if got := at(20 * patience); len(got) > mostReplicas+1 {
		t.Errorf("a roll that somebody filled makes %d replicas", len(got))
	}
}

// town of replicas: controllers of the same repositories, whose work is counted by replica.
type replicas struct {
	board *board
	mu    sync.Mutex
	sites map[string]*fake          // by name: the repository, whoever works on it
	by    map[string]map[string]int // repository -> replica -> looks
	begun map[string]int            // repository -> passes of its head, whoever made them
}

func newReplicas() *replicas {
	return &replicas{board: &board{marks: map[string]string{}}, sites: map[string]*fake{}, by: map[string]map[string]int{}, begun: map[string]int{}}
}

// counted is a repository as one replica has it open.
type counted struct {
	*fake
	all     *replicas
	replica string
}

func (c counted) Refs(ctx context.Context) (Refs, error) {
	c.all.mu.Lock()
	c.all.by[c.name][c.replica]++
	c.all.mu.Unlock()
	return c.fake.Refs(ctx)
}

func (r *replicas) options(name string, n int, lost func() bool) Options {
	c := fast()
	c.Lease.Duration = 300 * time.Millisecond
	c.Poll = 50 * time.Millisecond
	for i := range n {
		c.Repositories = append(c.Repositories, config.Repository{URL: fmt.Sprintf("https://example.org/team/%d", i)})
	}
	return Options{Config: c, Roll: &place{board: r.board, name: name, lost: lost}, Open: func(_ context.Context, repo config.Repository) (Repository, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		title := repo.Title()
		if r.sites[title] == nil {
			r.sites[title], r.by[title] = newFake(title), map[string]int{}
		}
		return counted{r.sites[title], r, name}, nil
	}}
}

// forget begins the count anew.
func (r *replicas) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name := range r.by {
		r.by[name] = map[string]int{}
	}
}

// kept tells how many repositories were looked at at least twice since, by one replica alone, and by whom.
func (r *replicas) kept() (alone int, held map[string]int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	held = map[string]int{}
	for _, by := range r.by {
		if len(by) != 1 {
			continue
		}
		for name, looks := range by {
			if looks >= 2 {
				alone++
				held[name]++
			}
		}
	}
	return alone, held
}

// settle waits until each of n repositories is looked at by one of these replicas, and by no other.
func (r *replicas) settle(t *testing.T, n int, names ...string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; {
		r.forget()
		time.Sleep(200 * time.Millisecond) // some polls: what is measured is that nobody else looks meanwhile
		alone, held := r.kept()
		if alone == n && slices.Equal(slices.Sorted(maps.Keys(held)), names) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d repositories have one replica: %v, not all of %v", alone, n, held, names)
		}
	}
}

// TestEachRepositoryHasOneReplica: as replicas come, end well and crash; and a change is carried out once.
func TestEachRepositoryHasOneReplica(t *testing.T) {
	const n = 30
	all := newReplicas()
	crashed := make(chan struct{})
	a := start(t, all.options("a", n, nil))
	b := start(t, all.options("b", n, nil))
	c := start(t, all.options("c", n, func() bool {
		select {
		case <-crashed:
			return true
		default:
			return false
		}
	}))
	all.settle(t, n, "a", "b", "c")
	before := map[string]int{}
	for name, f := range all.sites {
		before[name] = f.count("branch main")
		f.set(func(r *Refs) { r.Branches["main"] = "2" })
	}
	for name, f := range all.sites {
		until(t, "a pass of the change", f.is("branch main", "2"))
		if more := f.count("branch main") - before[name]; more != 1 {
			t.Errorf("%s was passed %d times for one change", name, more)
		}
		if _, twice := f.crowd(); twice {
			t.Errorf("two passes of %s ran at once", name)
		}
	}
	for _, r := range []*running{a, b, c} {
		all, ready := r.Statuses()
		elsewhere := 0
		for _, s := range all {
			if s.Elsewhere {
				elsewhere++
			}
		}
		if !ready || elsewhere == 0 || elsewhere == n {
			t.Errorf("a replica is ready: %v, and says of %d of %d repositories that they are elsewhere", ready, elsewhere, n)
		}
	}
	b.end(t) // it says so, and nobody waits
	all.settle(t, n, "a", "c")
	close(crashed)
	c.end(t) // it says nothing any more
	all.settle(t, n, "a")
	start(t, all.options("d", n, nil))
	all.settle(t, n, "a", "d")
}

// TestAReplicaThatFindsNoOthersWorksAlone: after its patience, on all; and it shares again once they are found.
func TestAReplicaThatFindsNoOthersWorksAlone(t *testing.T) {
	const n = 10
	all := newReplicas()
	var mu sync.Mutex
	cut := true
	lost := func() bool { mu.Lock(); defer mu.Unlock(); return cut }
	a := start(t, all.options("a", n, lost))
	if _, ready := a.Statuses(); ready {
		t.Error("it is ready before it knows what is its own")
	}
	all.settle(t, n, "a")
	start(t, all.options("b", n, nil))
	mu.Lock()
	cut = false
	mu.Unlock()
	all.settle(t, n, "a", "b")
}
