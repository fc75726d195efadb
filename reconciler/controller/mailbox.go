// A mailbox takes triggers from anywhere, at once: bursts collapse in it until the
// worker comes to look.

package controller

import "sync"

// maxAsks bounds what a mailbox holds; beyond it, the sweep that is then asked for finds the rest.
const maxAsks = 1000

// mail is what was asked for since the worker looked last.
type mail struct {
	asks  map[item][]string // passes, by these triggers
	looks []string          // looks, by these triggers
	look  bool
	sweep bool
}

type mailbox struct {
	mu   sync.Mutex
	in   mail
	bell chan struct{}
}

func newMailbox() *mailbox { return &mailbox{bell: make(chan struct{}, 1)} }

// ask wants a pass of i.
func (b *mailbox) ask(i item, id string) {
	b.put(func(m *mail) {
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

// look wants a look at the refs.
func (b *mailbox) look(id string) {
	b.put(func(m *mail) {
		m.look = true
		m.looks = joined(m.looks, id)
	})
}

func (b *mailbox) put(f func(*mail)) {
	b.mu.Lock()
	f(&b.in)
	b.mu.Unlock()
	select {
	case b.bell <- struct{}{}:
	default:
	}
}

func (b *mailbox) take() mail {
	b.mu.Lock()
	defer b.mu.Unlock()
	m := b.in
	b.in = mail{}
	return m
}
