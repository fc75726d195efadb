// When garbage is looked for. A command is short and lives beside runs that need the memory
// more, so little of it is kept; but below some room looking costs more than it gives back.

package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
)

// room is what a command may take before it looks for garbage, in bytes: a third of what a Python with pandas takes.
const room = 48 << 20

// collector sets how far the heap may grow before garbage is looked for, anew after each time that it was.
type collector struct {
	room    atomic.Uint64 // bytes of heap that are never looked through
	percent atomic.Uint64 // of what is in use, beyond it
	fixed   bool          // somebody has said by the environment how it is to be
}

// collect begins with room for a short command.
func collect(lookup func(string) (string, bool)) *collector {
	c := &collector{}
	_, percent := lookup("GOGC")
	_, limit := lookup("GOMEMLIMIT")
	if c.fixed = percent || limit; c.fixed {
		return c
	}
	c.room.Store(room)
	c.percent.Store(40)
	c.adjust()
	c.again()
	return c
}

// eager looks for garbage however little there is: for what runs long, most of it idle, and many at a time.
func (c *collector) eager() { c.keep(0, 40) }

func (c *collector) keep(room, percent uint64) {
	if c == nil || c.fixed {
		return
	}
	c.room.Store(room)
	c.percent.Store(percent)
	c.adjust()
}

func (c *collector) adjust() {
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
func (c *collector) again() {
	type unused struct{ _ *collector }
	runtime.AddCleanup(&unused{}, func(c *collector) { c.adjust(); c.again() }, c)
}
