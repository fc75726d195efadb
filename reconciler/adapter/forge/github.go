// Package forge speaks to GitHub for port.Forge: pull requests are read, one
// comment is kept, and results are shown beside commits.
package forge

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/google/go-github/v62/github"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/dial"
	"github.com/vishwaops/vishwa/reconciler/machine/httpx"
	"github.com/vishwaops/vishwa/reconciler/port"
)

var _ port.Forge = (*Client)(nil)

// Config says which repository, where, and as whom.
type Config struct {
	Owner, Repo string
	API         string // base URL of a GitHub Enterprise Server; empty: api.github.com
	Auth        Auth
	Login       string                                     // whose comments are ours, where Auth cannot tell: an App's token that somebody else asked for
	Env         port.Env                                   // Now and Log
	HTTP        http.RoundTripper                          // nil: a transport with bounded times
	Sleep       func(context.Context, time.Duration) error // nil: real time
	Patience    time.Duration                              // longest wait for a rate limit; zero is 15 minutes
	Pace        dial.Pace                                  // how fast an answer has to come; zero is as usual
}

// Client is a repository on GitHub. Its methods may be called side by side.
type Client struct {
	repo string // repos/OWNER/NAME
	base *url.URL
	gh   *github.Client // makes the requests; line sends them
	http *http.Client
	auth *login
	log  *slog.Logger

	saying   sync.Mutex // two Says at once would write two comments
	marking  sync.Mutex // likewise for marks and rollouts
	mu       sync.Mutex // guards what was learned
	self     string     // our login; empty: not known
	noChecks bool       // check runs are not allowed
}

// GitHub makes a Client. It asks nothing of the network.
func GitHub(cfg Config) (*Client, error) {
	if !plainName(cfg.Owner) || !plainName(cfg.Repo) {
		return nil, fault.WithHint(fault.New(fault.Invalid, "open GitHub repository %q/%q: that is not a name", cfg.Owner, cfg.Repo), "give the repository as owner/name")
	}
	base, err := baseURL(cfg.API)
	if err != nil {
		return nil, err
	}
	if err := cfg.Env.MayAsk(base.String()); err != nil {
		return nil, err
	}
	if cfg.HTTP == nil {
		cfg.HTTP = httpx.Transport(httpx.Options{})
	}
	if cfg.Env.Now == nil {
		cfg.Env.Now = time.Now
	}
	if cfg.Env.Log == nil {
		cfg.Env.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Sleep == nil {
		cfg.Sleep = httpx.Sleep
	}
	if cfg.Patience == 0 {
		cfg.Patience = 15 * time.Minute
	}
	if cfg.Pace == (dial.Pace{}) {
		cfg.Pace = dial.Pace{Window: 30 * time.Second, Least: 500, Whole: 5 * time.Minute}
	}
	steady := &httpx.Retry{Next: dial.Paced(cfg.HTTP, cfg.Pace), Who: "GitHub", Now: cfg.Env.Now, Log: cfg.Env.Log, Sleep: cfg.Sleep, Limit: cfg.Patience,
		Limited: rateLimit, Hint: "use an App's or another token, or look less often"}
	c := &Client{repo: "repos/" + cfg.Owner + "/" + cfg.Repo, base: base, log: cfg.Env.Log, self: cfg.Login, gh: github.NewClient(nil)}
	c.gh.BaseURL = base
	if c.auth, err = newLogin(cfg, base, steady); err != nil {
		return nil, err
	}
	signed := &signing{next: &httpx.Cache{Next: steady}, base: base, auth: c.auth}
	c.http = &http.Client{Transport: signed, CheckRedirect: c.sameHost}
	return c, nil
}

func plainName(s string) bool {
	return s != "" && s != "." && s != ".." && len(s) <= 100 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == ""
}

// baseURL is where the API is. A token goes in the clear to the loopback only.
func baseURL(api string) (*url.URL, error) {
	if api == "" {
		api = "https://api.github.com/"
	}
	u, err := url.Parse(api)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return nil, fault.WithHint(fault.New(fault.Invalid, "read the address of GitHub's API: it is not a plain URL"), "give it as https://HOST/api/v3/, without credentials")
	}
	if u.Scheme != "https" && !(u.Scheme == "http" && dial.Loopback(u.Hostname())) {
		return nil, fault.WithHint(fault.New(fault.Invalid, "use GitHub's API at %s: a token would go there in the clear", u.Host), "give an https:// address")
	}
	if strings.Trim(u.Path, "/") == "" && !strings.HasPrefix(u.Host, "api.") {
		u.Path = "/api/v3/" // where an Enterprise Server has it
	}
	if !strings.HasSuffix(u.Path, "/") {
		u.Path += "/"
	}
	return u, nil
}

func (c *Client) sameHost(req *http.Request, via []*http.Request) error {
	if req.URL.Host != c.base.Host || req.URL.Scheme != c.base.Scheme || len(via) >= 5 {
		return fault.WithHint(fault.New(fault.Denied, "GitHub's API redirects to another host (%s) or too often", req.URL.Host), "give the address of the API itself: https://api.github.com, or https://HOST/api/v3/ of an Enterprise Server")
	}
	return nil
}

// Credentials are what Git over HTTPS needs now; they are good for some minutes.
func (c *Client) Credentials(ctx context.Context) (user, password string, err error) {
	token, err := c.auth.token(ctx)
	return "x-access-token", token, err
}

// signing shows the token to the API's own host and to nobody else.
type signing struct {
	next http.RoundTripper
	base *url.URL
	auth *login
}

func (s *signing) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Host != s.base.Host || req.URL.Scheme != s.base.Scheme {
		return nil, fault.WithHint(fault.New(fault.Denied, "a request for %s is not for GitHub's API", req.URL.Host), "give the address of the API itself: https://api.github.com, or https://HOST/api/v3/ of an Enterprise Server")
	}
	token, err := s.auth.token(req.Context())
	if err != nil {
		return nil, err
	}
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", "Bearer "+token)
	return s.next.RoundTrip(req)
}

func fingerprint(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
