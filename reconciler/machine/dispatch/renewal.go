// Renewals: what a worker is lent may end before its run does, as the credentials do that
// sign it. Whoever began the run lays what holds for longer where the worker looks for it.

package dispatch

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Renewal is in place of what a worker was lent before. It is sealed by the launch's nonce.
type Renewal struct {
	Version int                      `json:"version"`
	Read    map[digest.Digest]string `json:"read"`
	Write   port.WriteGrant          `json:"write"`
	Until   time.Time                `json:"until"`
	Next    string                   `json:"next"` // where the one after it will be read
}

// RenewalName is the name of a launch's n-th renewal, from 1.
func RenewalName(n int) string { return fmt.Sprintf("renewal.%d.json", n) }

// sealOf is the key that only a launch knows.
func sealOf(nonce string) (seal.Key, error) {
	key, err := seal.KeyOf([]byte(nonce))
	if err != nil {
		return key, err
	}
	return key.Derive("renewals"), nil
}

// WrapRenewal is a renewal as it is written for a launch.
func WrapRenewal(nonce string, r Renewal) ([]byte, error) {
	key, err := sealOf(nonce)
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(r)
	return key.Wrap("renewal", raw), err
}

func openRenewal(nonce string, raw []byte) (Renewal, error) {
	key, err := sealOf(nonce)
	if err == nil {
		raw, err = key.Open("renewal", raw)
	}
	if err != nil {
		return Renewal{}, err
	}
	return decode("renewal", raw, func(r *Renewal) int { return r.Version })
}

// mostAsked is how long a worker waits at most until it looks again, and leastAsked at least.
const (
	mostAsked  = time.Minute
	leastAsked = 100 * time.Millisecond
)

// renewing takes renewals until ctx is done, from half of the time on for which something is
// lent. What has ended can look for none: then the store's answer says so.
func (l *lent) renewing(ctx context.Context) {
	wait := max(leastAsked, l.lends().Until.Sub(l.now())/2)
	for l.lends().Next != "" {
		if l.sleep(ctx, wait) != nil {
			return
		}
		r, err := l.renewal(ctx)
		if err == nil && r.Until.After(l.lends().Until) {
			l.mu.Lock()
			l.loan = r
			l.mu.Unlock()
			wait = max(leastAsked, r.Until.Sub(l.now())/2)
			continue
		}
		if !l.now().Before(l.lends().Until) {
			return
		}
		wait = max(leastAsked, min(mostAsked, l.lends().Until.Sub(l.now())/8))
	}
}

// lends is what is lent now.
func (l *lent) lends() Renewal {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.loan
}

func (l *lent) renewal(ctx context.Context) (Renewal, error) {
	next := l.lends().Next
	body, err := l.open(ctx, func() string { return next })
	if err != nil {
		return Renewal{}, err
	}
	defer body.Close()
	raw, err := io.ReadAll(io.LimitReader(body, mostDocument+1))
	if err != nil {
		return Renewal{}, err
	}
	if len(raw) > mostDocument {
		return Renewal{}, fault.New(fault.Invalid, "the renewal has more than %d bytes", mostDocument)
	}
	return openRenewal(l.doc.Nonce, raw)
}
