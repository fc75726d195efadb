// The log takes what comes without making anybody wait, loses no more than it says, and what
// it wrote is read back.

package predictionlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/format/predictions"
	"github.com/vishwaops/vishwa/reconciler/format/table"
	"github.com/vishwaops/vishwa/reconciler/machine/bucket"
	"github.com/vishwaops/vishwa/reconciler/port"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func exchange(id string, at time.Time, ask, answer string) predictions.Exchange {
	return predictions.Exchange{Time: at, ID: id, Model: "sha256:m", Release: "sha256:r", Arm: "default", Path: "/p", Status: 200, Latency: time.Millisecond,
		Request: predictions.Body{Bytes: []byte(ask)}, Response: predictions.Body{Bytes: []byte(answer)}}
}

func asked(id string, at time.Time, x any) predictions.Exchange {
	return exchange(id, at, fmt.Sprintf(`{"instances":[{"x":%v}]}`, x), `{"predictions":[1]}`)
}

func open(t *testing.T, o Options) *Log {
	t.Helper()
	l, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// told reads a query as lines of the columns named.
func told(t *testing.T, dir string, q Query, columns ...string) ([]string, Report) {
	t.Helper()
	b, err := bucket.Dir(dir)
	if err != nil {
		t.Fatal(err)
	}
	r := Read(t.Context(), b, q)
	defer r.Close()
	var out []string
	for {
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out, r.Report()
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, line(r, row, columns))
	}
}

func line(r *Reader, row *table.Row, columns []string) string {
	var cells []string
	for _, c := range columns {
		said := "-"
		for i, name := range r.Columns() {
			if name == c && i < len(row.Cells) && row.Cells[i] != nil {
				said = string(row.Cells[i])
			}
		}
		cells = append(cells, said)
	}
	return strings.Join(cells, " ")
}

func TestWhatIsLoggedIsReadBackByWindow(t *testing.T) {
	dir := t.TempDir()
	l := open(t, Options{Dir: dir, Now: func() time.Time { return noon }})
	for i := range 5 {
		l.Add(asked(fmt.Sprint(i), noon.Add(time.Duration(i)*30*time.Minute), i))
	}
	l.Add(asked("late", noon.Add(40*time.Minute), "\"text\"")) // of an hour that others have passed
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, report := told(t, dir, Query{From: noon.Add(30 * time.Minute), To: noon.Add(2 * time.Hour)}, "id", "feature.x", "prediction", "sampling", "status", "model")
	want := []string{"1 1 1 1.0 200 sha256:m", "late text 1 1.0 200 sha256:m", "2 2 1 1.0 200 sha256:m", "3 3 1 1.0 200 sha256:m"}
	// The first part of noon's hour may be written before the late row comes.
	if fmt.Sprint(got) != fmt.Sprint(want) || report.Rows != 4 || report.Retyped["feature.x"] == "" {
		t.Errorf("%q %+v", got, report)
	}
	if c := l.Counts(); c.Rows != 6 || c.Requests != 6 || c.Dropped != 0 || c.Error != "" {
		t.Errorf("%+v", c)
	}
}

func TestAFullQueueDropsAndCounts(t *testing.T) {
	dir := t.TempDir()
	l := open(t, Options{Dir: dir})
	const senders, each = 8, 500
	big := strings.Repeat("\x00", 256<<10)
	var all sync.WaitGroup
	began := time.Now()
	for s := range senders {
		all.Go(func() {
			for i := range each {
				l.Add(exchange(fmt.Sprint(s, "-", i), noon, `{"instances":[{"x":1}]}`+big, `{"predictions":[1]}`))
			}
		})
	}
	all.Wait()
	took := time.Since(began)
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := l.Counts()
	if c.Requests+c.Dropped != senders*each || c.Rows != c.Requests || c.Dropped == 0 {
		t.Errorf("of %d: %+v in %s", senders*each, c, took)
	}
	l.Add(asked("last", noon, 1))
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, report := told(t, dir, Query{}, "id"); report.Dropped != c.Dropped {
		t.Errorf("the parts tell of %d dropped, not %d", report.Dropped, c.Dropped)
	}
}

func TestSamplingGoesByTheID(t *testing.T) {
	of := func(secret string) (n int, which string) {
		l := open(t, Options{Dir: t.TempDir(), Secret: []byte(secret), Policy: predictions.Policy{Sampling: 0.25}})
		for i := range 4000 {
			if l.Sampled(fmt.Sprint(i)) {
				n++
				which += fmt.Sprint(i, " ")
			}
		}
		return n, which
	}
	n, which := of("a")
	if n < 880 || n > 1120 {
		t.Errorf("%d of 4000 at a quarter", n)
	}
	if _, again := of("a"); again != which {
		t.Error("another log of the same deployment samples others")
	}
	if _, other := of("b"); other == which {
		t.Error("another secret samples the same: who knows the rule can choose ids by it")
	}
}

// A log that cannot write says so, drops, and goes on once it can.
func TestADiskThatTakesNothingIsSaidAndOver(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	l := open(t, Options{Dir: dir, Now: func() time.Time { return noon }})
	if err := errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	l.Add(asked("1", noon, 1))
	if err := l.Flush(t.Context()); err == nil {
		t.Fatal("a part was written where there is no folder")
	}
	if c := l.Counts(); c.Lost != 1 || c.Error == "" {
		t.Errorf("%+v", c)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	l.Add(asked("2", noon, 1))
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, _ := told(t, dir, Query{}, "id"); fmt.Sprint(got) != "[2]" {
		t.Errorf("%q", got)
	}
	if c := l.Counts(); c.Lost != 1 || c.Error != "" {
		t.Errorf("%+v", c)
	}
}

func TestALogTakesNoMoreRoomThanItMay(t *testing.T) {
	dir := t.TempDir()
	l := open(t, Options{Dir: dir, Room: 1, Now: func() time.Time { return noon }})
	for i := range 3 {
		l.Add(asked(fmt.Sprint(i), noon, 1))
		_ = l.Flush(t.Context()) // the second and third fail, which is counted
	}
	if c := l.Counts(); c.Rows != 1 || c.Lost != 2 || !strings.Contains(c.Error, "all that it may take") {
		t.Errorf("%+v", c)
	}
	l.Close()
	old := open(t, Options{Dir: dir, Keep: time.Hour, Now: func() time.Time { return noon.Add(3 * time.Hour) }})
	if got, _ := told(t, dir, Query{}, "id"); len(got) != 0 {
		t.Errorf("%q are older than what is kept", got)
	}
	old.Add(asked("new", noon.Add(3*time.Hour), 1))
	if err := old.Flush(t.Context()); err != nil {
		t.Fatalf("what was removed still counts: %v", err)
	}
}

// slowBucket fails so many times, then keeps.
type slowBucket struct {
	port.Bucket
	mu    sync.Mutex
	fails int
	took  chan struct{}
}

func (b *slowBucket) Put(ctx context.Context, key string, r io.ReaderAt, size int64) (port.Object, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fails > 0 {
		b.fails--
		return port.Object{}, errors.New("the bucket is away")
	}
	defer close(b.took)
	return b.Bucket.Put(ctx, key, r, size)
}

func TestPartsWaitForABucketThatIsAway(t *testing.T) {
	spool, kept := t.TempDir(), t.TempDir()
	to, err := bucket.Dir(kept)
	if err != nil {
		t.Fatal(err)
	}
	away := &slowBucket{Bucket: to, fails: 1 << 30, took: make(chan struct{})}
	l := open(t, Options{Dir: spool, Place: InBucket(away, "predictions/churn/")})
	l.Add(asked("1", noon, 1))
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.Close()
	if got, _ := told(t, kept, Query{}, "id"); len(got) != 0 {
		t.Fatalf("%q", got)
	}
	away.fails = 1
	l = open(t, Options{Dir: spool, Place: InBucket(away, "predictions/churn/")})
	<-away.took // the part of the log before
	if got, _ := told(t, kept, Query{Prefix: "predictions/churn/"}, "id"); fmt.Sprint(got) != "[1]" {
		t.Fatalf("%q", got)
	}
	l.Close()
	if left, _ := filepath.Glob(filepath.Join(spool, "date=*", "*", "*")); len(left) != 0 {
		t.Errorf("%q were sent and are still here", left)
	}
}

func dirOf(t *testing.T, dir string) port.Bucket {
	t.Helper()
	b, err := bucket.Dir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestAnswersThatNobodyGotTakeNoRoomFromOthers: however many and large they are, what was answered is logged.
func TestAnswersThatNobodyGotTakeNoRoomFromOthers(t *testing.T) {
	l := idleLog(Options{}.filled())
	second := asked("a", noon, 1)
	second.Second, second.Response.Bytes = true, make([]byte, 1<<20)
	for range 2 * queueLength {
		l.Add(second)
	}
	for i := range queueLength {
		l.Add(asked(fmt.Sprint(i), noon, i))
	}
	if c := l.Counts(); c.Dropped != 0 || len(l.queue.all) != queueLength {
		t.Errorf("of what was answered, %d were dropped and %d wait", c.Dropped, len(l.queue.all))
	}
	if n := len(l.second.all); n == 0 || n > queueBytes/secondShare>>20 || l.counts.second.Load() != int64(2*queueLength-n) {
		t.Errorf("of what nobody got, %d wait, and %d were dropped", n, l.counts.second.Load())
	}
}

// TestWhatNobodyGotHasPartsOfItsOwn: a release that is tried names as many columns as it likes, and those of what was answered stand where they are.
func TestWhatNobodyGotHasPartsOfItsOwn(t *testing.T) {
	dir := t.TempDir()
	l := open(t, Options{Dir: dir})
	for i := range 4 {
		var many []string
		for k := range 900 {
			many = append(many, fmt.Sprintf(`"c%d_%d":1`, i, k))
		}
		second := exchange(fmt.Sprint("s", i), noon, `{"instances":[{"x":1}]}`, `{"predictions":[{`+strings.Join(many, ",")+`}]}`)
		second.Arm, second.Second = port.ArmShadow, true
		l.Add(second)
	}
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.Add(exchange("a", noon, `{"instances":[{"rare":7}]}`, `{"predictions":[1]}`))
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.Add(exchange("b", noon.Add(time.Minute), `{"instances":[{"rare":8}]}`, `{"predictions":[1]}`))
	l.Close()
	rows, report := told(t, dir, Query{}, "id", "feature.rare", "other")
	if want := []string{"a 7 -", "b 8 -"}; !slices.Equal(rows, want) || report.Parts != 2 || report.ShadowParts != 1 || report.Shadow != 0 {
		t.Errorf("%q, %+v", rows, report)
	}
	b, err := bucket.Dir(dir)
	if err != nil {
		t.Fatal(err)
	}
	r := Read(t.Context(), b, Query{})
	for {
		if _, err := r.Next(); err != nil {
			break
		}
	}
	if n := len(r.Columns()); n > 20 {
		t.Errorf("who reads what was answered meets %d columns", n)
	}
	_ = r.Close()
	all, report := told(t, dir, Query{Shadow: true}, "id")
	if len(all) != 6 || report.ShadowParts != 0 || predictions.Second(report.Last) {
		t.Errorf("%q, %+v", all, report)
	}
	if next, _ := told(t, dir, Query{Shadow: true, After: report.Last}, "id"); len(next) != 0 {
		t.Errorf("behind the last of both kinds: %q", next)
	}
	var first string
	for o, err := range b.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if predictions.Second(o.Key) {
			first = o.Key
		}
	}
	if next, _ := told(t, dir, Query{Shadow: true, After: first}, "id"); !slices.Contains(next, "b") {
		t.Errorf("behind a part of a shadow: %q", next)
	}
}
