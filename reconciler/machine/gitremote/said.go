// What Git says while it works: how far it is, by which it is held to its pace, and what
// went wrong, which is kept.

package gitremote

import (
	"bytes"
	"context"
	"strconv"
	"sync"

	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
	"github.com/vishwaops/vishwa/reconciler/machine/dial"
)

// longest is how many bytes of what Git says are kept: a remote may write without end.
const longest = 64 << 10

var (
	// over is what came so far, as in "Receiving objects:  12% (3/25), 1.20 MiB | 500.00 KiB/s".
	over = lazyregexp.New(`^(?:Receiving|Unpacking|Writing) objects: .*, ([0-9.]+) (bytes?|KiB|MiB|GiB)`)
	// how is a line of progress, the remote's or Git's own.
	how = lazyregexp.New(`^(remote: )?(([A-Z][a-z]+( [a-z]+)*: +[0-9]+(%|,|$))|Total [0-9]+ \(delta )`)
)

var units = map[string]float64{"byte": 1, "bytes": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}

// Hearing takes in what Git says.
type Hearing struct {
	pace   dial.Pace
	meters []*dial.Meter

	mu   sync.Mutex
	part []byte // of a line
	kept bytes.Buffer
	came float64 // bytes
	late error
}

// Listen is what a program says that is ended where it does not keep its pace. One that
// does not speak to the remote has a whole window for all it does.
func Listen(p dial.Pace, speaks bool, end context.CancelCauseFunc) *Hearing {
	h := &Hearing{pace: p}
	stop := func(why error) {
		h.mu.Lock()
		if h.late == nil {
			h.late = why
		}
		h.mu.Unlock()
		end(why)
	}
	if !speaks {
		h.meters = []*dial.Meter{dial.NewMeter(dial.Pace{Whole: p.Window}, stop)}
		return h
	}
	// It must say something, and in the long run it must move.
	h.meters = []*dial.Meter{dial.NewMeter(dial.Pace{Window: p.Window / 3, Least: 1}, stop), dial.NewMeter(p, stop)}
	for _, m := range h.meters {
		m.Wait()
	}
	return h
}

// Done ends the listening.
func (h *Hearing) Done() {
	for _, m := range h.meters {
		m.Done()
	}
}

// Why is the reason for which the program was ended; nil where it ended by itself.
func (h *Hearing) Why() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.late
}

// Text is what was said besides how far it is.
func (h *Hearing) Text() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.part) > 0 && !how.Match(h.part) {
		h.keep(h.part)
		h.part = nil
	}
	return h.kept.String()
}

func (h *Hearing) keep(line []byte) {
	if h.kept.Len()+len(line) <= longest {
		h.kept.Write(line)
	}
}

func (h *Hearing) Write(p []byte) (int, error) {
	h.mu.Lock()
	moved := h.hear(p)
	h.mu.Unlock()
	if len(h.meters) == 2 {
		h.meters[0].Moved(len(p))
		h.meters[1].Moved(moved)
	}
	return len(p), nil
}

// hear takes lines apart, and tells how many bytes of the transfer they speak of.
func (h *Hearing) hear(p []byte) (moved int) {
	for {
		i := bytes.IndexAny(p, "\r\n")
		if i < 0 {
			if len(h.part) < longest {
				h.part = append(h.part, p...)
			}
			return moved
		}
		line := append(h.part, p[:i+1]...)
		h.part, p = nil, p[i+1:]
		switch m := over.FindSubmatch(line); {
		case m != nil:
			if n, err := strconv.ParseFloat(string(m[1]), 64); err == nil {
				if now := n * units[string(m[2])]; now > h.came {
					moved, h.came = moved+int(now-h.came), now
				}
			}
		case !how.Match(line):
			h.keep(line)
		case !bytes.HasPrefix(line, []byte("remote: ")) && !bytes.HasPrefix(line, []byte("Receiving")) && !bytes.HasPrefix(line, []byte("Unpacking")):
			moved += int(h.pace.Least) // Git works here, and waits for nobody
		}
	}
}
