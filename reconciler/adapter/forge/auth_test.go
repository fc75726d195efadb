// The ways to sign in, and what each may show.

package forge_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/cmd/vishwa-devforge/devforge"
	"github.com/vishwaops/vishwa/reconciler/adapter/forge"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// TestAnAppFindsItsInstallationAndRefreshesItsToken: an expired token is followed by a new one.
func TestAnAppFindsItsInstallationAndRefreshesItsToken(t *testing.T) {
	f, sha := start(t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	ok(t, err)
	f.App(7, "vishwa-app", &key.PublicKey, map[string]string{"checks": "write", "issues": "write", "pull_requests": "write"})
	_, err = f.Install(7, "acme")
	ok(t, err)
	renewed := 0
	soon := roundTrip(func(r *http.Request) (*http.Response, error) {
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil || !strings.HasSuffix(r.URL.Path, "/access_tokens") {
			return resp, err
		}
		renewed++
		raw, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		raw = regexp.MustCompile(`"expires_at":\s*"[^"]*"`).ReplaceAll(raw, []byte(`"expires_at":"2020-01-01T00:00:00Z"`))
		resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(raw)), int64(len(raw))
		return resp, err
	})
	c, err := forge.GitHub(forge.Config{Owner: "acme", Repo: "models", API: f.URL(), HTTP: soon, Auth: forge.Auth{App: &forge.App{
		ID: 7, PrivateKey: pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}),
	}}})
	ok(t, err)
	for _, text := range []string{"one", "two"} {
		_, err = c.UpsertComment(t.Context(), 1, "<!-- m -->", "<!-- m -->"+text)
		ok(t, err)
	}
	ok(t, c.ReportStatus(t.Context(), port.CommitStatus{SHA: sha, Name: "vishwa/plan", State: port.Waits, Title: "waits"}))
	user, password, err := c.Credentials(t.Context())
	if err != nil || user != "x-access-token" || password == "" {
		t.Fatalf("credentials: %q, %v", user, err)
	}
	if renewed < 2 {
		t.Fatalf("a token that has expired was used: %d were asked for", renewed)
	}
	shown, err := f.Shown(repoName)
	ok(t, err)
	if len(shown.Comments) != 1 || shown.Comments[0].Login != "vishwa-app[bot]" || len(shown.Checks) != 1 || shown.Checks[0].Conclusion != "action_required" {
		t.Fatalf("shown: %+v", shown)
	}
}

// TestATokenThatCannotTellItsUserKeepsOneComment: an App's token that somebody else
// asked for is taken for that of a job, until GitHub says whose it is.
func TestATokenThatCannotTellItsUserKeepsOneComment(t *testing.T) {
	f, _ := start(t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	ok(t, err)
	f.App(7, "vishwa-app", &key.PublicKey, map[string]string{"issues": "write"})
	_, err = f.Install(7, "acme")
	ok(t, err)
	app, err := forge.GitHub(forge.Config{Owner: "acme", Repo: "models", API: f.URL(), Auth: forge.Auth{App: &forge.App{
		ID: 7, PrivateKey: pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}),
	}}})
	ok(t, err)
	_, token, err := app.Credentials(t.Context())
	ok(t, err)
	for _, text := range []string{"one", "two", "three"} { // each by a process of its own
		_, err := open(t, f, token).UpsertComment(t.Context(), 1, "<!-- m -->", "<!-- m -->"+text)
		ok(t, err)
	}
	shown, err := f.Shown(repoName)
	ok(t, err)
	if len(shown.Comments) != 1 || shown.Comments[0].Body != "<!-- m -->three" {
		t.Fatalf("comments: %+v", shown.Comments)
	}
}

// TestWithoutChecksAStatusIsShown: a job that may not make check runs shows a commit status, once.
func TestWithoutChecksAStatusIsShown(t *testing.T) {
	f, sha := start(t)
	c := open(t, f, f.ActionsToken(repoName, map[string]string{"statuses": "write", "contents": "read"}))
	m := port.CommitStatus{SHA: sha, Name: "vishwa/plan", State: port.Succeeded, Title: "nothing to do"}
	ok(t, c.ReportStatus(t.Context(), m))
	ok(t, c.ReportStatus(t.Context(), m))
	shown, err := f.Shown(repoName)
	ok(t, err)
	if len(shown.Checks) != 0 || len(shown.Statuses) != 1 || shown.Statuses[0].State != "success" {
		t.Fatalf("shown: %+v", shown)
	}
}

// TestWhatIsUnchangedIsNotSentAgain: the second read is a conditional one.
func TestWhatIsUnchangedIsNotSentAgain(t *testing.T) {
	f, _ := start(t)
	c := open(t, f, f.Token("vishwa"))
	first, err := c.Pull(t.Context(), 1)
	ok(t, err)
	f.Forget()
	again, err := c.Pull(t.Context(), 1)
	if err != nil || again != first {
		t.Fatalf("%+v, then %+v, %v", first, again, err)
	}
	if r := f.Requests(); len(r) != 1 || r[0].Status != http.StatusNotModified {
		t.Fatalf("requests: %+v", r)
	}
}

// TestRateLimitsOfEveryKindAreWaitedOut: with a header, without one, and the
// primary one; a limit that lasts too long is Transient at once.
func TestRateLimitsOfEveryKindAreWaitedOut(t *testing.T) {
	for name, x := range map[string]devforge.Fault{
		"secondary with Retry-After": {Status: 429, RetryAfter: 7 * time.Second, Times: 1},
		"secondary in words":         {Status: 403, Secondary: true, Times: 1},
		"primary":                    {Exhausted: 10 * time.Second, Times: 1},
	} {
		t.Run(name, func(t *testing.T) {
			f, _ := start(t)
			var waited time.Duration
			config := forge.Config{Owner: "acme", Repo: "models", API: f.URL(), Auth: forge.Auth{Token: f.Token("vishwa")},
				Sleep: func(_ context.Context, d time.Duration) error { waited += d; f.Mend(); return nil }}
			c, err := forge.GitHub(config)
			ok(t, err)
			f.Break(x)
			if _, err := c.Pull(t.Context(), 1); err != nil || waited < 5*time.Second {
				t.Fatalf("waited %s: %v", waited, err)
			}
			config.Patience = time.Second
			c, err = forge.GitHub(config)
			ok(t, err)
			f.Break(x)
			if _, err := c.Pull(t.Context(), 1); fault.Of(err) != fault.Transient || fault.HintOf(err) == "" {
				t.Fatalf("a limit beyond patience: %v", err)
			}
		})
	}
}

// TestOneWayToSignIn: none and two are refused, and so is a token in the clear.
func TestOneWayToSignIn(t *testing.T) {
	for name, config := range map[string]forge.Config{
		"none":         {},
		"two":          {Auth: forge.Auth{Token: "x", App: &forge.App{}}},
		"no key":       {Auth: forge.Auth{App: &forge.App{ID: 1, PrivateKey: []byte("secret")}}},
		"in the clear": {API: "http://git.example.com", Auth: forge.Auth{Token: "x"}},
	} {
		config.Owner, config.Repo = "acme", "models"
		if _, err := forge.GitHub(config); fault.Of(err) != fault.Invalid || err == nil || fault.HintOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
