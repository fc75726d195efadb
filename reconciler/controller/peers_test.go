// The laws of webhooks among replicas: whoever receives one, the replica whose repository it is about hears of it, once.

package controller

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// replicaDoor is the hook of a replica that has the first of the doorway's repositories, or not.
func replicaDoor(t *testing.T, ours bool, peers ...string) (*hook, *Controller) {
	t.Helper()
	_, like := doorway()
	config := like.config
	config.Replicas.Peers = peers
	c := New(Options{Config: config, Roll: &place{board: &board{marks: map[string]string{}}, name: "x"}, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	c.workers[0].ours.Store(ours)
	if c.peers != nil {
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); c.peers.run(ctx) }()
		t.Cleanup(func() { stop(); <-ended })
	}
	return c.hook(hookSecrets, newConnectionLimiter(time.Now, func(string) {})), c
}

// tallied counts what comes in at a handler.
func tallied(h http.Handler, n *atomic.Int64) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		h.ServeHTTP(w, r)
	})
}

func TestAWebhookReachesTheReplicaThatItIsFor(t *testing.T) {
	var came, back atomic.Int64
	owner, owned := replicaDoor(t, true)
	there := httptest.NewServer(tallied(owner, &came))
	defer there.Close()
	var first http.Handler
	here := httptest.NewServer(tallied(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { first.ServeHTTP(w, r) }), &back))
	defer here.Close()
	door, c := replicaDoor(t, false, strings.TrimPrefix(there.URL, "http://"), strings.TrimPrefix(here.URL, "http://"))
	first = door

	sent := delivery("push", `{"ref":"refs/heads/main",`+at+`}`)
	if w := answer(door, sent); w.Code != 202 || strings.TrimSpace(w.Body.String()) != "elsewhere" {
		t.Fatalf("the first replica answers %d %s", w.Code, w.Body)
	}
	until(t, "both were handed it", func() bool { return came.Load() == 1 && back.Load() == 1 })
	until(t, "its replica is woken", func() bool { return woken(owned) == "0: look" })
	if got := woken(c); got != "" {
		t.Errorf("the replica that it is not for is woken: %s", got)
	}
	again := delivery("push", `{"ref":"refs/heads/main",`+at+`}`)
	again.Header.Set(deliveryHeader, sent.Header.Get(deliveryHeader))
	if w := answer(door, again); strings.TrimSpace(w.Body.String()) != "repeated" {
		t.Errorf("a repeated one is answered %s", w.Body)
	}
	if came.Load() != 1 || back.Load() != 1 {
		t.Errorf("it came %d times there and %d times here", came.Load(), back.Load())
	}
}

// TestAWebhookIsHandedOnOnce: two replicas that both take it for the other's send it round no circle, and what is not signed is handed to nobody.
func TestAWebhookIsHandedOnOnce(t *testing.T) {
	var came, far atomic.Int64
	other, _ := replicaDoor(t, false)
	other.hand = func(handed) { far.Add(1) }
	there := httptest.NewServer(tallied(other, &came))
	defer there.Close()
	door, _ := replicaDoor(t, false, strings.TrimPrefix(there.URL, "http://"))
	forged := delivery("push", `{"ref":"refs/heads/main",`+at+`}`)
	forged.Header.Set("X-Hub-Signature-256", sign("guess", "x"))
	if w := answer(door, forged); w.Code != 401 {
		t.Errorf("a forged one is answered %d", w.Code)
	}
	// Its queue is in order, so what came of the forged one came before.
	answer(door, delivery("push", `{"ref":"refs/heads/main",`+at+`}`))
	until(t, "it was handed on", func() bool { return came.Load() > 0 })
	if came.Load() != 1 || far.Load() != 0 {
		t.Errorf("it was handed on %d times, and further %d times", came.Load(), far.Load())
	}
}
