package gitledger

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// grown is a clone of a bare remote whose ledger has n entries, both packed.
func grown(b *testing.B, n int) (dir string) {
	dir = newRepo(b)
	l := openLedger(b, dir)
	for i := range n - 1 { // and the genesis
		if _, err := l.Append(context.Background(), trained(i)); err != nil {
			b.Fatal(err)
		}
	}
	git(b, dir, "gc", "-q")
	remote := filepath.Join(b.TempDir(), "remote.git")
	git(b, dir, "clone", "-q", "--bare", dir, remote)
	git(b, dir, "remote", "add", "origin", remote)
	git(b, dir, "fetch", "-q", "origin")
	return dir
}

// BenchmarkLedger measures what people wait for: one entry signed, committed and
// pushed; the facts at the start of a command; and a ledger seen for the first time.
func BenchmarkLedger(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) { benchLedger(b, n) })
	}
}

func benchLedger(b *testing.B, n int) {
	dir := grown(b, n)
	cache := b.TempDir()
	cached := func(o *Options) { o.CacheDir = cache }
	l := openLedger(b, dir, cached)
	began := time.Now()
	mustFacts(b, l)
	cold := time.Since(began)
	b.Run("facts-warm", func(b *testing.B) {
		for b.Loop() {
			mustFacts(b, openLedger(b, dir, cached))
		}
		b.ReportMetric(float64(cold.Milliseconds()), "cold-ms")
	})
	i := n
	b.Run("append-push", func(b *testing.B) {
		var took []time.Duration
		for b.Loop() {
			began := time.Now()
			mustAppend(b, l, trained(i))
			took = append(took, time.Since(began))
			i++
		}
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "median-ms")
	})
	offline := openLedger(b, dir, cached, func(o *Options) { o.Offline = true })
	mustFacts(b, offline)
	b.Run("append-local", func(b *testing.B) {
		for b.Loop() {
			mustAppend(b, offline, trained(i))
			i++
		}
	})
}
