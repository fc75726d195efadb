// The API of accounts: who am I, what may somebody do, and an App's way to a token.

package devforge

import (
	"fmt"
	"net/http"
)

func (f *Forge) getUser(c *call) (any, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case c.who.token == nil:
		return nil, refuse(http.StatusUnauthorized, "Requires authentication")
	case c.who.app != nil:
		return nil, refuse(http.StatusForbidden, "Resource not accessible by integration")
	}
	return f.showUser(c.who.login), nil
}

func (f *Forge) getApp(c *call) (any, error) {
	if c.who.jwt == nil {
		return nil, errJWT
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.showApp(c.who.jwt), nil
}

func (f *Forge) getInstallation(c *call) (any, error) {
	if c.who.jwt == nil {
		return nil, errJWT
	}
	r, err := f.find(c.PathValue("owner") + "/" + c.PathValue("name"))
	if err != nil {
		return nil, errNotFound
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	n := c.who.jwt.installs[lower(r.owner)]
	if n == 0 {
		return nil, errNotFound
	}
	return object{
		"id": n, "app_id": c.who.jwt.id, "app_slug": c.who.jwt.slug, "account": f.showUser(r.owner), "target_type": "Organization",
		"repository_selection": "all", "permissions": f.showApp(c.who.jwt)["permissions"],
		"access_tokens_url": fmt.Sprintf("%s/api/v3/app/installations/%d/access_tokens", f.url, n),
	}, nil
}

func (f *Forge) postInstallationToken(c *call) (any, error) {
	if c.who.jwt == nil {
		return nil, errJWT
	}
	var in struct {
		Repositories []string
		Permissions  map[string]string
	}
	if err := c.readBody(&in); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	owner := ""
	for o, n := range c.who.jwt.installs {
		if n == int64(c.number("id")) {
			owner = o
		}
	}
	if owner == "" {
		return nil, errNotFound
	}
	t := &token{
		login: c.who.jwt.slug + "[bot]", app: c.who.jwt, install: int64(c.number("id")), owner: owner, expires: f.at().Add(tokenLife),
	}
	for permission, level := range in.Permissions {
		if have := c.who.jwt.perms[permission]; have != "write" && have != level {
			return nil, refuse(http.StatusUnprocessableEntity, "The permissions requested are not granted to this installation.")
		}
	}
	if in.Permissions != nil {
		t.perms = in.Permissions
	}
	selection := "all"
	for _, name := range in.Repositories {
		selection = "selected"
		r := f.repos[owner+"/"+lower(name)]
		if r == nil {
			return nil, refuse(http.StatusUnprocessableEntity, "There is at least one repository that does not exist or is not accessible to the parent installation.")
		}
		if t.repos == nil {
			t.repos = map[string]bool{}
		}
		t.repos[lower(r.full())] = true
	}
	c.status = http.StatusCreated
	granted := f.showApp(c.who.jwt)["permissions"]
	if t.perms != nil {
		granted = t.perms
	}
	return object{"token": f.issue("ghs_", t), "expires_at": stamp(t.expires), "permissions": granted, "repository_selection": selection}, nil
}

func (f *Forge) getPermission(c *call) (any, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	u := f.users[lower(c.PathValue("login"))]
	if u == nil {
		return nil, refuse(http.StatusNotFound, "%s is not a user", c.PathValue("login"))
	}
	role := c.repo.role(u.login)
	permission := map[string]string{"triage": "read", "maintain": "write"}[role]
	if permission == "" {
		permission = role
	}
	shown := f.showUser(u.login)
	rank := ranks[role]
	shown["permissions"] = object{"admin": rank >= 5, "maintain": rank >= 4, "push": rank >= 3, "triage": rank >= 2, "pull": rank >= 1}
	shown["role_name"] = role
	return object{"permission": permission, "role_name": role, "user": shown}, nil
}

func (f *Forge) getRate(c *call) (any, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	core := object{"limit": f.hourly, "remaining": f.hourly, "used": 0, "reset": f.now().Unix(), "resource": "core"}
	if r := f.rates[lower(c.who.name())]; r != nil {
		core["remaining"], core["used"], core["reset"] = max(0, f.hourly-r.used), r.used, r.reset.Unix()
	}
	return object{"resources": object{"core": core}, "rate": core}, nil
}
