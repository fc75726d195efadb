// Asking again: rate limits are waited out, and what may be asked again is asked again.

package httpx

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

const (
	tries     = 4 // of a request that may be repeated
	firstWait = 250 * time.Millisecond
	mostWaits = 5 // rate limits that one request sits out
)

// Retry asks Next again where that is safe: a GET, HEAD or DELETE that failed on the way
// or was answered by 5xx, and anything that a rate limit turned away.
type Retry struct {
	Next  http.RoundTripper
	Who   string // is asked, for people: "GitHub"
	Now   func() time.Time
	Log   *slog.Logger
	Sleep func(context.Context, time.Duration) error // nil: Sleep of this package
	Limit time.Duration                              // longest rate limit that is waited for
	// Limited tells a rate limit, and how long it lasts; waits counts those before. Nil is
	// Limited of this package.
	Limited func(resp *http.Response, now time.Time, waits int) (wait time.Duration, limited bool)
	Hint    string // what to do about a limit that is longer
}

// RoundTrip implements http.RoundTripper.
func (p *Retry) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	limited, pause := p.Limited, p.Sleep
	if limited == nil {
		limited = Limited
	}
	if pause == nil {
		pause = Sleep
	}
	again := req.Method == http.MethodGet || req.Method == http.MethodHead || req.Method == http.MethodDelete
	for failed, waits := 0, 0; ; {
		if err := rewind(req); err != nil {
			return nil, err
		}
		resp, err := p.Next.RoundTrip(req)
		if ctx.Err() != nil || req.Body != nil && req.GetBody == nil {
			return resp, err
		}
		var wait time.Duration
		turnedAway := false
		if err == nil {
			wait, turnedAway = limited(resp, p.Now(), waits)
		}
		switch {
		case turnedAway:
			if wait > p.Limit {
				Drain(resp)
				return nil, fault.WithHint(fault.New(fault.Transient, "the rate limit of %s is over only in %s", p.Who, wait.Round(time.Second)), "%s", p.Hint)
			}
			if waits++; waits > mostWaits {
				return resp, nil
			}
			p.Log.Warn("waiting for a rate limit", "of", p.Who, "path", req.URL.Path, "wait", wait)
		case again && failed+1 < tries && (err != nil && !Untrusted(err) || err == nil && resp.StatusCode >= 500):
			wait = firstWait << failed
			failed++
			p.Log.Info("asking again", "of", p.Who, "path", req.URL.Path, "try", failed+1)
		default:
			return resp, err
		}
		if resp != nil {
			Drain(resp)
		}
		if err := pause(ctx, wait); err != nil {
			return nil, err
		}
	}
}

func rewind(req *http.Request) error {
	if req.GetBody == nil {
		return nil
	}
	body, err := req.GetBody()
	req.Body = body
	return err
}

// Limited is a rate limit as RFC 6585 has it: 429, for as long as Retry-After says, else
// for a second that doubles.
func Limited(resp *http.Response, now time.Time, waits int) (time.Duration, bool) {
	if resp.StatusCode != http.StatusTooManyRequests {
		return 0, false
	}
	if wait, said := RetryAfter(resp, now); said {
		return wait, true
	}
	return time.Second << waits, true
}

// RetryAfter is what an answer says of when to ask again: seconds, or a date (RFC 9110, 10.2.3).
func RetryAfter(resp *http.Response, now time.Time) (time.Duration, bool) {
	const longest = 365 * 24 * 3600 // seconds: what is beyond is nonsense and would overflow
	said := resp.Header.Get("Retry-After")
	if s, err := strconv.ParseInt(said, 10, 64); err == nil && s >= 0 {
		return time.Duration(min(s, longest)) * time.Second, true
	}
	if t, err := http.ParseTime(said); err == nil {
		return max(0, t.Sub(now)), true
	}
	return 0, false
}

// Sleep waits for d, or until ctx ends.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
