// Package predictionlog keeps the log of predictions: it takes exchanges from whoever serves
// without ever making them wait, writes them as parts into a folder or a bucket, and reads
// the rows of a window back. What a row holds is package predictions' to say.
package predictionlog

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"log/slog"
	"maps"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/predictions"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Options say what is logged and where to. A zero field has its default.
type Options struct {
	Dir    string // the folder of the parts, or of those on their way to Place
	Place  Place  // where parts are kept; nil: in Dir
	Policy predictions.Policy
	Secret []byte        // of the deployment: sampling and hashes go by it
	Every  time.Duration // a part is written at the latest so long after its first row: 1 minute
	Keep   time.Duration // parts in Dir that are older are removed: 90 days; what is in a Place is its own affair
	Room   int64         // bytes that parts may take in Dir; what has no room is dropped and counted: 10 GiB
	Now    func() time.Time
	Log    *slog.Logger
}

// Place is where parts are kept in the end.
type Place interface {
	// Keep keeps a part, a Parquet file of size bytes, under key. One that was cut off may be given
	// again. lost is how many of its rows the place never takes.
	Keep(ctx context.Context, key string, part io.ReaderAt, size int64) (lost int64, err error)
	// Close ends the connections.
	Close()
}

// InBucket keeps parts in a bucket, below a prefix with a slash at its end.
func InBucket(b port.Bucket, prefix string) Place { return inBucket{b, prefix} }

type inBucket struct {
	port.Bucket
	prefix string
}

func (b inBucket) Keep(ctx context.Context, key string, part io.ReaderAt, size int64) (int64, error) {
	_, err := b.Put(ctx, b.prefix+key, part, size)
	return 0, err
}

func (b inBucket) Close() {}

const (
	queueLength = 4096     // exchanges that wait to be written
	queueBytes  = 64 << 20 // of their bodies
	secondShare = 8        // of both, what is left out first may have one part of so many
	openHours   = 2        // parts of one kind and of different hours that are under way at once
)

func (o Options) filled() Options {
	o.Every = cmp.Or(o.Every, time.Minute)
	o.Keep = cmp.Or(o.Keep, 90*24*time.Hour)
	o.Room = cmp.Or(o.Room, 10<<30)
	o.Policy.Sampling = cmp.Or(o.Policy.Sampling, 1)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Log takes exchanges. All its methods may be called at once.
type Log struct {
	o      Options
	mu     sync.RWMutex // held to send; held alone to close
	closed bool
	queue  lane
	second lane // answers that nobody got: they are read where no other waits
	flush  chan chan error
	ended  chan struct{}
	counts counts
	parts  *parts
}

// lane is exchanges that wait.
type lane struct {
	all   chan predictions.Exchange
	bytes int64        // of bodies, that may wait
	waits atomic.Int64 // that do
}

// add is false where x finds no room.
func (q *lane) add(x predictions.Exchange) bool {
	size := sizeOf(x)
	if q.waits.Add(size) <= q.bytes {
		select {
		case q.all <- x:
			return true
		default:
		}
	}
	q.waits.Add(-size)
	return false
}

func sizeOf(x predictions.Exchange) int64 {
	return int64(cap(x.Request.Bytes) + cap(x.Response.Bytes))
}

// Counts say how a log is doing, since it was opened.
type Counts struct {
	Requests int64  `json:"requests"`          // that were logged
	Rows     int64  `json:"rows"`              // written
	Dropped  int64  `json:"dropped,omitempty"` // requests that found the queue full
	Lost     int64  `json:"lost,omitempty"`    // rows that could not be written
	Waiting  int64  `json:"waiting,omitempty"` // parts on their way to their place
	Error    string `json:"error,omitempty"`   // why the last part could not be written or sent; "" where it was
}

type counts struct {
	requests, rows, dropped, lost, waiting atomic.Int64
	second                                 atomic.Int64 // dropped answers that nobody got
	told, toldSecond                       int64        // of dropped and of second, what a part has told of
	wrong                                  atomic.Pointer[string]
}

// Open begins a log. What a log before this one left half-written is removed, and what it had
// not sent yet is sent.
func Open(o Options) (*Log, error) {
	o = o.filled()
	l := idleLog(o)
	var err error
	if l.parts, err = openParts(o, &l.counts); err != nil {
		if o.Place != nil {
			o.Place.Close()
		}
		return nil, err
	}
	fault.Go(l.work, func(error) {}) // each of its steps is guarded
	return l, nil
}

// idleLog is a log in which all that is added waits.
func idleLog(o Options) *Log {
	l := &Log{o: o, flush: make(chan chan error), ended: make(chan struct{})}
	l.queue.all, l.queue.bytes = make(chan predictions.Exchange, queueLength), queueBytes
	l.second.all, l.second.bytes = make(chan predictions.Exchange, queueLength/secondShare), queueBytes/secondShare
	return l
}

// Sampled tells whether the requests of this id are logged: always the same for one id and
// one deployment, and nobody who lacks its secret can choose an id by it.
func (l *Log) Sampled(id string) bool {
	share := l.o.Policy.Sampling
	if share >= 1 {
		return true
	}
	return float64(binary.BigEndian.Uint64(sum(l.o.Secret, "sample", predictions.CleanID(id))))/math.MaxUint64 < share
}

// Hash is a hash of a personal value that only the deployment's own log makes.
func Hash(secret []byte) func(column, value string) string {
	return func(column, value string) string {
		return "hmac:" + hex.EncodeToString(sum(secret, "value\x00"+column, value)[:16])
	}
}

func sum(secret []byte, use, text string) []byte {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(use + "\x00" + text))
	return h.Sum(nil)
}

// Add takes an exchange, whose bytes are the log's from now on. It never waits: where the
// queue is full the exchange is dropped, and counted; of answers that nobody got fewer have room, and they take none from others. One without an id has that of its body,
// or one that is made, and is sampled by it; of others, who adds them has asked Sampled.
func (l *Log) Add(x predictions.Exchange) {
	queue, dropped := &l.queue, &l.counts.dropped
	if x.Second {
		queue, dropped = &l.second, &l.counts.second
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed || !queue.add(x) {
		dropped.Add(1)
	}
}

// Flush writes what has come so far.
func (l *Log) Flush(ctx context.Context) error {
	done := make(chan error, 1)
	select {
	case l.flush <- done:
	case <-l.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close writes what has come and ends the log. What is not sent by then is sent by the next.
func (l *Log) Close() {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		close(l.queue.all)
		close(l.second.all)
	}
	l.mu.Unlock()
	<-l.ended
	l.parts.close()
}

// Counts tell how the log is doing.
func (l *Log) Counts() Counts {
	c := Counts{Requests: l.counts.requests.Load(), Rows: l.counts.rows.Load(), Dropped: l.counts.dropped.Load(), Lost: l.counts.lost.Load(), Waiting: l.counts.waiting.Load()}
	if wrong := l.counts.wrong.Load(); wrong != nil {
		c.Error = *wrong
	}
	return c
}

// kind is what the rows of one part have alike. What nobody got has parts of its own: its columns, which the release that is tried chooses, take
// no room from others, and no reader has to leave out its rows.
type kind struct {
	hour   time.Time
	second bool
}

func (k kind) compare(o kind) int {
	if k.second != o.second {
		return map[bool]int{false: -1, true: 1}[k.second]
	}
	return k.hour.Compare(o.hour)
}

// parting are the parts that are under way.
type parting map[kind]*predictions.Part

// alike are those that differ from of by their hour alone.
func (p parting) alike(of kind) (out []kind) {
	for k := range p {
		if k.second == of.second {
			out = append(out, k)
		}
	}
	return out
}

// work turns what comes into parts until the log is closed.
func (l *Log) work() {
	defer close(l.ended)
	open := parting{}
	var due <-chan time.Time
	write := func() (err error) {
		for _, of := range slices.SortedFunc(maps.Keys(open), kind.compare) {
			if werr := l.write(open, of); err == nil {
				err = werr
			}
		}
		due = nil
		return err
	}
	take := func(from *lane, x predictions.Exchange) {
		if due == nil {
			due = time.After(l.o.Every)
		}
		from.waits.Add(-sizeOf(x))
		// What others sent must never end whoever serves: where reading it fails, it is lost and said.
		if err := fault.Guard(func() error { l.addRows(open, x); return nil }); err != nil {
			l.counts.lost.Add(1)
			l.report("a prediction is not logged", fault.WithHint(fault.New(fault.Internal, "its bodies could not be read: %w", err), "report it, with the request and the answer where you may"))
		}
	}
	drain := func(from *lane) {
		for range len(from.all) {
			if x, more := <-from.all; more {
				take(from, x)
			}
		}
	}
	for {
		drain(&l.queue)
		select {
		case x, more := <-l.queue.all:
			if !more {
				for x := range l.second.all {
					take(&l.second, x)
				}
				_ = write() // it is counted and said
				return
			}
			take(&l.queue, x)
		case x, more := <-l.second.all:
			if more {
				take(&l.second, x)
			}
		case done := <-l.flush:
			drain(&l.queue)
			drain(&l.second)
			done <- write()
		case <-due:
			_ = write()
			l.parts.prune(l.o.Now())
		}
	}
}

// addRows adds the rows of an exchange to the part of its hour.
func (l *Log) addRows(open parting, x predictions.Exchange) {
	if x.ID == "" {
		if x.ID = predictions.RequestID(x.Request.Bytes); x.ID == "" {
			x.ID = rand.Text()
		}
		if !l.Sampled(x.ID) {
			return
		}
	}
	l.counts.requests.Add(1)
	of := kind{x.Time.UTC().Truncate(time.Hour), x.Second}
	for _, r := range l.o.Policy.Rows(x) {
		part := open[of]
		if part == nil {
			if alike := open.alike(of); len(alike) >= openHours {
				_ = l.write(open, slices.MinFunc(alike, kind.compare))
			}
			part = &predictions.Part{}
			open[of] = part
		}
		if part.Add(r); part.Full() {
			_ = l.write(open, of)
		}
	}
}

// write keeps a part; what cannot be kept is lost, and counted.
func (l *Log) write(open parting, of kind) error {
	p := open[of]
	delete(open, of)
	count, told := &l.counts.dropped, &l.counts.told
	if of.second {
		count, told = &l.counts.second, &l.counts.toldSecond
	}
	dropped := count.Load()
	err := fault.Guard(func() error { return l.parts.keep(p, of.second, dropped-*told) })
	if err != nil {
		l.counts.lost.Add(int64(p.Rows()))
		l.report("predictions are not logged", err)
		return err
	}
	*told = dropped
	l.counts.rows.Add(int64(p.Rows()))
	if l.o.Place == nil {
		l.counts.wrong.Store(nil)
	}
	return nil
}

// report says what is wrong, once until it is another thing.
func (l *Log) report(what string, err error) { l.counts.report(l.o.Log, what, err) }

func (c *counts) report(log *slog.Logger, what string, err error) {
	text := err.Error()
	if was := c.wrong.Swap(&text); was == nil || *was != text {
		log.Warn(what, "error", err)
	}
}
