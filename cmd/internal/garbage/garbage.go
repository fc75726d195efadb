// Package garbage decides when garbage is looked for. A command is short and lives beside runs that need the memory
// more, so little of it is kept; but below some room looking costs more than it gives back.
package garbage

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
)

// Room is what a command may take before it looks for garbage, in bytes: a third of what a Python with pandas takes.
const Room = 48 << 20

// Process is this program's collector. It begins as one of the first things of the program, as this package imports little:
// what libraries make of themselves before main is more than Go's least heap, and hardly any of it is garbage.
var Process = begin(os.LookupEnv)

// Collector sets how far the heap may grow before garbage is looked for, anew after each time that it was.
type Collector struct {
	room    atomic.Uint64 // bytes of heap that are never looked through
	percent atomic.Uint64 // of what is in use, beyond it
	fixed   bool          // somebody has said by the environment how it is to be
}

// begin gives a program room, and beyond it Go's own percentage until main says another.
func begin(lookup func(string) (string, bool)) *Collector {
	c := &Collector{}
	_, percent := lookup("GOGC")
	_, limit := lookup("GOMEMLIMIT")
	if c.fixed = percent || limit; c.fixed {
		return c
	}
	c.Keep(Room, 100)
	c.again()
	return c
}

// Eager looks for garbage however little there is: for what runs long, most of it idle, and many at a time.
func (c *Collector) Eager() { c.Keep(0, 40) }

// Keep leaves a heap below room alone, and lets one beyond it grow by percent of what is in use.
func (c *Collector) Keep(room, percent uint64) {
	if c == nil || c.fixed {
		return
	}
	c.room.Store(room)
	c.percent.Store(percent)
	c.adjust()
}

func (c *Collector) adjust() {
	used := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(used)
	debug.SetGCPercent(int(growth(used[0].Value.Uint64(), c.room.Load(), c.percent.Load())))
}

// growth is by how many percent a heap of which live bytes are in use may grow: by percent at least, and up to room.
func growth(live, room, percent uint64) uint64 {
	const least = 4 << 20 // below it the runtime takes the heap for as large, and its percentages are of that
	live = max(live, least)
	if live >= room {
		return percent
	}
	return max(percent, room*100/live-100)
}

// again adjusts after the next time that garbage was looked for: what nobody refers to is found then.
func (c *Collector) again() {
	type unused struct{ _ *Collector }
	runtime.AddCleanup(&unused{}, func(c *Collector) { c.adjust(); c.again() }, c)
}
