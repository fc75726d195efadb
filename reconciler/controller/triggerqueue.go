// A trigger queue takes triggers from anywhere, at once: bursts collapse in it until the
// worker comes to look.

package controller

import "sync"

// maxAsks bounds what a queue holds; beyond it, the sweep that is then asked for finds the rest.
const maxAsks = 1000

// triggers is what was asked for since the worker looked last.
type triggers struct {
	asks  map[item][]string // passes, by these triggers
	looks []string          // looks, by these triggers
	hints []Hint            // where others say that something changed
	look  bool
	sweep bool
}

type triggerQueue struct {
	mu   sync.Mutex
	in   triggers
	bell chan struct{}
}

func newTriggerQueue() *triggerQueue { return &triggerQueue{bell: make(chan struct{}, 1)} }

// ask wants a pass of i.
func (b *triggerQueue) ask(i item, id string) {
	b.addTriggers(func(m *triggers) {
		_, known := m.asks[i]
		if !known && len(m.asks) >= maxAsks {
			m.sweep = true
			return
		}
		if m.asks == nil {
			m.asks = map[item][]string{}
		}
		m.asks[i] = joined(m.asks[i], id)
	})
}

// wantLook wants a look at the refs.
func (b *triggerQueue) wantLook(id string) {
	b.addTriggers(func(m *triggers) {
		m.look = true
		m.looks = joined(m.looks, id)
	})
}

func (b *triggerQueue) addTriggers(f func(*triggers)) {
	b.mu.Lock()
	f(&b.in)
	b.mu.Unlock()
	select {
	case b.bell <- struct{}{}:
	default:
	}
}

func (b *triggerQueue) takeTriggers() triggers {
	b.mu.Lock()
	defer b.mu.Unlock()
	m := b.in
	b.in = triggers{}
	return m
}
