// Who is there: users, their tokens, Apps and their installations, and what each
// may do. Rights are asked here and nowhere else.

package devforge

import (
	"cmp"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strings"
	"time"
)

// Installation tokens live for an hour, as GitHub documents it.
const tokenLife = time.Hour

// actionsApp is GitHub's own App, whose tokens jobs get.
const actionsApp = 15368

type user struct {
	id    int64
	login string
	bot   bool
}

type app struct {
	id       int64
	slug     string
	key      *rsa.PublicKey
	perms    map[string]string // permission -> read or write
	installs map[string]int64  // owner in lower case -> installation
}

// token is what somebody shows; perms nil means all that its user may.
type token struct {
	login   string
	app     *app // nil: a person's
	install int64
	owner   string // of the installation
	repos   map[string]bool
	perms   map[string]string
	expires time.Time // zero: never
}

// actor is who made a request; the zero actor is nobody.
type actor struct {
	*token
	jwt *app // signed in as the App itself
}

func (a actor) name() string {
	switch {
	case a.jwt != nil:
		return a.jwt.slug
	case a.token != nil:
		return a.login
	}
	return ""
}

// AddUser makes an account known; one that is there stays.
func (f *Forge) AddUser(login string, bot bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.addUser(login, bot)
}

func (f *Forge) addUser(login string, bot bool) *user {
	u := f.users[strings.ToLower(login)]
	if u == nil {
		u = &user{id: f.id(), login: login, bot: bot}
		f.users[strings.ToLower(login)] = u
	}
	return u
}

// Token is a new token of login. Scopes are those of classic tokens (repo,
// public_repo, repo:status, repo_deployment) or permissions as fine-grained tokens
// and installations have them (issues:write); none means repo.
func (f *Forge) Token(login string, scopes ...string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := &token{login: f.addUser(login, false).login}
	if len(scopes) > 0 {
		t.perms = map[string]string{}
	}
	for _, s := range scopes {
		switch name, level, _ := strings.Cut(s, ":"); {
		case s == "repo" || s == "public_repo":
			t.perms["*"] = "write"
		case s == "repo:status":
			t.perms["statuses"] = "write"
		case s == "repo_deployment":
			t.perms["deployments"] = "write"
		case level != "":
			t.perms[name] = level
		}
	}
	return f.issue("ghp_", t)
}

// App makes a GitHub App known; its JWTs are verified with key. perms maps
// permissions such as checks to read or write.
func (f *Forge) App(id int64, slug string, key *rsa.PublicKey, perms map[string]string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.addUser(slug+"[bot]", true)
	f.apps[id] = &app{id: id, slug: slug, key: key, perms: perms, installs: map[string]int64{}}
}

// Install installs an App at an owner, for all of its repositories, and tells the installation.
func (f *Forge) Install(appID int64, owner string) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a := f.apps[appID]
	if a == nil {
		return 0, refuse(http.StatusNotFound, "there is no App %d", appID)
	}
	n := a.installs[strings.ToLower(owner)]
	if n == 0 {
		n = f.id()
		a.installs[strings.ToLower(owner)] = n
	}
	return n, nil
}

// ActionsToken is what a job of GitHub Actions gets for repo: it acts as
// github-actions[bot] and may make check runs where perms says so.
func (f *Forge) ActionsToken(repo string, perms map[string]string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	owner, _, _ := strings.Cut(repo, "/")
	return f.issue("ghs_", &token{
		login: "github-actions[bot]", app: f.apps[actionsApp], install: 1, owner: owner,
		repos: map[string]bool{strings.ToLower(repo): true}, perms: perms, expires: f.at().Add(tokenLife),
	})
}

// issue remembers t under a new secret; f.mu is held.
func (f *Forge) issue(prefix string, t *token) string {
	var b [18]byte
	rand.Read(b[:])
	secret := prefix + hex.EncodeToString(b[:])
	f.tokens[secret] = t
	return secret
}

// Revoke ends a token.
func (f *Forge) Revoke(secret string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.tokens, secret)
}

// whoIs reads the Authorization header: Bearer or token for the API, Basic for Git.
func (f *Forge) whoIs(r *http.Request) (actor, *Problem) {
	header := r.Header.Get("Authorization")
	if header == "" {
		return actor{}, nil
	}
	scheme, secret, _ := strings.Cut(header, " ")
	switch strings.ToLower(scheme) {
	case "basic":
		raw, _ := base64.StdEncoding.DecodeString(secret)
		name, password, _ := strings.Cut(string(raw), ":")
		secret = cmp.Or(password, name)
		if password == "x-oauth-basic" {
			secret = name
		}
	case "bearer", "token":
	default:
		return actor{}, badCredentials()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if strings.Count(secret, ".") == 2 {
		return f.fromJWT(secret)
	}
	t := f.tokens[secret]
	if t == nil || !t.expires.IsZero() && !f.now().Before(t.expires) {
		return actor{}, badCredentials()
	}
	return actor{token: t}, nil
}

func badCredentials() *Problem { return refuse(http.StatusUnauthorized, "Bad credentials") }

// ranks puts GitHub's roles in order.
var ranks = map[string]int{"": 0, "none": 0, "read": 1, "triage": 2, "write": 3, "maintain": 4, "admin": 5}

// role is what login may do in r; f.mu is held.
func (r *repo) role(login string) string {
	best := r.roles[strings.ToLower(login)]
	if strings.EqualFold(login, r.owner) {
		best = "admin"
	}
	if best == "" && r.public {
		best = "read"
	}
	return cmp.Or(best, "none")
}

// sees tells whether a may know that r exists.
func (r *repo) sees(a actor) bool {
	switch {
	case a.token == nil:
		return r.public
	case a.app != nil:
		return r.public || strings.EqualFold(a.owner, r.owner) && (a.repos == nil || a.repos[strings.ToLower(r.full())])
	}
	return ranks[r.role(a.login)] > 0
}

// may tells why a must not do what needs the permission at level and, for a
// person, the role; f.mu is held.
func (r *repo) may(a actor, permission, level, role string) *Problem {
	if !r.sees(a) {
		return errNotFound
	}
	if a.token == nil {
		if level == "write" || ranks[role] > 1 {
			return refuse(http.StatusUnauthorized, "Requires authentication")
		}
		return nil
	}
	granted := a.perms
	if a.app != nil && granted == nil {
		granted = a.app.perms
	}
	have := granted[permission]
	if granted["*"] != "" {
		have = granted["*"]
	}
	all := a.app == nil && granted == nil
	if permission != "metadata" && !all && have != "write" && (level == "write" || have != level) && (level == "write" || !r.public) {
		if a.app != nil {
			return refuse(http.StatusForbidden, "Resource not accessible by integration")
		}
		return refuse(http.StatusForbidden, "Resource not accessible by personal access token")
	}
	if a.app != nil && !strings.EqualFold(a.owner, r.owner) && level == "write" {
		return refuse(http.StatusForbidden, "Resource not accessible by integration")
	}
	if a.app == nil && ranks[r.role(a.login)] < ranks[role] {
		return refuse(http.StatusForbidden, "Must have push access to repository")
	}
	return nil
}
