// The door for GitHub's webhooks. Nothing of a body is looked at before its
// signature holds, and nothing in it is acted on: it tells where to look again. What is
// not signed takes no place from what is: it counts towards no limit but those of the
// crowd at the port, which always lets the newest in
// (https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries).

package controller

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
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
	hooksASecond  = 50     // that are GitHub's
	hooksAtOnce   = 500
	againASecond  = 5 // of them, those whose body came before: anybody who saw one can send it again
	againAtOnce   = 50
	maxBodies     = 10_000           // that are remembered, by signature
	refusalsEvery = 10 * time.Second // told in the log; anybody can make one
	refusalsFirst = 5
)

// hook is the handler.
type hook struct {
	secrets  [][]byte
	crowd    *connectionLimiter
	patience patience
	now      func() time.Time
	limit    *rate.Limiter // of what is GitHub's
	again    *rate.Limiter // of that, what came before under another id
	told     *rate.Limiter // refusals in the log
	seen     *deliveries   // by id
	bodies   *deliveries   // by signature
	find     func(payloadRepository) []*worker
	id       func() string
	log      *slog.Logger
	count    func(event, result string)
	hand     func(handed) // on to the other replicas; nil: there are none
}

func (c *Controller) hook(secrets [][]byte, crowd *connectionLimiter) *hook {
	var hand func(handed)
	if c.peers != nil {
		hand = c.peers.hand
	}
	return &hook{
		secrets: secrets, crowd: crowd, patience: hurried, now: c.now,
		limit: rate.NewLimiter(hooksASecond, hooksAtOnce), again: rate.NewLimiter(againASecond, againAtOnce),
		told: rate.NewLimiter(rate.Every(refusalsEvery), refusalsFirst),
		seen: remember(maxDeliveries), bodies: remember(maxBodies),
		find: c.find, id: c.id, log: c.log, count: c.metrics.webhook,
		hand: hand,
	}
}

// find is the workers of the repository that a payload is about.
func (c *Controller) find(r payloadRepository) (found []*worker) {
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
	status, result := h.acceptWebhook(w, r, event)
	h.count(event, result)
	if way := ways[result]; status >= http.StatusBadRequest && way != "" && h.told.Allow() {
		h.log.Warn("a webhook was refused", "event", event, "why", result, "hint", way)
	}
	if status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "10")
	}
	if status >= http.StatusBadRequest {
		refuse(w, h.now())
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
	"slow":         "nothing to do where it passes; a proxy that receives bodies whole before it hands them on keeps slow ones away",
	"crowded":      "nothing to do where it passes: the room went to those who take less; let the proxy or the firewall admit GitHub's addresses alone",
}

// acceptWebhook tells the status, and what became of the webhook in one word.
func (h *hook) acceptWebhook(w http.ResponseWriter, r *http.Request, event string) (int, string) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return http.StatusMethodNotAllowed, "method"
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return http.StatusUnsupportedMediaType, "content-type"
	}
	claimed, err := hex.DecodeString(strings.TrimPrefix(r.Header.Get("X-Hub-Signature-256"), "sha256="))
	if err != nil || len(claimed) != sha256.Size || !strings.HasPrefix(r.Header.Get("X-Hub-Signature-256"), "sha256=") {
		return http.StatusUnauthorized, "unsigned"
	}
	g, leave := h.guestOf(r)
	defer leave()
	body, wrong := h.readBody(w, r, g)
	switch {
	case wrong != "":
		return unread[wrong], wrong
	case !h.signed(body, claimed):
		return http.StatusUnauthorized, "forged"
	}
	g.become(false, true)
	if handedOn(r) && h.seen.knows(r.Header.Get(deliveryHeader)) { // from a replica that this one handed it to, or that is this one
		return http.StatusOK, "repeated"
	}
	if again := !h.bodies.first(string(claimed)); again && !h.again.Allow() || !again && !h.limit.Allow() {
		return http.StatusTooManyRequests, "limited"
	}
	status, result, elsewhere := h.heard(body, event, r.Header.Get(deliveryHeader))
	if elsewhere && h.hand != nil && !handedOn(r) {
		h.hand(handed{body: body, header: r.Header.Clone()})
	}
	return status, result
}

// unread is the status of what stands in the way of a body.
var unread = map[string]int{
	"large": http.StatusRequestEntityTooLarge, "slow": http.StatusRequestTimeout,
	"crowded": http.StatusServiceUnavailable, "cut": http.StatusBadRequest,
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

// heard takes a body that is GitHub's, and tells whether it is about a repository of another replica.
func (h *hook) heard(body []byte, event, delivery string) (status int, result string, elsewhere bool) {
	if delivery == "" || len(delivery) > maxID {
		return http.StatusBadRequest, "malformed", false
	}
	if !h.seen.first(delivery) {
		return http.StatusOK, "repeated", false
	}
	if event == other {
		return http.StatusAccepted, "ignored", false
	}
	call, err := readPayload(event, body)
	if err != nil {
		h.log.Warn("a webhook cannot be read", "event", event, "error", err)
		return http.StatusBadRequest, "malformed", false
	}
	if event == "ping" {
		return http.StatusOK, "pong", false
	}
	if call.empty() {
		return http.StatusAccepted, "ignored", false
	}
	status, result, elsewhere = h.wake(call, event, delivery)
	return status, result, elsewhere
}

// wake tells the workers of the repository that a call is about.
func (h *hook) wake(call call, event, delivery string) (status int, result string, elsewhere bool) {
	woken := false
	all := h.find(call.payloadRepository)
	for _, w := range all {
		if w.c.roll != nil && !w.ours.Load() {
			elsewhere = true
			continue
		}
		if w.wrote(call.echo) {
			continue
		}
		woken = true
		id := h.id()
		w.log.Info("triggered", "by", "webhook", "event", event, "items", call.String(), "delivery", strings.ToValidUTF8(delivery, ""), "trigger", id)
		for _, i := range call.asks {
			w.box.ask(i, id)
		}
		if call.look {
			w.box.wantLook(id)
		}
		if call.sweep {
			w.box.addTriggers(func(m *triggers) { m.sweep = true })
		}
	}
	switch {
	case elsewhere && !woken:
		return http.StatusAccepted, "elsewhere", true
	case len(all) > 0 && !woken:
		return http.StatusAccepted, "own", elsewhere
	}
	return http.StatusAccepted, "accepted", elsewhere
}

// deliveries remembers the newest ids: GitHub's redelivery has the id of the first.
type deliveries struct {
	most int
	mu   sync.Mutex
	ids  map[string]bool
	ring []string
	next int
}

func remember(most int) *deliveries { return &deliveries{most: most, ids: map[string]bool{}} }

// knows tells whether id was noted.
func (d *deliveries) knows(id string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ids[id]
}

// first notes id, and tells whether it is new.
func (d *deliveries) first(id string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ids[id] {
		return false
	}
	d.ids[id] = true
	if len(d.ring) < d.most {
		d.ring = append(d.ring, id)
		return true
	}
	delete(d.ids, d.ring[d.next])
	d.ring[d.next] = id
	d.next = (d.next + 1) % d.most
	return true
}
