// Webhooks that are handed on: the forge sends each to one replica, whichever it meets, and it may be about a repository of
// another. What is handed on is the forge's own message with its signature, which each replica checks for itself: nobody
// needs to be trusted for it, and what is lost on the way is found by the poll.

package controller

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/routine"
)

const (
	deliveryHeader = "X-GitHub-Delivery"
	handedHeader   = "X-Vishwa-Handed-On" // it is handed on once, and no further
	handsAtOnce    = 4
	handsWaiting   = 100 // webhooks; beyond them the poll does
	handTime       = 5 * time.Second
	mostAddresses  = 100 // that one webhook is handed to
)

func handedOn(r *http.Request) bool { return r.Header.Get(handedHeader) != "" }

// handed is a webhook as it came.
type handed struct {
	body   []byte
	header http.Header
}

// peers are where the other replicas receive webhooks.
type peers struct {
	at     []string // host:port
	queue  chan handed
	log    *slog.Logger
	client *http.Client
}

func newPeers(at []string, log *slog.Logger) *peers {
	return &peers{at: at, log: log, queue: make(chan handed, handsWaiting), client: &http.Client{
		Timeout:   handTime,
		Transport: &http.Transport{MaxIdleConnsPerHost: 1, MaxConnsPerHost: handsAtOnce, IdleConnTimeout: 30 * time.Second}, // no proxy: they are near
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // it goes where the file says, and nowhere else
		},
	}}
}

// hand has a webhook handed on. It waits for nothing.
func (p *peers) hand(h handed) {
	select {
	case p.queue <- h:
	default:
		p.log.Warn("a webhook is not handed on, as too many wait; the poll finds the change")
	}
}

// run hands on until ctx ends.
func (p *peers) run(ctx context.Context) {
	var all routine.Set
	for range handsAtOnce {
		all.Start(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case h := <-p.queue:
					if err := fault.Guard(func() error { p.spread(ctx, h); return nil }); err != nil {
						routine.Logged(p.log, "the handing on of a webhook")(err)
					}
				}
			}
		})
	}
	all.Wait()
	p.client.CloseIdleConnections()
}

// spread hands one to every address. This replica's own may be among them: it knows the webhook already.
func (p *peers) spread(ctx context.Context, h handed) {
	taken, last := 0, error(nil)
	for _, at := range p.addresses(ctx) {
		if err := p.post(ctx, at, h); err != nil {
			last = err
			continue
		}
		taken++
	}
	if taken == 0 && ctx.Err() == nil {
		p.log.Warn("a webhook could be handed on to nobody; the poll finds the change", "error", last, "hint", "see that replicas.peers names the controllers, and that they reach each other there")
	}
}

// addresses are those of the peers now: they come and go.
func (p *peers) addresses(ctx context.Context) (out []string) {
	ctx, cancel := context.WithTimeout(ctx, handTime)
	defer cancel()
	for _, at := range p.at {
		host, port, err := net.SplitHostPort(at)
		if err != nil {
			continue // the configuration was checked
		}
		found, err := net.DefaultResolver.LookupHost(ctx, host)
		if err != nil {
			p.log.Warn("find the other replicas' addresses", "host", host, "error", err)
		}
		for _, ip := range found {
			if out = append(out, net.JoinHostPort(ip, port)); len(out) == mostAddresses {
				return out
			}
		}
	}
	return out
}

func (p *peers) post(ctx context.Context, at string, h handed) error {
	to := url.URL{Scheme: "http", Host: at, Path: "/webhooks/github"}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), bytes.NewReader(h.body))
	if err != nil {
		return err
	}
	for _, name := range []string{"Content-Type", "X-GitHub-Event", deliveryHeader, "X-Hub-Signature-256"} {
		req.Header.Set(name, h.header.Get(name))
	}
	req.Header.Set(handedHeader, "1")
	resp, err := p.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 4<<10))
	if resp.StatusCode >= http.StatusBadRequest {
		return &net.OpError{Op: "hand on", Net: "tcp", Err: errStatus(resp.Status)}
	}
	return nil
}

// errStatus is an answer that is no yes.
type errStatus string

func (e errStatus) Error() string { return "it answers " + string(e) }
