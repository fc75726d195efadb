// Notifications: who is let in, what they lead to, and how often.

package controller

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// noticeDoors are the doors before one repository that nobody works at.
func noticeDoors(now func() time.Time) (http.Handler, *Controller) {
	config := fast()
	config.Repositories = []ConfigRepository{{URL: "https://github.com/Acme/churn.git"}}
	c := New(Options{Config: config, Now: now, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	mux := http.NewServeMux()
	c.notices([]byte("token"), []byte("shared"), newConnectionLimiter(now, func(string) {})).routes(mux)
	return mux, c
}

func noticed(c *Controller) []Hint { return c.workers[0].box.takeTriggers().hints }

func bucketEvent(authorization, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/webhooks/bucket", strings.NewReader(body))
	r.Header.Set("Authorization", authorization)
	return r
}

func TestBucketNotificationsAreHints(t *testing.T) {
	h, c := noticeDoors(time.Now)
	const object = `{"EventName":"s3:ObjectCreated:Put","Key":"raw/a.csv","Records":[{"s3":{"bucket":{"name":"raw"},"object":{"key":"day%3D1/a+b.csv"}}}]}`
	anywhere := []Hint{{}}
	for name, k := range map[string]struct {
		authorization, body string
		status              int
		want                []Hint
	}{
		"an object":        {"Bearer token", object, 202, []Hint{{"raw", "day=1/a b.csv"}}},
		"the token alone":  {"token", object, 202, []Hint{{"raw", "day=1/a b.csv"}}},
		"another token":    {"Bearer tokem", object, 401, nil},
		"none":             {"", object, 401, nil},
		"nothing":          {"Bearer token", ``, 202, anywhere},
		"no event":         {"Bearer token", `{"a":1}`, 202, anywhere},
		"no JSON":          {"Bearer token", `{"Records":[`, 202, anywhere},
		"a key of rubbish": {"Bearer token", `{"Records":[{"s3":{"bucket":{"name":"raw"},"object":{"key":"%zz"}}}]}`, 202, anywhere},
		"many":             {"Bearer token", `{"Records":[` + strings.Repeat(`{},`, 500) + `{}]}`, 202, anywhere},
		"too long":         {"Bearer token", strings.Repeat(" ", maxPayload+1), 413, nil},
	} {
		res := answer(h, bucketEvent(k.authorization, k.body))
		if got := noticed(c); res.Code != k.status || !slices.Equal(got, k.want) {
			t.Errorf("%s: %d and %v, want %d and %v", name, res.Code, got, k.status, k.want)
		}
	}
	if res := answer(h, httptest.NewRequest(http.MethodGet, "/webhooks/bucket", nil)); res.Code != 405 {
		t.Errorf("GET: %d", res.Code)
	}
}

func TestMLflowsWebhooksAreKnownByTheirSignature(t *testing.T) {
	now := time.Date(2026, 11, 29, 3, 0, 0, 0, time.UTC)
	h, c := noticeDoors(func() time.Time { return now })
	n := 0
	send := func(change func(r *http.Request), secret string, at time.Time) (int, []Hint) {
		n++
		const body = `{"entity":"model_version","action":"created","timestamp":"x","data":{"name":"churn","version":"3"}}`
		id, stamp := fmt.Sprint("d", n), strconv.FormatInt(at.Unix(), 10)
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(id + "." + stamp + "." + body))
		r := httptest.NewRequest(http.MethodPost, "/webhooks/mlflow", strings.NewReader(body))
		r.Header.Set("X-MLflow-Delivery-Id", id)
		r.Header.Set("X-MLflow-Timestamp", stamp)
		r.Header.Set("X-MLflow-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
		if change != nil {
			change(r)
		}
		return answer(h, r).Code, noticed(c)
	}
	for name, k := range map[string]struct {
		change func(*http.Request)
		secret string
		at     time.Time
		status int
		looked bool
	}{
		"signed":         {nil, "shared", now, 202, true},
		"by another":     {nil, "share", now, 401, false},
		"old":            {nil, "shared", now.Add(-time.Hour), 401, false},
		"of tomorrow":    {nil, "shared", now.Add(24 * time.Hour), 401, false},
		"unsigned":       {func(r *http.Request) { r.Header.Del("X-MLflow-Signature") }, "shared", now, 401, false},
		"another scheme": {func(r *http.Request) { r.Header.Set("X-MLflow-Signature", "v2,AAAA") }, "shared", now, 401, false},
		"another id":     {func(r *http.Request) { r.Header.Set("X-MLflow-Delivery-Id", "x") }, "shared", now, 401, false},
	} {
		if status, got := send(k.change, k.secret, k.at); status != k.status || (len(got) > 0) != k.looked {
			t.Errorf("%s: %d and %v", name, status, got)
		}
	}
	n = 1000
	if status, got := send(nil, "shared", now); status != 202 || len(got) != 1 {
		t.Errorf("the first: %d and %v", status, got)
	}
	n = 1000
	if status, got := send(nil, "shared", now); status != 200 || len(got) != 0 {
		t.Errorf("the same again: %d and %v", status, got)
	}
}

// noticing is a site that has one branch which hints are about.
type noticing struct {
	Repository
	heard [][]Hint
}

func (n *noticing) Notice(hints []Hint) []string {
	n.heard = append(n.heard, hints)
	if slices.Contains(hints, Hint{Bucket: "other"}) {
		return nil
	}
	return []string{"main"}
}

// TestNotificationsWaitForOthers: a burst is one look, and looks are a minute apart, however many come.
func TestNotificationsWaitForOthers(t *testing.T) {
	now := time.Date(2026, 11, 29, 3, 0, 0, 0, time.UTC)
	_, c := noticeDoors(func() time.Time { return now })
	w, site := c.workers[0], &noticing{}
	w.site = site
	hear := func(hints ...Hint) {
		w.queueTriggers(triggers{hints: hints})
		w.notice(now)
	}
	for i := range 250 {
		hear(Hint{Bucket: "raw", Key: fmt.Sprint(i)})
	}
	if len(site.heard) != 0 {
		t.Fatalf("it looks at once: %v", site.heard)
	}
	now = now.Add(noticeFirst)
	w.notice(now)
	if len(site.heard) != 1 || len(site.heard[0]) > maxHints || w.agenda.tasks[item{branch: "main"}] == nil {
		t.Fatalf("a burst is %v", site.heard)
	}
	for range 600 { // ten a second for a minute
		hear(Hint{Bucket: "raw"})
		now = now.Add(100 * time.Millisecond)
	}
	w.notice(now)
	if len(site.heard) != 2 {
		t.Errorf("in a minute it looked %d times more", len(site.heard)-1)
	}
	now = now.Add(time.Hour)
	hear(Hint{Bucket: "other"})
	now = now.Add(noticeFirst)
	w.notice(now)
	hear(Hint{Bucket: "raw"})
	now = now.Add(noticeFirst)
	if w.notice(now); len(site.heard) != 4 {
		t.Errorf("what led to nothing keeps away what does: %d", len(site.heard))
	}
}
