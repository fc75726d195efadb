// The door for webhooks: what is not GitHub's changes nothing, what is only wakes.

package controller

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/time/rate"
)

var hookSecrets = [][]byte{[]byte("present"), []byte("previous")}

// doorway is a hook before two repositories that nobody works at.
func doorway() (*hook, *Controller) {
	config := fast()
	config.Repositories = []ConfigRepository{
		{URL: "https://github.com/Acme/churn.git", GitHub: &GitHub{Token: &Secret{Env: "T"}}},
		{URL: "git@ghe.example.org:acme/churn.git", GitHub: &GitHub{Token: &Secret{Env: "T"}}},
		{Path: "/mirror", GitHub: &GitHub{Repository: "acme/mirrored", Token: &Secret{Env: "T"}}},
	}
	c := New(Options{Config: config, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	return c.hook(hookSecrets, newConnectionLimiter(time.Now, func(string) {})), c
}

func sign(secret, body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

var deliveryNumber int

// delivery is a webhook as GitHub sends it.
func delivery(event, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/webhooks/github", strings.NewReader(body))
	deliveryNumber++
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-GitHub-Event", event)
	r.Header.Set("X-GitHub-Delivery", fmt.Sprint("delivery-", deliveryNumber))
	r.Header.Set("X-Hub-Signature-256", sign("present", body))
	return r
}

func answer(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

const at = `"repository":{"full_name":"Acme/churn","clone_url":"https://github.com/Acme/churn.git"}`

// woken is what the mailboxes hold, by repository.
func woken(c *Controller) string {
	var out []string
	for n, w := range c.workers {
		m := w.box.takeTriggers()
		var items []string
		for i := range m.asks {
			items = append(items, i.String())
		}
		slices.Sort(items)
		if m.look {
			items = append(items, "look")
		}
		if m.sweep {
			items = append(items, "sweep")
		}
		if len(items) > 0 {
			out = append(out, fmt.Sprintf("%d: %s", n, strings.Join(items, ", ")))
		}
	}
	return strings.Join(out, "; ")
}

func TestWebhooksWakeWhatTheyAreAbout(t *testing.T) {
	h, c := doorway()
	for name, k := range map[string]struct {
		event, body, want string
		status            int
	}{
		"push":                  {"push", `{"ref":"refs/heads/main",` + at + `}`, "0: look", 202},
		"push of a tag":         {"push", `{"ref":"refs/tags/v1",` + at + `}`, "", 202},
		"pull request":          {"pull_request", `{"action":"synchronize","pull_request":{"number":7},` + at + `}`, "0: pull 7", 202},
		"closed":                {"pull_request", `{"action":"closed","pull_request":{"number":7},` + at + `}`, "0: pull 7", 202},
		"labelled":              {"pull_request", `{"action":"labeled","pull_request":{"number":7},` + at + `}`, "", 202},
		"review":                {"pull_request_review", `{"action":"submitted","pull_request":{"number":7},` + at + `}`, "0: pull 7", 202},
		"comment":               {"issue_comment", `{"action":"created","issue":{"number":7,"pull_request":{"url":"x"}},"comment":{"body":"/vishwa apply"},` + at + `}`, "0: pull 7", 202},
		"comment on an issue":   {"issue_comment", `{"action":"created","issue":{"number":7},` + at + `}`, "", 202},
		"comment gone":          {"issue_comment", `{"action":"deleted","issue":{"number":7,"pull_request":{}},` + at + `}`, "", 202},
		"check again":           {"check_run", `{"action":"rerequested","check_run":{"pull_requests":[{"number":3},{"number":4}],"check_suite":{"head_branch":"topic"}},` + at + `}`, "0: branch topic, pull 3, pull 4", 202},
		"check of a fork":       {"check_run", `{"action":"rerequested","check_run":{"pull_requests":[]},` + at + `}`, "0: sweep", 202},
		"check done":            {"check_run", `{"action":"completed","check_run":{"pull_requests":[{"number":3}]},` + at + `}`, "", 202},
		"suite again":           {"check_suite", `{"action":"rerequested","check_suite":{"pull_requests":[{"number":3}],"head_branch":null},` + at + `}`, "0: pull 3", 202},
		"merge queue":           {"merge_group", `{"action":"checks_requested","merge_group":{"base_ref":"refs/heads/main","head_ref":"refs/heads/gh-readonly-queue/main/pr-12-0a1b"},` + at + `}`, "0: branch main, pull 12", 202},
		"ping":                  {"ping", `{"zen":"x","hook_id":1}`, "", 200},
		"another event":         {"star", `{"action":"created",` + at + `}`, "", 202},
		"another repository":    {"push", `{"ref":"refs/heads/main","repository":{"full_name":"acme/secret","clone_url":"https://github.com/acme/secret.git"}}`, "", 202},
		"another server":        {"push", `{"ref":"refs/heads/main","repository":{"full_name":"acme/churn","clone_url":"https://ghe.example.org/acme/churn.git"}}`, "1: look", 202},
		"a mirror":              {"push", `{"ref":"refs/heads/main","repository":{"full_name":"Acme/Mirrored","clone_url":"https://github.com/Acme/Mirrored.git"}}`, "2: look", 202},
		"no JSON":               {"push", `{"ref":`, "", 400},
		"a list":                {"push", `[]`, "", 400},
		"null":                  {"pull_request", `null`, "", 202},
		"a number for a string": {"push", `{"ref":7,` + at + `}`, "", 400},
		"a huge number":         {"pull_request", `{"pull_request":{"number":1e99},` + at + `}`, "", 400},
		"a negative number":     {"pull_request", `{"pull_request":{"number":-7},` + at + `}`, "", 202},
		"null parts":            {"check_run", `{"action":"rerequested","check_run":null,"repository":null}`, "", 400},
		"no repository":         {"push", `{"ref":"refs/heads/main"}`, "", 400},
		"deep":                  {"push", strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000), "", 400},
		"a branch with a trick": {"merge_group", `{"merge_group":{"base_ref":"refs/heads/--upload-pack=x"},` + at + `}`, "", 202},
	} {
		got := answer(h, delivery(k.event, k.body))
		if w := woken(c); got.Code != k.status || w != k.want {
			t.Errorf("%s: %d, wakes %q; want %d, %q", name, got.Code, w, k.status, k.want)
		}
	}
}

// TestAWebhookIsRefusedBeforeItIsRead: in this order, and a body that is too large is not read to its end.
func TestAWebhookIsRefusedBeforeItIsRead(t *testing.T) {
	body := `{"ref":"refs/heads/main",` + at + `}`
	old := hmac.New(sha1.New, hookSecrets[0])
	old.Write([]byte(body))
	for name, k := range map[string]struct {
		change func(*http.Request)
		status int
		read   int // bytes of the body, at most
	}{
		"GET":          {func(r *http.Request) { r.Method = http.MethodGet }, 405, 0},
		"a form":       {func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") }, 415, 0},
		"no type":      {func(r *http.Request) { r.Header.Del("Content-Type") }, 415, 0},
		"no signature": {func(r *http.Request) { r.Header.Del("X-Hub-Signature-256") }, 401, 0},
		"SHA-1": {func(r *http.Request) {
			r.Header.Del("X-Hub-Signature-256")
			r.Header.Set("X-Hub-Signature", "sha1="+hex.EncodeToString(old.Sum(nil)))
		}, 401, 0},
		"no prefix":         {func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", sign("present", body)[7:]) }, 401, 0},
		"short":             {func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", "sha256=ab") }, 401, 0},
		"another secret":    {func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", sign("guess", body)) }, 401, len(body)},
		"of another body":   {func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", sign("present", body+" ")) }, 401, len(body)},
		"too large":         {func(r *http.Request) { r.Body = io.NopCloser(endless{}) }, 413, maxPayload + 4096},
		"no delivery":       {func(r *http.Request) { r.Header.Del("X-GitHub-Delivery") }, 400, len(body)},
		"a long delivery":   {func(r *http.Request) { r.Header.Set("X-GitHub-Delivery", strings.Repeat("x", maxID+1)) }, 400, len(body)},
		"previous secret":   {func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", sign("previous", body)) }, 202, len(body)},
		"type with charset": {func(r *http.Request) { r.Header.Set("Content-Type", "application/json; charset=utf-8") }, 202, len(body)},
	} {
		h, c := doorway()
		r := delivery("push", body)
		k.change(r)
		counted := &counting{ReadCloser: r.Body}
		r.Body = counted
		got := answer(h, r)
		if w := woken(c); got.Code != k.status || (w != "") != (k.status == 202) || counted.n > k.read {
			t.Errorf("%s: %d after %d bytes, wakes %q; want %d", name, got.Code, counted.n, w, k.status)
		}
		if strings.Contains(got.Body.String(), "churn") {
			t.Errorf("%s: the answer tells what is here: %s", name, got.Body)
		}
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return copy(p, bytes.Repeat([]byte{' '}, len(p))), nil }

type counting struct {
	io.ReadCloser
	n int
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n += n
	return n, err
}

// TestARepeatedDeliveryDoesNothing: and what is remembered is bounded.
func TestARepeatedDeliveryDoesNothing(t *testing.T) {
	h, c := doorway()
	body := `{"ref":"refs/heads/main",` + at + `}`
	send := func(id string) int {
		r := delivery("push", body)
		r.Header.Set("X-GitHub-Delivery", id)
		return answer(h, r).Code
	}
	if got := send("a"); got != 202 || woken(c) == "" {
		t.Errorf("first: %d", got)
	}
	if got, w := send("a"), woken(c); got != 200 || w != "" {
		t.Errorf("again: %d, wakes %q", got, w)
	}
	forged := delivery("push", body)
	forged.Header.Set("X-GitHub-Delivery", "b")
	forged.Header.Set("X-Hub-Signature-256", sign("guess", body))
	answer(h, forged)
	if got := send("b"); got != 202 {
		t.Errorf("a forged delivery uses up the id of a real one: %d", got)
	}
	d := remember(maxDeliveries)
	for n := range 3 * maxDeliveries {
		if !d.first(fmt.Sprint(n)) {
			t.Fatal("a new id is known")
		}
	}
	if len(d.ids) != maxDeliveries || len(d.ring) != maxDeliveries || d.first(fmt.Sprint(3*maxDeliveries-1)) {
		t.Errorf("%d ids are remembered", len(d.ids))
	}
}

// TestARefusedWebhookIsTold: whoever set it up wrongly finds the reason and the way out
// in the log, and nobody can fill the log with refusals.
func TestARefusedWebhookIsTold(t *testing.T) {
	h, _ := doorway()
	var log bytes.Buffer
	h.log = slog.New(slog.NewTextHandler(&log, nil))
	for range 100 {
		r := delivery("push", "payload=%7B%7D")
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		answer(h, r)
	}
	if n := strings.Count(log.String(), "\n"); n == 0 || n > refusalsFirst+1 || !strings.Contains(log.String(), "application/json") {
		t.Errorf("%d lines of 100 refusals:\n%s", n, log.String())
	}
}

func TestWebhooksAreRateLimited(t *testing.T) {
	h, _ := doorway()
	h.limit = rate.NewLimiter(rate.Every(time.Hour), 3)
	var got []int
	for n := range 5 {
		got = append(got, answer(h, delivery("ping", fmt.Sprint(`{"hook_id":`, n, "}"))).Code)
	}
	if !slices.Equal(got, []int{200, 200, 200, 429, 429}) {
		t.Errorf("answers %v", got)
	}
	if w := answer(h, delivery("ping", "{}")); w.Header().Get("Retry-After") == "" {
		t.Error("nothing says when to come again")
	}
}

// TestWhatIsNotGitHubsTakesNoPlaceOfWhatIs: neither what is not signed, nor what
// somebody saw and sends again, counts towards what GitHub may send.
func TestWhatIsNotGitHubsTakesNoPlaceOfWhatIs(t *testing.T) {
	h, c := doorway()
	h.limit = rate.NewLimiter(rate.Every(time.Hour), 2)
	h.again = rate.NewLimiter(rate.Every(time.Hour), 3)
	seen := `{"ref":"refs/heads/main",` + at + `}`
	if got := answer(h, delivery("push", seen)).Code; got != 202 || woken(c) == "" {
		t.Fatalf("the first is answered %d", got)
	}
	results := map[int]int{}
	for n := range 300 {
		forged := delivery("push", fmt.Sprint(n))
		forged.Header.Set("X-Hub-Signature-256", sign("guess", "x"))
		results[answer(h, forged).Code]++
		results[answer(h, delivery("push", seen)).Code]++ // under another id, which nobody signs
	}
	if results[401] != 300 || results[202] != 3 || results[429] != 297 {
		t.Errorf("what is not GitHub's is answered %v", results)
	}
	woken(c)
	if got, w := answer(h, delivery("push", `{"ref":"refs/heads/main","n":2,`+at+`}`)).Code, woken(c); got != 202 || w != "0: look" {
		t.Errorf("GitHub's next is answered %d, and wakes %q", got, w)
	}
}

type speaking struct {
	*fake
	as string
}

func (s speaking) Account() string { return s.as }

// TestVishwaDoesNotWakeItself: its own comments, edits and marks wake nothing; those of
// others do, whoever wrote the comment first, and so does everybody while it does not
// know who it is.
func TestVishwaDoesNotWakeItself(t *testing.T) {
	const own = "vishwa-bot[bot]"
	for name, k := range map[string]struct{ account, event, body, want string }{
		"own comment":            {own, "issue_comment", `{"action":"created","issue":{"number":7,"pull_request":{}},"comment":{"user":{"login":"vishwa-bot[bot]"}},"sender":{"login":"Vishwa-Bot[bot]"},` + at + `}`, ""},
		"own edit":               {own, "issue_comment", `{"action":"edited","issue":{"number":7,"pull_request":{}},"sender":{"login":"vishwa-bot[bot]"},` + at + `}`, ""},
		"own check":              {own, "check_run", `{"action":"completed","check_run":{"pull_requests":[{"number":7}]},"sender":{"login":"vishwa-bot[bot]"},` + at + `}`, ""},
		"own check, asked again": {own, "check_run", `{"action":"rerequested","check_run":{"pull_requests":[{"number":7}]},"sender":{"login":"vishwa-bot[bot]"},` + at + `}`, ""},
		"own status":             {own, "status", `{"state":"success","sender":{"login":"vishwa-bot[bot]"},` + at + `}`, ""},
		"somebody's status":      {own, "status", `{"state":"success","sender":{"login":"asha"},` + at + `}`, ""},
		"somebody edits ours":    {own, "issue_comment", `{"action":"edited","issue":{"number":7,"pull_request":{}},"comment":{"user":{"login":"vishwa-bot[bot]"}},"sender":{"login":"asha"},` + at + `}`, "0: pull 7"},
		"somebody's comment":     {own, "issue_comment", `{"action":"created","issue":{"number":7,"pull_request":{}},"sender":{"login":"asha"},` + at + `}`, "0: pull 7"},
		"asked again":            {own, "check_run", `{"action":"rerequested","check_run":{"pull_requests":[{"number":7}]},"sender":{"login":"asha"},` + at + `}`, "0: pull 7"},
		"nobody is named":        {own, "issue_comment", `{"action":"created","issue":{"number":7,"pull_request":{}},` + at + `}`, "0: pull 7"},
		"unknown account":        {"", "issue_comment", `{"action":"created","issue":{"number":7,"pull_request":{}},"sender":{"login":""},` + at + `}`, "0: pull 7"},
		"own pull request":       {own, "pull_request", `{"action":"opened","pull_request":{"number":7},"sender":{"login":"vishwa-bot[bot]"},` + at + `}`, "0: pull 7"},
	} {
		config := fast()
		config.Repositories = []ConfigRepository{{URL: "https://github.com/Acme/churn.git", GitHub: &GitHub{Token: &Secret{Env: "T"}}}}
		c := New(Options{Config: config, Sites: []Repository{speaking{newFake("github.com/acme/churn"), k.account}}, Log: slog.New(slog.DiscardHandler)})
		h := c.hook(hookSecrets, newConnectionLimiter(time.Now, func(string) {}))
		if got := answer(h, delivery(k.event, k.body)); got.Code != 202 || woken(c) != k.want {
			t.Errorf("%s: %d %s; want %q", name, got.Code, got.Body, k.want)
		}
	}
}

// TestALostWebhookIsMadeGood: by the poll for refs, by the sweep for remarks.
func TestALostWebhookIsMadeGood(t *testing.T) {
	f := newFake("example.org/a")
	config := fast()
	config.Sweep = 20 * time.Millisecond
	start(t, Options{Config: config, Sites: []Repository{f}})
	until(t, "the first pass", f.is("branch main", "1"))
	f.set(func(r *Refs) { r.Pulls[1] = "h1" })
	until(t, "a pass of the new pull request", f.is("pull 1", "h1"))
	n := f.count("pull 1")
	f.mu.Lock()
	f.open = []int{1} // somebody commented
	f.mu.Unlock()
	until(t, "a pass of the remark", func() bool { return f.count("pull 1") > n })
}

// TestAWebhookIsActedOnAtOnce: over HTTP, with a poll that never comes.
func TestAWebhookIsActedOnAtOnce(t *testing.T) {
	f := newFake("github.com/acme/churn")
	config := fast()
	config.Poll = time.Hour
	config.Webhook = Webhook{Secret: &Secret{Env: "HOOK"}}
	config.Repositories = []ConfigRepository{{URL: "https://github.com/acme/churn", GitHub: &GitHub{Token: &Secret{Env: "T"}}}}
	r := start(t, Options{Config: config, Sites: []Repository{f}, Lookup: func(string) (string, bool) { return "present", true }})
	until(t, "the first pass", f.is("branch main", "1"))
	f.set(func(r *Refs) { r.Branches["main"] = "2" })
	post := func(event, body string) {
		t.Helper()
		req := delivery(event, body)
		out, err := http.NewRequest(http.MethodPost, "http://"+r.address+"/webhooks/github", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		out.Header = req.Header
		resp, err := http.DefaultClient.Do(out)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 202 {
			t.Fatalf("the answer is %s", resp.Status)
		}
	}
	post("push", `{"ref":"refs/heads/main",`+at+`}`)
	until(t, "a pass of the push", f.is("branch main", "2"))
	post("issue_comment", `{"action":"created","issue":{"number":7,"pull_request":{}},`+at+`}`)
	until(t, "a pass of the comment", func() bool { return f.count("pull 7") == 1 })
	if metrics := get(t, "http://"+r.address+"/metrics"); !strings.Contains(metrics, `vishwa_webhooks_total{event="push",result="accepted"} 1`) {
		t.Error("the webhook is not counted")
	}
}

func FuzzWebhook(f *testing.F) {
	for _, e := range append(events, "star") {
		f.Add(e, []byte(`{"action":"rerequested","ref":"refs/heads/main","pull_request":{"number":1},"check_run":{"pull_requests":[{"number":1}]},`+at+`}`))
	}
	f.Add("push", []byte(`{"ref":null}`))
	h, c := doorway()
	h.limit, h.again = rate.NewLimiter(rate.Inf, 1), rate.NewLimiter(rate.Inf, 1)
	f.Fuzz(func(t *testing.T, event string, body []byte) {
		r := delivery("push", string(body))
		r.Header["X-Github-Event"] = []string{event}
		got := answer(h, r).Code
		if got != 200 && got != 202 && got != 400 {
			t.Errorf("the answer is %d", got)
		}
		for _, w := range c.workers {
			for i := range w.box.takeTriggers().asks {
				if (i.pull > 0) == (i.branch != "") || strings.HasPrefix(i.branch, "-") || i.pull < 0 {
					t.Errorf("wakes %+v", i)
				}
			}
		}
	})
}
