// Apps: signed in by key, tokens that expire, rights of the installation.

package devforge_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
	"github.com/google/go-github/v62/github"

	"github.com/vishwaops/vishwa/cmd/vishwa-devforge/devforge"
)

func TestAnAppActsByItsInstallation(t *testing.T) {
	var ahead atomic.Int64
	f, err := devforge.New(devforge.Options{Dir: t.TempDir(), Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
	ok(t, err)
	t.Cleanup(func() { f.Close() })
	_, err = f.Listen("127.0.0.1:0")
	ok(t, err)
	ok(t, f.CreateRepo("acme", "models"))
	ok(t, f.Grant(repoName, "asha", "write"))
	proposed(t, f)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	ok(t, err)
	f.App(7, "vishwa", &key.PublicKey, map[string]string{"checks": "write", "pull_requests": "write", "issues": "write", "contents": "read"})
	id, err := f.Install(7, "acme")
	ok(t, err)
	raw := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	app, err := ghinstallation.NewAppsTransport(http.DefaultTransport, 7, raw)
	ok(t, err)
	app.BaseURL = f.URL() + "/api/v3"
	asApp := withTransport(t, f, app)
	me, _, err := asApp.Apps.Get(background(), "")
	ok(t, err)
	found, _, err := asApp.Apps.FindRepositoryInstallation(background(), "acme", "models")
	ok(t, err)
	if me.GetSlug() != "vishwa" || found.GetID() != id {
		t.Errorf("the app is %q with installation %d, not %d", me.GetSlug(), found.GetID(), id)
	}
	install := ghinstallation.NewFromAppsTransport(app, id)
	install.BaseURL = app.BaseURL
	gh := withTransport(t, f, install)
	c, _, err := gh.Issues.CreateComment(background(), "acme", "models", 1, &github.IssueComment{Body: github.String("plan")})
	ok(t, err)
	if c.GetUser().GetLogin() != "vishwa[bot]" || c.GetUser().GetType() != "Bot" {
		t.Errorf("the comment is of %+v", c.GetUser())
	}
	if _, _, err := gh.PullRequests.Merge(background(), "acme", "models", 1, "", nil); status(err) != 403 || !strings.Contains(err.Error(), "not accessible by integration") {
		t.Errorf("the app merged without the right: %v", err)
	}
	token, err := install.Token(background())
	ok(t, err)
	w := tree{t: t, dir: t.TempDir()}
	w.git("ls-remote", strings.Replace(f.CloneURL(repoName), "//", "//x-access-token:"+token+"@", 1))
	ahead.Store(int64(2 * time.Hour))
	if _, _, err := client(t, f, token).Repositories.Get(background(), "acme", "models"); status(err) != 401 {
		t.Errorf("an expired token was taken: %v", err)
	}
}

func withTransport(t *testing.T, f *devforge.Forge, rt http.RoundTripper) *github.Client {
	c := github.NewClient(&http.Client{Transport: rt})
	c.BaseURL = client(t, f, "").BaseURL
	return c
}

func TestOnlyTheAppsOwnKeySignsIn(t *testing.T) {
	f := start(t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	ok(t, err)
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	ok(t, err)
	f.App(7, "vishwa", &key.PublicKey, nil)
	raw := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(other)})
	rt, err := ghinstallation.NewAppsTransport(http.DefaultTransport, 7, raw)
	ok(t, err)
	if _, _, err := withTransport(t, f, rt).Apps.Get(background(), ""); status(err) != 401 {
		t.Errorf("another key signed in: %v", err)
	}
}
