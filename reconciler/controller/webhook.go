// The door for GitHub's webhooks. Nothing of a body is looked at before its
// signature holds, and nothing in it is acted on: it tells where to look again
// (https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries).
package controller

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/vishwaops/vishwa/reconciler/controller/config"
)

// Bounds of what comes in. GitHub sends at most 25 MiB, and what is of interest
// here is below 1 MiB.
const (
	maxPayload    = 5 << 20
	maxDeliveries = 10_000 // ids that are remembered
	maxID         = 128    // bytes of one
	maxBodies     = 8      // that are read at once
	hooksASecond  = 50
	hooksAtOnce   = 500
	refusalsEvery = 10 * time.Second // told in the log; anybody can make one
	refusalsFirst = 5
)

// hook is the handler.
type hook struct {
	secrets [][]byte
	limit   *rate.Limiter
	told    *rate.Limiter // refusals in the log
	bodies  chan struct{}
	seen    *deliveries
	find    func(repository) []*worker
	id      func() string
	log     *slog.Logger
	count   func(event, result string)
}

func (c *Controller) hook(secrets [][]byte) *hook {
	return &hook{
		secrets: secrets, limit: rate.NewLimiter(hooksASecond, hooksAtOnce),
		told:   rate.NewLimiter(rate.Every(refusalsEvery), refusalsFirst),
		bodies: make(chan struct{}, maxBodies), seen: &deliveries{ids: map[string]bool{}},
		find: c.find, id: c.id, log: c.log, count: c.metrics.webhook,
	}
}

// find is the workers of the repository that a payload is about.
func (c *Controller) find(r repository) (found []*worker) {
	identity, err := config.Canonical(r.CloneURL)
	for _, w := range c.workers {
		if err == nil && w.repo.URL != "" && w.repo.Identity() == identity {
			found = append(found, w)
		}
	}
	if len(found) > 0 {
		return found
	}
	for _, w := range c.workers { // a mirror, or a server with several names
		if full := w.repo.FullName(); full != "" && strings.EqualFold(full, r.FullName) {
			found = append(found, w)
		}
	}
	return found
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	event := known(r.Header.Get("X-GitHub-Event"))
	status, result := h.take(w, r, event)
	h.count(event, result)
	if way := ways[result]; status >= http.StatusBadRequest && way != "" && h.told.Allow() {
		h.log.Warn("a webhook was refused", "event", event, "why", result, "way", way)
	}
	if status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "10")
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, result+"\n")
}

// ways is what to do about a refusal.
var ways = map[string]string{
	"content-type": "set the webhook's content type on GitHub to application/json",
	"unsigned":     "set the webhook's secret on GitHub",
	"forged":       "give the webhook on GitHub and the controller's file the same secret",
	"large":        "choose single events for the webhook on GitHub; polling sees what was missed",
	"limited":      "nothing to do where it passes: polling sees what was missed",
}

// take tells the status, and what became of the webhook in one word.
func (h *hook) take(w http.ResponseWriter, r *http.Request, event string) (int, string) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return http.StatusMethodNotAllowed, "method"
	}
	if !h.limit.Allow() {
		return http.StatusTooManyRequests, "limited"
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return http.StatusUnsupportedMediaType, "content-type"
	}
	claimed, err := hex.DecodeString(strings.TrimPrefix(r.Header.Get("X-Hub-Signature-256"), "sha256="))
	if err != nil || len(claimed) != sha256.Size || !strings.HasPrefix(r.Header.Get("X-Hub-Signature-256"), "sha256=") {
		return http.StatusUnauthorized, "unsigned"
	}
	select {
	case h.bodies <- struct{}{}:
		defer func() { <-h.bodies }()
	default:
		return http.StatusTooManyRequests, "limited"
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPayload))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return http.StatusRequestEntityTooLarge, "large"
	case err != nil:
		return http.StatusBadRequest, "cut"
	case !h.signed(body, claimed):
		return http.StatusUnauthorized, "forged"
	}
	return h.heard(body, event, r.Header.Get("X-GitHub-Delivery"))
}

// signed compares with every secret, whichever holds, in the same time.
func (h *hook) signed(body, claimed []byte) bool {
	holds := false
	for _, s := range h.secrets {
		mac := hmac.New(sha256.New, s)
		mac.Write(body)
		holds = hmac.Equal(mac.Sum(nil), claimed) || holds
	}
	return holds
}

// heard takes a body that is GitHub's.
func (h *hook) heard(body []byte, event, delivery string) (int, string) {
	if delivery == "" || len(delivery) > maxID {
		return http.StatusBadRequest, "malformed"
	}
	if !h.seen.first(delivery) {
		return http.StatusOK, "repeated"
	}
	if event == other {
		return http.StatusAccepted, "ignored"
	}
	call, err := readPayload(event, body)
	if err != nil {
		h.log.Warn("a webhook cannot be read", "event", event, "error", err)
		return http.StatusBadRequest, "malformed"
	}
	if event == "ping" {
		return http.StatusOK, "pong"
	}
	if call.empty() {
		return http.StatusAccepted, "ignored"
	}
	for _, w := range h.find(call.repository) {
		id := h.id()
		w.log.Info("triggered", "by", "webhook", "event", event, "items", call.String(), "delivery", strings.ToValidUTF8(delivery, ""), "trigger", id)
		for _, i := range call.asks {
			w.box.ask(i, id)
		}
		if call.look {
			w.box.look(id)
		}
		if call.sweep {
			w.box.put(func(m *mail) { m.sweep = true })
		}
	}
	return http.StatusAccepted, "accepted"
}

// deliveries remembers the newest ids: GitHub's redelivery has the id of the first.
type deliveries struct {
	mu   sync.Mutex
	ids  map[string]bool
	ring []string
	next int
}

// first notes id, and tells whether it is new.
func (d *deliveries) first(id string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ids[id] {
		return false
	}
	d.ids[id] = true
	if len(d.ring) < maxDeliveries {
		d.ring = append(d.ring, id)
		return true
	}
	delete(d.ids, d.ring[d.next])
	d.ring[d.next] = id
	d.next = (d.next + 1) % maxDeliveries
	return true
}
