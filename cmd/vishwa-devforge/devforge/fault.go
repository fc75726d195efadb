// Faults on demand: what GitHub does on a bad day, so that clients show what they do then.

package devforge

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Fault spoils requests. What is empty matches all; the first that matches counts.
type Fault struct {
	Method string
	Path   string // part of the path
	Times  int    // how often; 0 is until Mend

	Delay      time.Duration // before anything else
	Status     int           // answers this: 500, 502, 503
	Exhausted  time.Duration // the primary limit is used up for so long
	RetryAfter time.Duration // the secondary limit, with this Retry-After; Status 403 or 429
	Secondary  bool          // the secondary limit without a Retry-After
	Cut        bool          // the connection is cut after After bytes of the answer
	After      int

	used int
}

// Break puts a fault in force.
func (f *Forge) Break(x Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = append(f.faults, &x)
}

// Mend takes all faults away, and what has been counted against the limits.
func (f *Forge) Mend() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults, f.rates = nil, map[string]*rate{}
}

// Limit sets how many requests an hour each account has.
func (f *Forge) Limit(hourly int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hourly = hourly
}

// fault is what spoils a request; f.mu is held.
func (f *Forge) fault(method, path string) *Fault {
	for _, x := range f.faults {
		if (x.Times == 0 || x.used < x.Times) && (x.Method == "" || x.Method == method) && strings.Contains(path, x.Path) {
			x.used++
			spoils := *x
			return &spoils
		}
	}
	return nil
}

// refusal is the answer that x gives, or nil where the request goes on.
func (x *Fault) refusal() *Problem {
	switch {
	case x == nil:
	case x.RetryAfter > 0 || x.Secondary:
		p := &Problem{
			Status:  x.Status,
			Message: "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
			Docs:    "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits",
			Header:  http.Header{},
		}
		if p.Status == 0 {
			p.Status = http.StatusForbidden
		}
		if x.RetryAfter > 0 {
			p.Header.Set("Retry-After", strconv.Itoa(int((x.RetryAfter+time.Second-1)/time.Second)))
		}
		return p
	case x.Status != 0:
		return &Problem{Status: x.Status, Message: "Server Error"}
	}
	return nil
}

// rate counts what an account has used of its hour.
type rate struct {
	used  int
	reset time.Time
}

// count takes one request from who's hour, or tells that there is none left; f.mu is held.
func (f *Forge) count(who actor, h http.Header, take int) *Problem {
	key := lower(who.name())
	now := f.now()
	r := f.rates[key]
	if r == nil || !now.Before(r.reset) {
		r = &rate{reset: now.Add(time.Hour)}
		f.rates[key] = r
	}
	spent := r.used+take > f.hourly
	if !spent {
		r.used += take
	}
	f.rateHeaders(r, h)
	if !spent {
		return nil
	}
	return &Problem{
		Status: http.StatusForbidden, Message: "API rate limit exceeded for user ID 1.",
		Docs: "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api",
	}
}

func (f *Forge) rateHeaders(r *rate, h http.Header) {
	h.Set("X-RateLimit-Limit", strconv.Itoa(f.hourly))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(max(0, f.hourly-r.used)))
	h.Set("X-RateLimit-Used", strconv.Itoa(r.used))
	h.Set("X-RateLimit-Reset", strconv.FormatInt(r.reset.Unix(), 10))
	h.Set("X-RateLimit-Resource", "core")
}

// exhaust uses up who's hour; f.mu is held.
func (f *Forge) exhaust(who actor, d time.Duration) {
	f.rates[lower(who.name())] = &rate{used: f.hourly, reset: f.now().Add(d)}
}
