// Waiting: rate limits are waited out, and what may be asked again is asked again.

package forge

import (
	"bytes"
	"context"
	"io"
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

type retryTransport struct {
	next  http.RoundTripper
	now   func() time.Time
	log   *slog.Logger
	sleep func(context.Context, time.Duration) error
	limit time.Duration
}

func (p *retryTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	again := req.Method == http.MethodGet || req.Method == http.MethodHead || req.Method == http.MethodDelete
	for failed, waits := 0, 0; ; {
		if err := rewind(req); err != nil {
			return nil, err
		}
		resp, err := p.next.RoundTrip(req)
		if ctx.Err() != nil || req.Body != nil && req.GetBody == nil {
			return resp, err
		}
		var wait time.Duration
		switch {
		case err == nil && (limited(resp) || secondarily(resp)):
			if wait = p.over(resp, waits); wait > p.limit {
				drain(resp)
				return nil, fault.WithHint(fault.New(fault.Transient, "GitHub's rate limit is over only in %s", wait.Round(time.Second)), "use an App's or another token, or look less often")
			}
			if waits++; waits > mostWaits {
				return resp, nil
			}
			p.log.Warn("waiting for GitHub's rate limit", "path", req.URL.Path, "wait", wait)
		case again && failed+1 < tries && (err != nil && !untrusted(err) || err == nil && resp.StatusCode >= 500):
			wait = firstWait << failed
			failed++
			p.log.Info("asking GitHub again", "path", req.URL.Path, "try", failed+1)
		default:
			return resp, err
		}
		if resp != nil {
			drain(resp)
		}
		if err := p.sleep(ctx, wait); err != nil {
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

func drain(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // so that the connection is used again; what is left is cut
	resp.Body.Close()
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

// over is how long a rate limit lasts, as GitHub documents it: Retry-After, else
// until the reset, else a minute that doubles.
func (p *retryTransport) over(resp *http.Response, waits int) time.Duration {
	const longest = 365 * 24 * 3600 // seconds: what is beyond is nonsense and would overflow
	if s, err := strconv.ParseInt(resp.Header.Get("Retry-After"), 10, 64); err == nil && s >= 0 {
		return time.Duration(min(s, longest)) * time.Second
	}
	if s, err := strconv.ParseInt(resp.Header.Get("X-RateLimit-Reset"), 10, 64); err == nil && resp.Header.Get("X-RateLimit-Remaining") == "0" {
		return max(time.Second, time.Unix(s, 0).Sub(p.now())+time.Second)
	}
	return time.Minute << waits
}
