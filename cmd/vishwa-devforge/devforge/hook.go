// Webhooks: signed, numbered, delivered in order to each address, remembered for
// redelivery, and lost when a test wants them lost.

package devforge

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"
)

type hook struct {
	id      int64
	url     string
	secret  string
	pending []*Delivery
	busy    bool
}

// Delivery is one webhook as it went out. Its GUID stays over redeliveries.
type Delivery struct {
	ID     int64
	GUID   string
	Event  string
	Action string
	Repo   string
	Body   []byte
	Status int  // of the last answer; 0: none came
	Lost   bool // by LoseDeliveries
	Tries  int

	hook *hook
}

// Hook sends the webhooks of a repository to an address, beginning with a ping.
func (f *Forge) Hook(name, address, secret string) (int64, error) {
	r, err := f.find(name)
	if err != nil {
		return 0, err
	}
	if u, err := url.Parse(address); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return 0, invalid("Hook", "url", "custom", "url must be http or https")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	h := &hook{id: f.id(), url: address, secret: secret}
	r.hooks = append(r.hooks, h)
	f.send(r, h, "ping", object{"zen": "Keep it logically awesome.", "hook_id": h.id, "hook": object{"id": h.id, "type": "Repository", "active": true, "events": []string{"*"}}})
	return h.id, nil
}

// LoseDeliveries lets the next n webhooks never arrive.
func (f *Forge) LoseDeliveries(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lost = n
}

// Deliveries is a copy of all webhooks so far, oldest first.
func (f *Forge) Deliveries() []Delivery {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]Delivery, len(f.sent))
	for i, d := range f.sent {
		out[i] = *d
	}
	return out
}

// Redeliver sends a webhook again under its old GUID, lost or not.
func (f *Forge) Redeliver(id int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, d := range f.sent {
		if d.ID == id {
			d.Lost = false
			f.enqueueDelivery(d)
			return nil
		}
	}
	return refuse(http.StatusNotFound, "there is no delivery %d", id)
}

// emit sends an event to all hooks of r; f.mu is held.
func (f *Forge) emit(r *repo, event string, payload object) {
	for _, h := range r.hooks {
		f.send(r, h, event, payload)
	}
}

func (f *Forge) send(r *repo, h *hook, event string, payload object) {
	if payload["repository"] == nil {
		payload["repository"] = f.showRepo(r)
	}
	if payload["sender"] == nil {
		payload["sender"] = f.showUser(r.owner)
	}
	for _, a := range f.apps {
		if n := a.installs[lower(r.owner)]; n != 0 {
			payload["installation"] = object{"id": n}
		}
	}
	body, err := json.Marshal(payload)
	if err != nil {
		f.log.Error("a webhook cannot be written", "event", event, "error", err)
		return
	}
	action, _ := payload["action"].(string)
	d := &Delivery{ID: f.id(), GUID: guid(), Event: event, Action: action, Repo: r.full(), Body: body, hook: h}
	f.sent = append(f.sent, d)
	if f.lost > 0 {
		f.lost--
		d.Lost = true
		return
	}
	f.enqueueDelivery(d)
}

// enqueueDelivery keeps the order of a hook: one delivery at a time. f.mu is held.
func (f *Forge) enqueueDelivery(d *Delivery) {
	h := d.hook
	h.pending = append(h.pending, d)
	if h.busy || f.closed {
		return
	}
	h.busy = true
	f.running.Add(1)
	go func() {
		defer f.running.Done()
		for {
			f.mu.Lock()
			if len(h.pending) == 0 || f.closed {
				h.busy = false
				f.mu.Unlock()
				return
			}
			d := h.pending[0]
			h.pending = slices.Delete(h.pending, 0, 1)
			d.Tries++
			f.mu.Unlock()
			status, err := f.deliver(d)
			if err != nil {
				f.log.Warn("a webhook was not taken", "event", d.Event, "repository", d.Repo, "error", err)
			}
			f.mu.Lock()
			d.Status = status
			f.mu.Unlock()
		}
	}()
}

// deliver posts d as GitHub does: at most ten seconds, never again by itself.
func (f *Forge) deliver(d *Delivery) (int, error) {
	ctx, cancel := context.WithTimeout(f.ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.hook.url, bytes.NewReader(d.Body))
	if err != nil {
		return 0, fmt.Errorf("deliver %s: the address cannot be called", d.Event)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "GitHub-Hookshot/devforge")
	req.Header.Set("X-GitHub-Event", d.Event)
	req.Header.Set("X-GitHub-Delivery", d.GUID)
	req.Header.Set("X-GitHub-Hook-ID", fmt.Sprint(d.hook.id))
	if d.hook.secret != "" {
		req.Header.Set("X-Hub-Signature-256", "sha256="+Sign(d.hook.secret, d.Body))
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, fmt.Errorf("deliver %s: no answer", d.Event)
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
	return resp.StatusCode, nil
}

// Sign is the HMAC-SHA256 of a body, in hex, as X-Hub-Signature-256 carries it.
func Sign(secret string, body []byte) string {
	m := hmac.New(sha256.New, []byte(secret))
	m.Write(body)
	return hex.EncodeToString(m.Sum(nil))
}

func guid() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func (f *Forge) emitPull(p *pull, action, by string, more object) {
	payload := object{"action": action, "number": p.number, "pull_request": f.showPull(p), "sender": f.showUser(by)}
	for k, v := range more {
		payload[k] = v
	}
	f.emit(p.to, "pull_request", payload)
}

func (f *Forge) emitReview(p *pull, v *review, action string) {
	shown := f.showReview(p, v)
	shown["state"] = lower(v.state) // webhooks write it small, the API large
	f.emit(p.to, "pull_request_review", object{"action": action, "review": shown, "pull_request": f.showPull(p), "sender": f.showUser(v.login)})
}

func (f *Forge) emitGroup(g *group, action, reason string) {
	payload := object{"action": action, "sender": f.showUser(g.by), "merge_group": object{
		"head_sha": g.head, "head_ref": g.ref, "base_sha": g.base, "base_ref": "refs/heads/" + g.pull.base,
		"head_commit": object{"id": g.head, "message": g.pull.title, "timestamp": stamp(f.at())},
	}}
	if reason != "" {
		payload["reason"] = reason
	}
	f.emit(g.pull.to, "merge_group", payload)
}

func (f *Forge) emitComment(r *repo, c *comment, action, by string) {
	issue := object{"number": c.pull, "html_url": f.page(r, "/pull/%d", c.pull)}
	if c.pull >= 1 && c.pull <= len(r.pulls) {
		p := r.pulls[c.pull-1]
		issue["title"], issue["state"], issue["user"] = p.title, p.state, f.showUser(p.author)
		issue["pull_request"] = object{"url": f.link(r, "/pulls/%d", p.number), "html_url": f.page(r, "/pull/%d", p.number)}
	}
	f.emit(r, "issue_comment", object{"action": action, "comment": f.showComment(r, c), "issue": issue, "sender": f.showUser(by)})
}

func (f *Forge) emitCheck(r *repo, c *check, action, by string) {
	f.emit(r, "check_run", object{"action": action, "check_run": f.showCheck(r, c), "sender": f.showUser(by)})
}

func (f *Forge) pushEvent(r *repo, u update, by string) object {
	payload := object{
		"ref": u.ref, "before": u.old, "after": u.new, "created": u.old == zeroSHA, "deleted": u.new == zeroSHA,
		"pusher": object{"name": by}, "sender": f.showUser(by), "repository": f.showRepo(r), "head_commit": nil,
	}
	if u.new != zeroSHA {
		payload["head_commit"] = object{"id": u.new, "timestamp": stamp(f.at())}
	}
	return payload
}
