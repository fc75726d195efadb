// What must hold of a controller's file beyond the types of its fields: each value for
// itself, and all of them together. Nothing outside of the file is looked at here.

package config

import (
	"cmp"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
	"github.com/vishwaops/vishwa/reconciler/machine/dial"
	"github.com/vishwaops/vishwa/schemas"
)

func (d *decoder) check(doc *Document) {
	if doc.APIVersion != schemas.APIVersion {
		d.problem("apiVersion", "write apiVersion: %s", schemas.APIVersion)
	}
	if doc.Kind != Kind {
		d.problem("kind", "write kind: %s", Kind)
	}
	c := &doc.Spec
	d.listen("spec.listen", c.Listen)
	d.listen("spec.metrics.listen", c.Metrics.Listen)
	if m := c.Metrics.Listen; m != "" && m == c.Filled().Listen {
		d.problem("spec.metrics.listen", "is the address that webhooks have; give another one, or remove it to serve all there")
	} else if m != "" && c.Webhook.Off {
		d.problem("spec.metrics.listen", "webhooks are off, so there is nothing to keep apart; give the address as listen")
	}
	d.between("spec.poll", c.Poll, time.Second, 24*time.Hour)
	d.between("spec.sweep", c.Sweep, 10*time.Second, 24*time.Hour)
	d.between("spec.timeout", c.Timeout, time.Second, time.Hour)
	d.between("spec.lease.duration", c.Lease.Duration, 5*time.Second, time.Hour)
	d.between("spec.shutdown.grace", c.Shutdown.Grace, time.Millisecond, 24*time.Hour)
	if limit := cmp.Or(c.Poll, time.Minute); c.Jitter > limit {
		d.problem("spec.jitter", "%s is longer than poll; give at most %s", c.Jitter, limit)
	}
	d.atMost("spec.parallel", c.Parallel, 1000)
	d.atMost("spec.pulls", c.Pulls, 100)
	d.atMost("spec.strangers", c.Strangers, 100)
	d.name("spec.lease.name", c.Lease.Name)
	d.oneOf("spec.shutdown.runs", c.Shutdown.Runs, Finish, HandBack)
	d.oneOf("spec.log.level", c.Log.Level, "debug", "info", "warn", "error")
	d.oneOf("spec.log.format", c.Log.Format, "json", "text")
	d.secret("spec.keyPassword", c.KeyPassword)
	d.secret("spec.sealKey", c.SealKey)
	d.secret("spec.webhook.secret", c.Webhook.Secret)
	d.secret("spec.webhook.previous", c.Webhook.Previous)
	d.secret("spec.notifications.token", c.Notifications.Token)
	d.secret("spec.notifications.mlflow", c.Notifications.MLflow)
	if c.Webhook.Previous != nil && c.Webhook.Secret == nil {
		d.problem("spec.webhook.previous", "there is no secret after it; give webhook.secret")
	}
	if _, err := c.Isolation.Policy(); err != nil {
		d.problem("spec.isolation", "%s; %s", err, cmp.Or(fault.HintOf(err), "correct it, or remove it for what is best"))
	}
	d.resourcePrices(c)
	d.repositories(c)
	d.replicas(c)
	d.alerts(c)
}

// attribute is one of a resource of Terraform; a dot leads into a block.
var attribute = lazyregexp.New(`^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*){0,7}$`)

// resourcePrices checks what prices are by.
func (d *decoder) resourcePrices(c *Spec) {
	for kind, p := range c.ResourcePrices {
		at := join("spec.resourcePrices", kind)
		named := map[string]string{join(at, "by"): p.By, join(at, "times"): p.Times}
		for name := range p.Per {
			named[join(join(at, "per"), name)] = name
		}
		for path, name := range named {
			if name != "" && !attribute.MatchString(name) {
				d.problem(path, "%s is not an attribute of a resource; give one such as instance_type, or root_block_device.volume_size", Quoted(name))
			}
		}
	}
}

// listen checks an address to listen at.
func (d *decoder) listen(path, address string) {
	if address == "" {
		return
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil || port == "" {
		d.problem(path, "%s is not an address; write host:port, such as 127.0.0.1:8700", Quoted(address))
	} else if !isPort(port) {
		d.problem(path, "%s is not a port; write a number from 1 to 65535", Quoted(port))
	} else if host != "" && !isHost(host) {
		d.problem(path, "%s is not a host; write a name or an address, such as 127.0.0.1", Quoted(host))
	}
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}

// hostName is a name as DNS has them; the underscore is found in networks of containers.
var hostName = lazyregexp.New(`^[A-Za-z0-9_]([-A-Za-z0-9_]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_]([-A-Za-z0-9_]{0,61}[A-Za-z0-9_])?)*\.?$`)

// digits is what looks like an address and would be taken for a name.
var digits = lazyregexp.New(`^[0-9.]+$`)

func isHost(s string) bool {
	if _, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return true
	}
	return len(s) <= 253 && hostName.MatchString(s) && !digits.MatchString(s)
}

// name checks what people, logs and metrics are shown.
func (d *decoder) name(path, name string) {
	if len(name) > 200 || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) || strings.TrimSpace(name) != name {
		d.problem(path, "%s is not a name; write at most 200 characters on one line", Quoted(name))
	}
}

func (d *decoder) atMost(path string, got, most int) {
	if got > most {
		d.problem(path, "%d is too large; give at most %d", got, most)
	}
}

func (d *decoder) repositories(c *Spec) {
	if len(c.Repositories) == 0 && len(d.problems) == 0 {
		d.problem("spec.repositories", "lists nothing to reconcile; give a repository's url or path")
	}
	seen := map[string]string{}
	twice := func(name, path, what string) {
		if first, is := seen[name]; is {
			d.problem(path, "%s already, at line %d; list its branches there, and remove this one", what, d.at(first).Line)
			return
		}
		seen[name] = path
	}
	forge, folders := false, map[string]string{}
	for i := range c.Repositories {
		r, path := &c.Repositories[i], join("spec.repositories", strconv.Itoa(i))
		forge = forge || r.GitHub != nil
		d.walled(c.Isolation, r, path)
		if !d.repository(r, path) {
			continue
		}
		twice("at "+r.Identity(), path, "the same repository is listed")
		if r.Name != "" {
			twice("called "+r.Name, path+".name", "the name is given")
		}
		if first, is := folders[r.TokenFolder()]; is {
			d.problem(path, "the one at line %d would have its tokens in the same folder, %s; give one of them another name", d.at(first).Line, Quoted(r.TokenFolder()))
		}
		folders[r.TokenFolder()] = path
	}
	if forge && !c.Webhook.Off && c.Webhook.Secret == nil && !d.has("spec.webhook.secret") {
		d.problem("spec.webhook", "there is no secret to know GitHub's webhooks by; give webhook.secret, or write webhook: {off: true} to poll alone")
	}
}

// What a repository's lists of other services hold, for the JSON Schema, too.
const (
	Packages  = `^([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*(/\*|/[a-z0-9]+([._-]+[a-z0-9]+)*)$`
	Trackers  = `^https?://[^/?#@\s]+(/[^?#\s]*)?$`
	Runners   = `^((https?|tcp)://[^/?#@\s]+(/[^?#\s]*)?|ssh://([A-Za-z0-9._-]+@)?[^/?#@:\s]+(:[0-9]+)?(/[^?#\s]*)?|unix:///[^?#\s]+)$`
	Variables = `^[A-Za-z_][A-Za-z0-9_]*(=[A-Za-z_][A-Za-z0-9_]*)?$`
	Tokens    = `^(https?|kafka)://[^/?#@\s]+(/[^?#\s]*)?$`
	Storage   = `^((s3|oci|ssh|https?)://[^/?#\s]+(/[^?#\s]*)?|[A-Za-z0-9._-]+@[A-Za-z0-9.-]+:[^?#\s]+|kafka://[^/?#@\s]+:[0-9]+(/[A-Za-z0-9._-]+)?|/[^\s]*)$`
	// Source is a variable that declarations may send.
	Source = `^VISHWA_SOURCE_[A-Z0-9_]+$`
	// Namespace is the name of a namespace of Kubernetes.
	Namespace = `^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`
)

var (
	variable = lazyregexp.New(`^[A-Za-z_][A-Za-z0-9_]*$`)
	packages = lazyregexp.New(Packages)
	tracker  = lazyregexp.New(Trackers)
	runner   = lazyregexp.New(Runners)
	// namespace has no wildcards: a namespace that is made tomorrow is nobody's yet.
	namespace = lazyregexp.New(Namespace)
	given     = lazyregexp.New(Variables)
	receives  = lazyregexp.New(Tokens)
	kept      = lazyregexp.New(Storage)
	source    = lazyregexp.New(Source)
	// branch is a branch's name as git-check-ref-format(1) allows it, but for what nobody uses.
	branch   = lazyregexp.New(`^[^-./\s~^:?*\[\\@{}\x00-\x20\x7f]([^\s~^:?*\[\\@{}\x00-\x20\x7f]*[^./\s~^:?*\[\\@{}\x00-\x20\x7f])?$`)
	odd      = lazyregexp.New(`//|\.\.|/\.|\.lock(/|$)|^refs/`)
	fullName = lazyregexp.New(`^[A-Za-z0-9][-A-Za-z0-9]*/[-._A-Za-z0-9]+$`)
)

// IsBranch tells whether b is a branch's name, without refs/heads/.
func IsBranch(b string) bool { return branch.MatchString(b) && !odd.MatchString(b) }

// repository checks one; it tells whether its address can be trusted.
func (d *decoder) repository(r *Repository, path string) (sound bool) {
	if (r.URL == "") == (r.Path == "") {
		d.problem(path, "give either url or path")
		return false
	}
	sound = r.URL == "" || d.url(r, path+".url")
	branches := map[string]bool{}
	for i, b := range r.Branches {
		at := join(path+".branches", strconv.Itoa(i))
		if branches[b] {
			d.problem(at, "the branch is listed twice; remove one")
		} else if !IsBranch(b) {
			d.problem(at, "%s is not a name of a branch; write it without refs/heads/", Quoted(b))
		}
		branches[b] = true
	}
	for i, v := range r.Pass {
		if !variable.MatchString(v) {
			d.problem(join(path+".pass", strconv.Itoa(i)), "%s is not a name of a variable; write letters, digits and underscores", Quoted(v))
		}
	}
	for i, a := range r.Allow {
		if _, err := netip.ParsePrefix(a); err != nil && !isHost(a) {
			d.problem(join(path+".allow", strconv.Itoa(i)), "%s is neither a host nor a network; write a name, an address, or a network such as 10.0.0.0/8", Quoted(a))
		}
	}
	for i, p := range r.Packages {
		if !packages.MatchString(p) {
			d.problem(join(path+".packages", strconv.Itoa(i)), "%s is not a repository of a registry; write registry.example.com/team/churn, or registry.example.com/team/* for all below", Quoted(p))
		}
	}
	for i, a := range r.Trackers {
		if _, err := url.Parse(a); err != nil || !tracker.MatchString(a) {
			d.problem(join(path+".trackers", strconv.Itoa(i)), "this is not the address of a tracker; write it as https://mlflow.example.com, without a user")
		}
	}
	d.reach(r, path)
	d.bounds(r, path)
	d.name(path+".name", r.Name)
	if r.GitHub != nil {
		d.gitHub(r, path+".github")
	}
	return sound
}

// url checks a clone address; no part of a wrong one is repeated, for it may hold a password.
func (d *decoder) url(r *Repository, path string) bool {
	u, err := address(r.URL)
	if err != nil {
		d.problem(path, "%s", err)
		return false
	}
	if _, secret := u.User.Password(); secret || u.User != nil && u.Scheme != "ssh" || u.RawQuery != "" || u.Fragment != "" {
		d.problem(path, "holds more than an address; take user, password and query out, and give github.token or github.app")
		return false
	}
	if u.Port() != "" && !isPort(u.Port()) {
		d.problem(path, "has a port that there is not; write a number from 1 to 65535, or none")
		return false
	}
	if r.GitHub != nil && u.Scheme == "http" && !dial.Loopback(u.Hostname()) {
		d.problem(path, "would send a token in the clear; write https")
		return false
	}
	return true
}

func (d *decoder) gitHub(r *Repository, path string) {
	g := r.GitHub
	if (g.Token == nil) == (g.App == nil) {
		d.problem(path, "give either token or app")
	}
	d.secret(path+".token", g.Token)
	if g.App != nil {
		if g.App.ID == 0 || g.App.Installation == 0 {
			d.problem(path+".app", "give its id and its installation")
		}
		d.secret(path+".app.key", &g.App.Key)
	}
	if g.API != "" {
		u, err := url.Parse(g.API)
		if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Scheme != "https" && !(u.Scheme == "http" && dial.Loopback(u.Hostname())) || u.Port() != "" && !isPort(u.Port()) {
			d.problem(path+".api", "is not an address of a GitHub server; write https://HOST/api/v3")
		}
	}
	if g.Repository != "" && !fullName.MatchString(g.Repository) {
		d.problem(path+".repository", "%s is not a repository; write owner/name", Quoted(g.Repository))
	} else if r.FullName() == "" {
		d.problem(path, "the address does not give owner and name; give repository: owner/name")
	}
}

func (d *decoder) secret(path string, s *Secret) {
	switch {
	case s == nil:
	case (s.Env == "") == (s.File == ""):
		d.problem(path, "give either env, a variable's name, or file; the secret itself is never written here")
	case s.Env != "" && !variable.MatchString(s.Env):
		d.problem(path+".env", "is not a name of a variable; name the variable that holds the secret, never the secret itself")
	}
}

func (d *decoder) oneOf(path, got string, allowed ...string) {
	if got != "" && !slices.Contains(allowed, got) {
		d.problem(path, "%s is not allowed%s", Quoted(got), meant(got, allowed))
	}
}

func (d *decoder) between(path string, got, least, most time.Duration) {
	if got != 0 && (got < least || got > most) {
		d.problem(path, "%s is out of range; give between %s and %s", got, least, most)
	}
}
