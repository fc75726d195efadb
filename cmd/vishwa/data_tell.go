// How far a command of vishwa data has come: a line that is written over on a terminal,
// lines now and then with -v, nothing elsewhere.

package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/vishwaops/vishwa/reconciler/data"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/plural"
)

const (
	redrawn = 200 * time.Millisecond
	toldOf  = 5 * time.Second // between two lines
)

// teller tells of progress; safe for several goroutines.
type teller struct {
	w        io.Writer
	now      func() time.Time
	terminal bool
	verbose  bool

	mu    sync.Mutex
	last  time.Time
	drawn bool
	whole data.Progress // in all, where that is known
}

// long is how many bytes take so much time that their sum is told before they are read.
const long = 1 << 30

func (t *teller) showProgress(p data.Progress) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p.Ahead {
		t.whole = p
		if t.verbose || !t.terminal && p.Bytes >= long {
			fmt.Fprintln(t.w, sofar(p))
		}
		return
	}
	every := redrawn
	if !t.terminal {
		every = toldOf
	}
	now := t.now()
	if !t.terminal && !t.verbose || now.Sub(t.last) < every {
		return
	}
	first := t.last.IsZero()
	if t.last = now; first {
		return // what ends at once is not told
	}
	line := sofar(p)
	if p.Of > 0 {
		line = fmt.Sprintf("%s: %s", harmless.Line(p.What), share(p))
	} else if t.whole.What == p.What {
		line += fmt.Sprintf(" of %s, %s", plural.Of(t.whole.Files, "file"), bytesOf(t.whole.Bytes))
	}
	if t.terminal {
		_ = harmless.Steer(t.w, wipe)
		fmt.Fprintf(t.w, "%.78s", line)
		t.drawn = true
		return
	}
	fmt.Fprintln(t.w, line)
}

// share is how much of all has come.
func share(p data.Progress) string {
	come := min(p.Bytes, p.Of)
	return fmt.Sprintf("%s of %s (%d%%)", bytesOf(come), bytesOf(p.Of), int(100*float64(come)/float64(p.Of)))
}

func sofar(p data.Progress) string {
	return fmt.Sprintf("%s: %s, %s", harmless.Line(p.What), plural.Of(p.Files, "file"), bytesOf(p.Bytes))
}

// end wipes what was drawn. There may be no teller yet.
func (t *teller) end() {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.drawn {
		_ = harmless.Steer(t.w, wipe)
		t.drawn = false
	}
}
