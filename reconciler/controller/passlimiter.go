// Slots bound the passes that are under way at once over all repositories. A
// repository gets another slot only while more are free than it holds already, so
// that the first of a new repository is there however much others ask for
// (the dynamic threshold of Choudhury and Hahne, 1998).

package controller

import (
	"slices"
	"sync"
)

type passLimiter struct {
	mu    sync.Mutex
	free  int
	held  map[*lane]int
	queue []*lane // in the order of their asking, each once
}

func newPassLimiter(n int) *passLimiter { return &passLimiter{free: n, held: map[*lane]int{}} }

// lane is where one repository waits for slots of one kind. There are two kinds: what
// strangers ask for waits in a queue of its own, and holds up nobody else.
type lane struct {
	slots   *passLimiter
	granted chan struct{}
	claimed bool // a slot is asked for
}

func newLane(s *passLimiter) *lane { return &lane{slots: s, granted: make(chan struct{}, 1)} }

// want asks for a slot, where none is asked for yet.
func (l *lane) want() {
	if !l.claimed {
		l.claimed = true
		l.slots.claim(l)
	}
}

// leave gives up waiting.
func (l *lane) leave() {
	if l.claimed && !l.slots.withdraw(l) {
		<-l.granted
		l.slots.release(l)
	}
}

// claim asks for one slot; w.granted is told when w has it. There is one claim of w at a time.
func (s *passLimiter) claim(w *lane) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, w)
	s.grant()
}

// withdraw takes back a claim; false: it was granted in the meantime.
func (s *passLimiter) withdraw(w *lane) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.queue)
	s.queue = slices.DeleteFunc(s.queue, func(q *lane) bool { return q == w })
	return len(s.queue) < n
}

func (s *passLimiter) release(w *lane) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free++
	if s.held[w]--; s.held[w] == 0 {
		delete(s.held, w)
	}
	s.grant()
}

func (s *passLimiter) grant() {
	for n := 0; n < len(s.queue) && s.free > 0; {
		w := s.queue[n]
		if s.held[w] > 0 && s.free <= s.held[w] {
			n++
			continue
		}
		s.free--
		s.held[w]++
		s.queue = slices.Delete(s.queue, n, n+1)
		w.granted <- struct{}{} // has room for one
	}
}
