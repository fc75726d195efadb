// The adapter before the double of GitHub.

package forge_test

import (
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/vishwaops/vishwa/cmd/vishwa-devforge/devforge"
	"github.com/vishwaops/vishwa/reconciler/adapter/forge"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
)

const repoName = "acme/models"

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, f *devforge.Forge, token string) *forge.Client {
	t.Helper()
	c, err := forge.GitHub(forge.Config{
		Owner: "acme", Repo: "models", API: f.URL(), Auth: forge.Auth{Token: token},
		Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	})
	ok(t, err)
	return c
}

// start is a double with acme/models and pull request 1.
func start(t *testing.T) (*devforge.Forge, string) {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("git is missing: apt-get install git")
		}
		t.Skip("git is missing: apt-get install git")
	}
	f, err := devforge.New(devforge.Options{Dir: t.TempDir()})
	ok(t, err)
	t.Cleanup(func() { f.Close() })
	_, err = f.Listen("127.0.0.1:0")
	ok(t, err)
	ok(t, f.CreateRepo("acme", "models"))
	ok(t, f.Grant(repoName, "vishwa", "write"))
	u, err := url.Parse(f.CloneURL(repoName))
	ok(t, err)
	u.User = url.UserPassword("x-access-token", f.Token("vishwa"))
	dir := t.TempDir()
	git := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("git", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.com")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %s: %v\n%s", args[0], err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("clone", "--quiet", u.String(), ".")
	for _, branch := range []string{"main", "topic"} {
		git("checkout", "--quiet", "-B", branch)
		ok(t, os.WriteFile(filepath.Join(dir, branch), []byte(branch), 0o644))
		git("add", ".")
		git("commit", "--quiet", "-m", branch)
		git("push", "--quiet", "origin", branch)
	}
	_, err = f.OpenPull(devforge.NewPull{Repo: repoName, Head: "topic", Base: "main", Title: "Train longer", Author: "vishwa"})
	ok(t, err)
	return f, git("rev-parse", "HEAD")
}

func suite(as string, token func(*devforge.Forge) string) func(t *testing.T) porttest.Forging {
	return func(t *testing.T) porttest.Forging {
		f, sha := start(t)
		for _, who := range []string{"mallory"} {
			ok(t, f.Grant(repoName, who, "read"))
		}
		return porttest.Forging{
			Forge: open(t, f, token(f)), Denied: open(t, f, "ghp_unknown"), Secret: "ghp_unknown", Pull: 1, SHA: sha, Mend: f.Mend,
			Comment: func(t *testing.T, login, body string) int64 {
				if login == "" {
					login = as
				}
				id, err := f.Comment(repoName, 1, login, body)
				ok(t, err)
				return id
			},
			Review: func(t *testing.T, login string) {
				ok(t, f.Grant(repoName, login, "write"))
				_, err := f.Review(repoName, 1, login, "approve")
				ok(t, err)
			},
			Own: func(t *testing.T) (out []string) {
				shown, err := f.Shown(repoName)
				ok(t, err)
				for _, c := range shown.Comments {
					if c.Login == as {
						out = append(out, c.Body)
					}
				}
				return out
			},
			Writes: func() (n int) {
				for _, r := range f.Requests() {
					if r.Method != http.MethodGet && r.Status < 300 {
						n++
					}
				}
				return n
			},
			Break: func(status, times int) { f.Break(devforge.Fault{Status: status, Times: times}) },
			Limit: func() {
				f.Break(devforge.Fault{Status: 403, RetryAfter: time.Second, Times: 1})
			},
			Any: func(t *testing.T, law func([]string)) {
				rapid.Check(t, func(r *rapid.T) {
					law(rapid.SliceOfN(rapid.StringMatching(`[a-z]{1,5}`), 1, 4).Draw(r, "says"))
				})
			},
		}
	}
}

func TestGitHubKeepsTheForgesLaws(t *testing.T) {
	t.Run("token", func(t *testing.T) {
		porttest.Forge(t, suite("vishwa", func(f *devforge.Forge) string { return f.Token("vishwa") }))
	})
	t.Run("actions", func(t *testing.T) {
		porttest.Forge(t, suite("github-actions[bot]", func(f *devforge.Forge) string {
			return f.ActionsToken(repoName, map[string]string{"checks": "write", "issues": "write", "pull_requests": "write", "deployments": "write", "contents": "read", "metadata": "read"})
		}))
	})
}

// TestEveryAnnotationIsShown: 120 of them are more than one request takes.
func TestEveryAnnotationIsShown(t *testing.T) {
	f, sha := start(t)
	c := open(t, f, f.ActionsToken(repoName, map[string]string{"checks": "write"}))
	m := port.CommitStatus{SHA: sha, Name: "vishwa/plan", State: port.Failure, Title: "broken", Summary: strings.Repeat("é", 40_000)}
	for i := range 120 {
		m.Annotations = append(m.Annotations, port.Annotation{Path: "main", Line: i + 1, Level: "failure", Message: "wrong"})
	}
	ok(t, c.ReportStatus(t.Context(), m))
	ok(t, c.ReportStatus(t.Context(), m))
	shown, err := f.Shown(repoName)
	ok(t, err)
	if len(shown.Checks) != 1 || len(shown.Checks[0].Annotations) != 120 || shown.Checks[0].Conclusion != "failure" {
		t.Fatalf("%d check runs", len(shown.Checks))
	}
}

// TestATokenNeverGoesToAnotherHost: a redirect away is refused and nothing is sent there.
func TestATokenNeverGoesToAnotherHost(t *testing.T) {
	c, err := forge.GitHub(forge.Config{
		Owner: "acme", Repo: "models", API: "https://git.example.com", Auth: forge.Auth{Token: "ghp_secret"},
		HTTP: roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.URL.Host != "git.example.com" {
				t.Errorf("%s is asked", r.URL.Host)
				return nil, errors.New("not there")
			}
			return &http.Response{StatusCode: 302, Header: http.Header{"Location": {"https://evil.example.com/?q=1"}}, Body: http.NoBody, Request: r}, nil
		}),
	})
	ok(t, err)
	if _, err = c.Pull(t.Context(), 1); err == nil || strings.Contains(err.Error(), "ghp_secret") || strings.Contains(err.Error(), "?") {
		t.Fatalf("got %v", err)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestParseReadsRemotes(t *testing.T) {
	for remote, want := range map[string]string{
		"https://github.com/acme/models.git":             "github.com acme models",
		"https://u:p@GitHub.com/acme/models/":            "github.com acme models",
		"ssh://git@ghe.example.com:2222/acme/models.git": "ghe.example.com acme models",
		"git@github.com:acme/models.git":                 "github.com acme models",
		"https://github.com/acme":                        "",
		"/srv/git/models":                                "",
		"file:///srv/git/models":                         "",
		"git@github.com:acme/../models":                  "",
	} {
		host, owner, repo, err := forge.Parse(remote)
		if got := strings.TrimSpace(host + " " + owner + " " + repo); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v; want %q", remote, got, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("git@github.com:acme/models.git")
	f.Add("https://u:p@github.com/acme/models")
	f.Fuzz(func(t *testing.T, remote string) {
		host, owner, repo, err := forge.Parse(remote)
		if err == nil && (host == "" || strings.ContainsAny(host+owner+repo, "/@?# \n") || owner == ".." || repo == "..") {
			t.Fatalf("%q: %q %q %q", remote, host, owner, repo)
		}
	})
}

// TestACertificateThatDoesNotHoldIsNotAskedAgain: the token is told to nobody who cannot
// prove who they are, and a person is told what to do.
func TestACertificateThatDoesNotHoldIsNotAskedAgain(t *testing.T) {
	var calls, asked atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			calls.Add(1)
		}
	}
	s.Config.ErrorLog = log.New(t.Output(), "", 0)
	s.StartTLS()
	defer s.Close()
	c, err := forge.GitHub(forge.Config{
		Owner: "acme", Repo: "models", API: s.URL, Auth: forge.Auth{Token: "hunter2"},
		Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	})
	ok(t, err)
	_, err = c.Pull(t.Context(), 1)
	if fault.Of(err) != fault.Denied || !strings.Contains(err.Error(), "certificate is not trusted") || !strings.Contains(fault.HintOf(err), "SSL_CERT_FILE") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the error is %v; %s", err, fault.HintOf(err))
	}
	if calls.Load() != 1 || asked.Load() != 0 {
		t.Errorf("%d calls, %d questions; want one call that ends before a question", calls.Load(), asked.Load())
	}
}
