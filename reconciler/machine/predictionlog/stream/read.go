// A log in a topic, read back as parts by hour: what the topic has of a time is brought once, into a file
// that nobody else sees, so that whoever looks and then reads meets the same rows.

package stream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/zeebo/xxh3"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/predictions"
	"github.com/vishwaops/vishwa/reconciler/machine/topic"
	"github.com/vishwaops/vishwa/reconciler/port"
)

const (
	mostBytes = 8 << 30  // that are brought
	mostPart  = 1 << 30  // bytes of one part; an hour may have several
	together  = 16 << 10 // bytes of an hour's rows that are written at once
	partName  = "rows-"

	// What is held in memory meanwhile. Whoever writes to the topic says which parts there are, and of which hours.
	mostMemory  = 512 << 20
	mostHeader  = 200             // bytes of the name of a part and the number of a row
	mostDropped = 1 << 53         // requests that could not be logged, of all that the topic says
	perHour     = together + 4096 // bytes of memory that a part takes
	perPart     = 256             // that what was seen of a part takes, but for its name
	perRun      = 16              // that a range of rows takes
	mostRuns    = 1 << 14         // ranges of one part: finding one's place among more takes too long
	mostParts   = 1 << 16         // that a position remembers
)

// log is what a topic has of one deployment. It may be used by several at once.
type log struct {
	open func() (*topic.Topic, error)
	name string
	from time.Time
	look Look // its zero value: all that there is

	mu      sync.Mutex
	file    *os.File // without a name: it is gone with the last of its readers, or with us
	used    int64    // bytes of rows
	memory  int64    // bytes that are held beside them, about
	parts   map[string]*part
	seen    map[string]*runs // rows that were met, by part
	dropped int64
	met     int    // rows of this look
	last    string // the part that the row before was of
}

// part is the rows of an hour.
type part struct {
	at    []extent
	held  []byte
	size  int64
	sum   *xxh3.Hasher
	newer time.Time
}

// extent is a piece of the file.
type extent struct{ at, n int64 }

var _ port.Objects = (*log)(nil)

// From reads the rows of the deployment of a name that are of a time or later, all where it is zero. Nobody
// is asked before something is.
func From(o topic.Options, name string, from time.Time) port.Objects {
	return &log{open: func() (*topic.Topic, error) { return topic.Open(o) }, name: name, from: from}
}

// Position is how far a log was read. Its zero value is its beginning.
type Position struct {
	Topic string                `json:"topic,omitempty"` // its ID: another one under the same name is read from its beginning
	Next  map[int32]int64       `json:"next,omitempty"`  // the offset that comes next, by partition
	Rows  map[string][][2]int32 `json:"rows,omitempty"`  // that were met, by part: what is sent twice is read once
}

// Look is one of several that read a log further and further.
type Look struct {
	At     *Position     // behind which it reads; once the rows are here, behind these. Who does not take them keeps the one before
	Rows   int           // after which it ends, at the end of a part
	Within time.Duration // after which it ends so, too
}

// Further reads the rows that come behind a position: a look costs what came since the last one.
func Further(o topic.Options, name string, from time.Time, l Look) port.Objects {
	return &log{open: func() (*topic.Topic, error) { return topic.Open(o) }, name: name, from: from, look: l}
}

// errEnough ends a look.
var errEnough = errors.New("enough for one look")

// Dropped is how many requests whoever wrote the log could not log.
func (l *log) Dropped() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dropped
}

// bring has the rows here, once.
func (l *log) bring(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		return nil
	}
	t, err := l.open()
	if err != nil {
		return err
	}
	defer t.Close()
	state, err := t.Look(ctx, topic.Window{From: l.from})
	if err != nil {
		return err
	}
	f, err := os.CreateTemp("", "vishwa-topic-")
	if err == nil {
		err = os.Remove(f.Name())
	}
	if err != nil {
		return fault.WithHint(fault.New(fault.Transient, "read the prediction log: %w", err), "free some room where temporary files are, or set TMPDIR")
	}
	l.used, l.memory, l.dropped, l.met, l.last, l.parts, l.seen = 0, 0, 0, 0, "", map[string]*part{}, map[string]*runs{}
	next, err := l.goOn(state)
	if err == nil {
		err = l.bringRows(ctx, t, state, next, f)
	}
	if err != nil {
		f.Close()
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(l.parts)) {
		if err := l.write(f, l.parts[key]); err != nil {
			f.Close()
			return err
		}
	}
	if l.look.At != nil {
		*l.look.At = l.position(state.ID, next)
	}
	l.file, l.seen = f, nil
	return nil
}

// goOn is where each partition is read from, with what was met before.
func (l *log) goOn(state topic.State) (map[int32]int64, error) {
	next := map[int32]int64{}
	for _, span := range state.Spans {
		next[span.Partition] = span.From
	}
	at := l.look.At
	if at == nil {
		return next, nil
	}
	for of, rows := range at.Rows {
		if err := l.hold(perPart + int64(len(of)) + perRun*int64(len(rows))); err != nil {
			return nil, err
		}
		l.seen[of] = &runs{slices.Clone(rows)}
	}
	for _, span := range state.Spans {
		if n := at.Next[span.Partition]; at.Topic == state.ID && n <= span.To {
			next[span.Partition] = max(n, span.From)
		}
	}
	return next, nil
}

// bringRows has the rows of all partitions, or those of one look, in f. next is where each goes on.
func (l *log) bringRows(ctx context.Context, t *topic.Topic, state topic.State, next map[int32]int64, f *os.File) error {
	until := time.Now().Add(l.look.Within)
	for _, span := range state.Spans {
		span.From = next[span.Partition]
		err := t.Read(ctx, topic.Reading{ID: state.ID, Span: span, Compacted: true}, func(r topic.Record) error {
			if l.look.At != nil && l.enough(until, partOf(r)) {
				return errEnough
			}
			next[span.Partition] = r.Offset + 1
			return l.keepRow(f, r)
		})
		if errors.Is(err, errEnough) {
			return nil
		}
		if err != nil {
			return err
		}
		next[span.Partition] = max(next[span.Partition], span.To)
	}
	return nil
}

// enough tells whether a look ends before a row of a part: between two parts, or, as others may write to the topic what is of none, or of one without
// end, where it has gone on for twice as long.
func (l *log) enough(until time.Time, part string) bool {
	now := time.Now()
	if l.met < l.look.Rows && !now.After(until) {
		return false
	}
	return part == "" || part != l.last || l.met >= 2*l.look.Rows || now.After(until.Add(l.look.Within))
}

// partOf names the part that a record's row is of; "" where it does not say.
func partOf(r topic.Record) string {
	for _, h := range r.Headers {
		if h.Name == headerPart {
			of, _, _ := strings.Cut(h.Value, "/")
			return of
		}
	}
	return ""
}

// position is how far the log was read by now.
func (l *log) position(id string, next map[int32]int64) Position {
	out := Position{Topic: id, Next: next, Rows: map[string][][2]int32{}}
	for of, rows := range l.seen {
		out.Rows[of] = rows.of
	}
	return out
}

// keepRow keeps a row of the deployment that was not met before.
func (l *log) keepRow(f *os.File, r topic.Record) error {
	var deployment, which, dropped string
	for _, h := range r.Headers {
		switch h.Name {
		case headerDeployment:
			deployment = h.Value
		case headerPart:
			which = h.Value
		case headerDropped:
			dropped = h.Value
		}
	}
	if deployment != l.name || len(which) > mostHeader || len(r.Value) == 0 || bytes.IndexByte(r.Value, '\n') >= 0 {
		return nil
	}
	if of, row, ok := strings.Cut(which, "/"); ok {
		n, err := strconv.ParseInt(row, 10, 32)
		if err != nil || n < 0 || n == math.MaxInt32 {
			return nil // nobody who keeps a log wrote it
		}
		if fresh, err := l.meet(of, int32(n)); !fresh || err != nil {
			return err
		}
	}
	if n, err := strconv.ParseInt(dropped, 10, 64); err == nil && n > 0 && !predictions.Second(partOf(r)) {
		l.dropped = min(l.dropped+min(n, mostDropped), mostDropped)
	}
	l.met, l.last = l.met+1, partOf(r)
	return l.add(f, r)
}

// meet tells whether a row of a part is met for the first time.
func (l *log) meet(of string, row int32) (bool, error) {
	seen := l.seen[of]
	if seen == nil {
		if l.look.At != nil && len(l.seen) >= mostParts {
			return false, tooMuch()
		}
		if err := l.hold(perPart + int64(len(of))); err != nil {
			return false, err
		}
		seen = &runs{}
		l.seen[strings.Clone(of)] = seen
	}
	before := len(seen.of)
	fresh := seen.add(row)
	if len(seen.of) > mostRuns {
		return false, tooMuch()
	}
	return fresh, l.hold(perRun * int64(max(0, len(seen.of)-before)))
}

// hold counts memory.
func (l *log) hold(n int64) error {
	if l.memory += n; l.memory > mostMemory {
		return tooMuch()
	}
	return nil
}

func tooMuch() error {
	return fault.WithHint(fault.New(fault.Invalid, "the topic tells of more parts and hours of this deployment's rows than are read at once"), "narrow the window, and see who else writes to the topic")
}

// add puts a row behind those of its hour.
func (l *log) add(f *os.File, r topic.Record) error {
	if l.used += int64(len(r.Value)) + 1; l.used > mostBytes {
		return fault.WithHint(fault.New(fault.Invalid, "the topic has more than %d GiB of this deployment's rows", mostBytes>>30), "narrow the window")
	}
	hour := r.Time.UTC().Format("date=2006-01-02/hour=15/")
	if predictions.Second(partOf(r)) {
		hour += predictions.SecondPrefix
	}
	hour += partName
	var p *part
	for i := 0; p == nil || p.size >= mostPart; i++ {
		key := hour + strconv.Itoa(i) + ".jsonl"
		if p = l.parts[key]; p == nil {
			if err := l.hold(perHour + int64(len(key))); err != nil {
				return err
			}
			p = &part{sum: xxh3.New()}
			l.parts[key] = p
		}
	}
	p.held = append(append(p.held, r.Value...), '\n')
	p.size += int64(len(r.Value)) + 1
	if r.Time.After(p.newer) {
		p.newer = r.Time
	}
	if len(p.held) < together {
		return nil
	}
	return l.write(f, p)
}

// write has what a part holds in the file.
func (l *log) write(f *os.File, p *part) error {
	if len(p.held) == 0 {
		return nil
	}
	at, err := f.Seek(0, io.SeekCurrent)
	if err == nil {
		_, err = f.Write(p.held)
	}
	if err != nil {
		return fault.WithHint(fault.New(fault.Transient, "read the prediction log: %w", err), "free some room where temporary files are, or set TMPDIR")
	}
	_, _ = p.sum.Write(p.held) // it never fails
	p.at = append(p.at, extent{at, int64(len(p.held))})
	if p.held = p.held[:0]; cap(p.held) > 2*together {
		p.held = nil // a large row is not to hold its room until all hours are read
	}
	return nil
}
