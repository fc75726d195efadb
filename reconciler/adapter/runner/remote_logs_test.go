// A long log is read whole while it grows and afterwards, and takes no more room than a short one.

package runner_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"hash"
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/runner"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/machine/dispatch"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// longLog is how many bytes a run of these tests prints.
const longLog = 100 << 20

// Here and in the worker, in bytes: pieces of a few MiB, and not the log. A worker with the race
// detector in it is three times as large.
const (
	mostHere  = 48 << 20
	mostThere = 96 << 20
)

func TestALongLogTakesNoMoreRoom(t *testing.T) {
	b := newRemoteBench(t)
	b.cfg.Log = 2 * longLog
	b.Runner = runner.Remote(b.cfg)
	job := b.job("")
	job.Command = []string{"sh", "-c", "yes 'epoch 12 loss 0.0042' | head -c 104857600"}
	if _, err := b.Start(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var most uint64
	sum, at := sha256.New(), int64(0)
	read := func(sum hash.Hash) (n int) {
		for {
			piece, err := b.Logs(t.Context(), job.Key, at)
			if err != nil {
				t.Fatal(err)
			}
			if len(piece) == 0 {
				return n
			}
			sum.Write(piece)
			at, n = at+int64(len(piece)), n+1
			runtime.ReadMemStats(&now)
			most = max(most, now.HeapAlloc-min(now.HeapAlloc, before.HeapAlloc))
		}
	}
	run, err := b.Poll(t.Context(), job.Key)
	for err == nil && run.State != port.Done {
		read(sum)
		run, err = b.Wait(t.Context(), job.Key, run.State, at)
	}
	if err != nil || run.Result.Cause != "" {
		t.Fatalf("%+v, %v", run.Result, err)
	}
	read(sum)
	if got := digest.FromSum(sum.Sum(nil)); at != longLog || got != run.Result.Log {
		t.Errorf("%d bytes were read while it grew, and they are %s; kept is %s", at, got.Short(), run.Result.Log.Short())
	}
	at, sum = 0, sha256.New()
	if pieces := read(sum); at != longLog || digest.FromSum(sum.Sum(nil)) != run.Result.Log || pieces != longLog>>20 {
		t.Errorf("%d bytes in %d pieces were read after its end", at, pieces)
	}
	if most > mostHere {
		t.Errorf("it took %d MiB here", most>>20)
	}
	for _, x := range b.processes.gone {
		there := x.runs.Most()
		if there == 0 || there > mostThere {
			t.Errorf("its worker took %d MiB", there>>20)
		}
		t.Logf("here %d MiB, in the worker %d MiB", most>>20, there>>20)
	}
}

// TestASilentLogIsAskedForSeldom: each look is a request, however many runs there are.
func TestASilentLogIsAskedForSeldom(t *testing.T) {
	var l dispatch.Logs
	now, asked := time.Unix(0, 0), 0
	for range 600 { // ten minutes
		if l.Due("run", 0, now) {
			asked++
			l.Noted("run", 0, 0, now)
		}
		now = now.Add(time.Second)
	}
	if asked > 70 {
		t.Errorf("it was asked for %d times in ten minutes", asked)
	}
	l.Noted("run", 0, 5, now)
	if !l.Due("run", 5, now) || !l.Follows("run", 5) {
		t.Error("what has just said something is not looked at")
	}
	if !l.Due("run", 2, now) {
		t.Error("somebody who reads from the beginning waits")
	}
}

// TestAWholeLogIsOpenedOnce: and anew by who reads from elsewhere.
func TestAWholeLogIsOpenedOnce(t *testing.T) {
	b := newRemoteBench(t)
	d, _, err := b.Store.Put(t.Context(), bytes.NewReader(make([]byte, 5<<20)))
	if err != nil {
		t.Fatal(err)
	}
	store := &counting{Store: b.Store}
	var l dispatch.Logs
	for at := int64(0); ; {
		piece, err := l.Kept(t.Context(), store, d, at)
		if err != nil {
			t.Fatal(err)
		}
		if at += int64(len(piece)); len(piece) == 0 {
			break
		}
	}
	if store.gets != 1 {
		t.Errorf("it was opened %d times", store.gets)
	}
	if piece, err := l.Kept(t.Context(), store, d, 3<<20); err != nil || len(piece) != 1<<20 || store.gets != 2 {
		t.Errorf("%d bytes from the middle, %v, opened %d times", len(piece), err, store.gets)
	}
	if piece, err := l.Kept(t.Context(), store, d, 9<<20); err != nil || len(piece) != 0 {
		t.Errorf("%d bytes from behind its end, %v", len(piece), err)
	}
}

// counting counts what is opened.
type counting struct {
	port.Store
	gets int
}

func (c *counting) Get(ctx context.Context, d digest.Digest) (io.ReadCloser, error) {
	c.gets++
	return c.Store.Get(ctx, d)
}
