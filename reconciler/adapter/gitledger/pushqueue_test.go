// The line of writers is a courtesy: it must never be why an entry does not land.

package gitledger

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

// TestDeadTicketIsPassedBy: a writer that was killed while it stood first in line
// does not keep the others waiting for ever, and its ticket goes.
func TestDeadTicketIsPassedBy(t *testing.T) {
	remote, clones := newClones(t, 1)
	began := time.Now()
	l := openLedger(t, clones[0], func(o *Options) {
		o.Now = func() time.Time { return began.Add(50 * time.Since(began)) } // nobody waits for five seconds here
	})
	mustAppend(t, l, trained(1))
	git(t, remote, "update-ref", ticketsAt+"0000000000001-00000000", "vishwa/ledger")
	mustAppend(t, l, trained(2))
	if n := landed(t, l)[key(2)]; n != 1 {
		t.Errorf("the entry landed %d times", n)
	}
	if left := git(t, remote, "for-each-ref", ticketsAt); left != "" {
		t.Errorf("tickets are left: %s", left)
	}
}

// TestALineThatMovesIsStoodIn: however long it is, as each of those before us may take as long as its machine needs.
func TestALineThatMovesIsStoodIn(t *testing.T) {
	remote, clones := newClones(t, 1)
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	l := openLedger(t, clones[0], func(o *Options) {
		o.Now = func() time.Time { now = now.Add(5 * time.Second); return now }
	})
	mustAppend(t, l, trained(1))
	for i := range 6 {
		git(t, remote, "update-ref", fmt.Sprintf("%s%013d-00000000", ticketsAt, i+1), "vishwa/ledger")
	}
	began := now
	mustAppend(t, l, trained(2))
	if took := now.Sub(began); took < 2*patience {
		t.Errorf("it stood in line for %v: too short to show anything", took)
	}
}

// TestRemoteWithoutTickets: where the remote refuses the refs of the line, writers
// meet as before, and each entry lands.
func TestRemoteWithoutTickets(t *testing.T) {
	remote, clones := newClones(t, 4)
	hook := filepath.Join(remote, "hooks", "update")
	if err := os.WriteFile(hook, []byte("#!/bin/sh\ncase $1 in refs/vishwa/*) exit 1;; esac\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, openLedger(t, clones[0]), trained(9))
	var all sync.WaitGroup
	for i, dir := range clones {
		l := openLedger(t, dir)
		all.Go(func() {
			if _, err := l.Append(t.Context(), trained(i)); err != nil {
				t.Errorf("writer %d: %v", i, err)
			}
		})
	}
	all.Wait()
	n := landed(t, openLedgerHere(t, clones[0]))
	for i := range clones {
		if n[key(i)] != 1 {
			t.Errorf("entry %d landed %d times", i, n[key(i)])
		}
	}
}

// openLedgerHere is a ledger that has taken in what the remote has.
func openLedgerHere(t *testing.T, dir string) *Ledger {
	l := openLedger(t, dir)
	mustFacts(t, l)
	return l
}

// BenchmarkStorm has 32 writers append at the same time, each from a clone of its own.
func BenchmarkStorm(b *testing.B) {
	const writers = 32
	_, clones := newClones(b, writers)
	var writing []*Ledger
	for _, dir := range clones {
		writing = append(writing, openLedger(b, dir))
	}
	mustAppend(b, writing[0], trained(0))
	var took []time.Duration
	var mu sync.Mutex
	n := 0
	for b.Loop() {
		var all sync.WaitGroup
		for _, l := range writing {
			n++
			e := trained(n)
			all.Go(func() {
				began := time.Now()
				_, err := l.Append(b.Context(), e)
				mu.Lock()
				defer mu.Unlock()
				took = append(took, time.Since(began))
				if err != nil {
					b.Error(err)
				}
			})
		}
		all.Wait()
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Milliseconds()), "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Milliseconds()), "p99-ms")
}
