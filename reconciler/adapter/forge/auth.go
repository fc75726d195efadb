// Who Vishwa is on GitHub: a token's user, an App's bot, or a job of Actions.

package forge

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/bradleyfalzon/ghinstallation/v2"
	"github.com/google/go-github/v62/github"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Auth is exactly one of its fields. The token of a job of Actions is a Token.
type Auth struct {
	Token string
	Fresh func(context.Context) (string, error) // asked before each request
	App   *App
}

// App is a GitHub App that is installed at the repository.
type App struct {
	ID           int64
	Installation int64  // 0: looked up from the repository
	PrivateKey   []byte // PEM
}

// actionsBot is who writes with the token of a job of Actions.
const actionsBot = "github-actions[bot]"

type login struct {
	fresh func(context.Context) (string, error)

	app    *ghinstallation.AppsTransport // nil: no App
	base   *url.URL
	repo   string
	mu     sync.Mutex
	number int64 // installation
	tokens *ghinstallation.Transport
}

func newLogin(cfg Config, base *url.URL, next http.RoundTripper) (*login, error) {
	a, given := cfg.Auth, 0
	for _, is := range []bool{a.Token != "", a.Fresh != nil, a.App != nil} {
		if is {
			given++
		}
	}
	if given != 1 {
		return nil, fault.WithHint(fault.New(fault.Invalid, "sign in to GitHub: %d ways are given", given), "give one of a token, and an App with its private key")
	}
	l := &login{base: base, repo: cfg.Owner + "/" + cfg.Repo}
	switch {
	case a.Token != "":
		token := strings.TrimSpace(a.Token)
		l.fresh = func(context.Context) (string, error) { return token, nil }
	case a.Fresh != nil:
		l.fresh = a.Fresh
	default:
		app, err := ghinstallation.NewAppsTransport(next, a.App.ID, a.App.PrivateKey)
		if err != nil { // the error may quote the key
			return nil, fault.WithHint(fault.New(fault.Invalid, "read the private key of GitHub App %d: it is not an RSA key in PEM", a.App.ID), "download a new private key from the App's settings")
		}
		app.BaseURL = strings.TrimSuffix(base.String(), "/")
		l.app, l.number = app, a.App.Installation
	}
	return l, nil
}

// token is the credential of now.
func (l *login) token(ctx context.Context) (string, error) {
	if l.fresh != nil {
		token, err := l.fresh(ctx)
		if err != nil {
			return "", fmt.Errorf("get token for GitHub: %w", err)
		}
		return token, nil
	}
	tokens, err := l.installation(ctx)
	if err != nil {
		return "", err
	}
	token, err := tokens.Token(ctx)
	if err != nil {
		return "", appFault(ctx, "get installation token", err)
	}
	return token, nil
}

func (l *login) installation(ctx context.Context) (*ghinstallation.Transport, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tokens != nil {
		return l.tokens, nil
	}
	if l.number == 0 {
		owner, name, _ := strings.Cut(l.repo, "/")
		found, _, err := l.asApp().Apps.FindRepositoryInstallation(ctx, owner, name)
		if err != nil {
			return nil, appFault(ctx, "find the App's installation at "+l.repo, err)
		}
		l.number = found.GetID()
	}
	l.tokens = ghinstallation.NewFromAppsTransport(l.app, l.number)
	l.tokens.BaseURL = l.app.BaseURL
	return l.tokens, nil
}

func (l *login) asApp() *github.Client {
	gh := github.NewClient(&http.Client{Transport: l.app, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }})
	gh.BaseURL = l.base
	return gh
}

// Account is our own login where it has come up, or "". It asks nobody.
func (c *Client) Account() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.self
}

// me is our own login. The token of a job of Actions may not ask who it is.
func (c *Client) me(ctx context.Context) (string, error) {
	c.mu.Lock()
	known := c.self
	c.mu.Unlock()
	if known != "" {
		return known, nil
	}
	var name string
	if c.auth.app != nil {
		app, _, err := c.auth.asApp().Apps.Get(ctx, "")
		if err != nil {
			return "", appFault(ctx, "read the App", err)
		}
		name = app.GetSlug() + "[bot]"
	} else {
		var user github.User
		_, err := c.call(ctx, http.MethodGet, "user", nil, &user)
		switch {
		case err == nil:
			name = user.GetLogin()
		case statusOf(err) == http.StatusForbidden:
			name = actionsBot
		default:
			return "", err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.self = name
	return name, nil
}
