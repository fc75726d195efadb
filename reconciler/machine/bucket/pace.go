// How many requests are under way at once: as many as the server bears.

package bucket

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

const (
	firstHold   = 100 * time.Millisecond // after a server said that it is too much, doubled each time it says so again
	longestHold = 30 * time.Second
)

// aimdLimiter is a transport that asks less where the server says that it is too much (503,
// 429, or no answer in time): half as many requests at once, none of them for a while.
// From there on, each round of answers lets one more request go beside the others, up
// to most. This is the control of TCP's congestion window (RFC 5681, section 3.1).
type aimdLimiter struct {
	next http.RoundTripper
	most float64

	mu      sync.Mutex
	limit   float64 // 1 to most
	busy    int
	waiting []chan struct{} // in the order in which they came
	cut     time.Time       // when the limit fell last
	hold    time.Duration   // what the next fall waits for, but for what the server says
	until   time.Time       // nothing is asked before
}

func paced(next http.RoundTripper, most int) *aimdLimiter {
	return &aimdLimiter{next: next, most: float64(most), limit: float64(most), hold: firstHold}
}

// RoundTrip asks when it is its turn. A request counts until its answer has begun: a
// body that is being read holds nobody up who reads another beside it.
func (p *aimdLimiter) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := p.enter(req.Context()); err != nil {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, err
	}
	began := time.Now()
	resp, err := p.next.RoundTrip(req)
	p.leave(began, resp, err)
	return resp, err
}

// enter waits for the end of the server's wish for silence, and for a place.
func (p *aimdLimiter) enter(ctx context.Context) error {
	for {
		p.mu.Lock()
		if left := time.Until(p.until); left > 0 {
			p.mu.Unlock()
			select {
			case <-time.After(left):
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if p.busy < int(p.limit) {
			p.busy++
			p.mu.Unlock()
			return nil
		}
		turn := make(chan struct{})
		p.waiting = append(p.waiting, turn)
		p.mu.Unlock()
		select {
		case <-turn:
		case <-ctx.Done():
			p.giveUp(turn)
			return ctx.Err()
		}
	}
}

// giveUp takes a turn back; one that came in the same moment is the next one's.
func (p *aimdLimiter) giveUp(turn chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.waiting, turn); i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
		return
	}
	p.call(1)
}

// call wakes n of those who wait, who then look for a place.
func (p *aimdLimiter) call(n int) {
	for ; n > 0 && len(p.waiting) > 0; n-- {
		close(p.waiting[0])
		p.waiting = p.waiting[1:]
	}
}

func (p *aimdLimiter) leave(began time.Time, resp *http.Response, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	var late net.Error
	switch {
	case resp != nil && (resp.StatusCode == http.StatusServiceUnavailable || resp.StatusCode == http.StatusTooManyRequests),
		errors.As(err, &late) && late.Timeout():
		if began.After(p.cut) { // those that were under way when it fell say nothing new
			p.limit = max(1, p.limit/2)
			p.cut = now
			p.until = now.Add(p.silence(resp))
			p.hold = min(2*p.hold, longestHold)
		}
	case err == nil:
		p.limit = min(p.most, p.limit+1/p.limit)
		p.hold = max(firstHold, p.hold-p.hold/8)
	}
	p.busy--
	p.call(int(p.limit) - p.busy)
}

// silence is what the server asks for, else a random part of what it comes to.
func (p *aimdLimiter) silence(resp *http.Response) time.Duration {
	if resp != nil {
		if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s >= 0 {
			return min(time.Duration(s)*time.Second, longestHold)
		}
	}
	return p.hold/2 + rand.N(p.hold/2)
}
