package bucket

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// bearing answers what it bears at once, each after a while, and refuses the rest.
type bearing struct {
	mu            sync.Mutex
	bears, now    int
	most, refused int
	after         string
}

func (b *bearing) RoundTrip(*http.Request) (*http.Response, error) {
	b.mu.Lock()
	b.now++
	b.most = max(b.most, b.now)
	over := b.now > b.bears
	if over {
		b.refused++
	}
	b.mu.Unlock()
	time.Sleep(20 * time.Millisecond)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now--
	r := &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(""))}
	if over {
		r.StatusCode = http.StatusServiceUnavailable
		r.Header.Set("Retry-After", b.after)
	}
	return r, nil
}

func ask(t *testing.T, p *aimdLimiter, n int) {
	t.Helper()
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			for {
				req, _ := http.NewRequest(http.MethodGet, "http://s3/", nil)
				if resp, err := p.RoundTrip(req); err != nil {
					t.Error(err)
				} else if resp.StatusCode == 200 {
					return
				}
			}
		})
	}
	all.Wait()
}

// TestPaceFollowsWhatIsBorne: few requests are refused, and when the server bears more
// again, more are asked.
func TestPaceFollowsWhatIsBorne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &bearing{bears: 5}
		p := paced(s, 64)
		ask(t, p, 2000)
		if s.refused > 2000/3 { // without it, over nine of ten are
			t.Errorf("%d were refused", s.refused)
		}
		if s.most > 64 {
			t.Errorf("%d at once", s.most)
		}
		s.bears, s.most, s.refused = 1000, 0, 0
		ask(t, p, 4000)
		if s.most < 50 || s.refused > 0 {
			t.Errorf("%d at once where all is borne, %d refused", s.most, s.refused)
		}
	})
}

func TestPaceWaitsAsLongAsIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &bearing{bears: 0, after: "7"}
		p := paced(s, 4)
		req, _ := http.NewRequest(http.MethodGet, "http://s3/", nil)
		if resp, err := p.RoundTrip(req); err != nil || resp.StatusCode != 503 {
			t.Fatal(resp, err)
		}
		s.bears = 10
		began := time.Now()
		ask(t, p, 1)
		if took := time.Since(began); took < 7*time.Second || took > 8*time.Second {
			t.Errorf("it waited %v", took)
		}
	})
}

// TestPaceLetsGo: who gives up waiting takes no place, and holds none.
func TestPaceLetsGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &bearing{bears: 10}
		p := paced(s, 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://s3/", nil)
				_, _ = p.RoundTrip(req)
			})
		}
		all.Wait()
		ask(t, p, 3)
		if p.busy != 0 || len(p.waiting) != 0 {
			t.Errorf("%d busy, %d waiting", p.busy, len(p.waiting))
		}
	})
}
