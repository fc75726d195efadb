// GitHub's rate limits, as it documents them.

package forge

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/vishwaops/vishwa/reconciler/machine/httpx"
)

// rateLimit tells a rate limit, and how long it lasts: Retry-After, else until the reset,
// else a minute that doubles.
func rateLimit(resp *http.Response, now time.Time, waits int) (time.Duration, bool) {
	if !limited(resp) && !secondarily(resp) {
		return 0, false
	}
	if wait, said := httpx.RetryAfter(resp, now); said {
		return wait, true
	}
	if s, err := strconv.ParseInt(resp.Header.Get("X-RateLimit-Reset"), 10, 64); err == nil && resp.Header.Get("X-RateLimit-Remaining") == "0" {
		return max(time.Second, time.Unix(s, 0).Sub(now)+time.Second), true
	}
	return time.Minute << waits, true
}

// limited tells a rate limit from a missing permission: both are 403.
func limited(resp *http.Response) bool {
	if resp.StatusCode != http.StatusForbidden && resp.StatusCode != http.StatusTooManyRequests {
		return false
	}
	return resp.StatusCode == http.StatusTooManyRequests || resp.Header.Get("Retry-After") != "" || resp.Header.Get("X-RateLimit-Remaining") == "0"
}

// secondarily tells a secondary limit that comes without a header, by its words.
func secondarily(resp *http.Response) bool {
	if resp.StatusCode != http.StatusForbidden {
		return false
	}
	head, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	rest := io.Reader(resp.Body)
	if err != nil {
		rest = failing{err}
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(head), rest), resp.Body}
	return secondary(head)
}

func secondary(body []byte) bool {
	return bytes.Contains(body, []byte("secondary rate limit")) || bytes.Contains(body, []byte("abuse detection"))
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
