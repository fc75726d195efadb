// How far a transfer has come, and what it found missing or corrupt.

package transfer

import (
	"io"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
)

// moving counts what goes over.
type moving struct {
	objects, bytes, present, come atomic.Int64
	tell                          func(Moved)
}

// hears counts bytes that have come of an object, whole or not.
func (m *moving) hears(n int64) {
	if m.come.Add(n); m.tell != nil {
		m.tell(m.sum())
	}
}

// counted is r, whose bytes are told as they come.
func (m *moving) counted(r io.Reader) io.Reader {
	if m.tell == nil {
		return r
	}
	return &counting{r: r, m: m}
}

type counting struct {
	r   io.Reader
	m   *moving
	new int64 // bytes that were not told yet
}

// often is of how many bytes at once it is told.
const often = 1 << 20

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if c.new += int64(n); c.new >= often || err != nil {
		c.m.hears(c.new)
		c.new = 0
	}
	return n, err
}

func (m *moving) add(n int64) {
	m.objects.Add(1)
	m.bytes.Add(n)
	if m.tell != nil {
		m.tell(m.sum())
	}
}

func (m *moving) sum() Moved {
	return Moved{Objects: m.objects.Load(), Bytes: m.bytes.Load(), Present: m.present.Load(), Come: m.come.Load()}
}

type lacking struct {
	mu   sync.Mutex
	oids []dvc.OID
}

func (l *lacking) add(o dvc.OID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.oids = append(l.oids, o)
}

// told is the error that says what is lacking; nil where nothing is.
func (l *lacking) told(remote string) error {
	if len(l.oids) == 0 {
		return nil
	}
	slices.Sort(l.oids)
	return fault.WithHint(fault.New(fault.Missing, "%w", &MissingError{Where: "remote " + remote, OIDs: l.oids}), "push them from where they were added, or name another remote with -r")
}
