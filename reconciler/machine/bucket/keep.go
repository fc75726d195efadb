// Bytes of parts that wait to be sent, in memory: as many as are under way of one object, and the next, whatever else the process sends.

package bucket

import (
	"errors"
	"io"
	"sync"
)

// rooms counts what is in use; spare is what the next takes, and the collector where nobody does.
var (
	rooms struct {
		sync.Mutex
		used int
	}
	spare = sync.Pool{New: func() any { return new([leastPart]byte) }}
)

var errGivenBack = errors.New("the part was done with before this was asked for")

// keptPart is a part in memory. A transport may read on when its request is over, so nothing is read of it once it was given back.
type keptPart struct {
	mu  sync.Mutex
	all *[leastPart]byte
}

// keepPart is room for a part of this size; nil: there is none, and the part is read again where it lies.
func keepPart(size int64) *keptPart {
	if size > leastPart {
		return nil
	}
	rooms.Lock()
	defer rooms.Unlock()
	if rooms.used > abreast {
		return nil
	}
	rooms.used++
	all, _ := spare.Get().(*[leastPart]byte)
	return &keptPart{all: all}
}

// fill reads size bytes, or as many as there are, and hands each piece on while it is at hand.
func (k *keptPart) fill(r io.Reader, also io.Writer, size int64) (n int64, err error) {
	for n < size && err == nil {
		got := 0
		got, err = r.Read(k.all[n:min(n+pieceSize, size)])
		n += int64(got)
		if _, failed := also.Write(k.all[n-int64(got) : n]); err == nil {
			err = failed
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

func (k *keptPart) ReadAt(p []byte, off int64) (n int, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.all == nil {
		return 0, errGivenBack
	}
	if n = copy(p, k.all[off:]); n < len(p) {
		err = io.EOF
	}
	return n, err
}

// giveBack lets others have the room; once.
func (k *keptPart) giveBack() {
	if k == nil {
		return
	}
	k.mu.Lock()
	all := k.all
	k.all = nil
	k.mu.Unlock()
	rooms.Lock()
	defer rooms.Unlock()
	spare.Put(all)
	rooms.used--
}
