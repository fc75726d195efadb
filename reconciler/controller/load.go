// Reading a controller's file, and what must hold of it as a whole.
package controller

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/schemas"
)

// Kind is the kind that a controller's file declares.
const Kind = "Controller"

// document is a controller's file.
type document struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string `yaml:"kind"`
	Spec       Config `yaml:"spec"`
}

// ReadConfig reads the file that configures a controller. Paths in it are as seen
// from its folder.
func ReadConfig(file string) (Config, error) {
	f, err := os.Open(file)
	if err != nil {
		kind := fault.Invalid
		if errors.Is(err, os.ErrNotExist) {
			kind = fault.Missing
		}
		return Config{}, fault.Hint(fault.New(kind, "read the configuration: %w", err), "name the controller's file with --config")
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return Config{}, fault.New(fault.Invalid, "read the configuration: %w", err)
	}
	c, err := ParseConfig(file, text)
	if err != nil {
		return Config{}, err
	}
	dir, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		return Config{}, fault.New(fault.Internal, "find the configuration's folder: %w", err)
	}
	c.rooted(dir)
	return c, nil
}

// ParseConfig reads text, the contents of file. The error is Invalid and tells all
// problems, one a line, each with its place and the way out.
func ParseConfig(file string, text []byte) (Config, error) {
	d := &decoder{file: file, places: map[string]schemas.Position{}}
	var doc document
	if root := d.root(text); root != nil {
		d.value(root, reflect.ValueOf(&doc).Elem(), "", 0)
		d.check(&doc)
	}
	if len(d.problems) == 0 {
		return doc.Spec.filled(), nil
	}
	slices.SortStableFunc(d.problems, func(a, b schemas.Problem) int {
		return cmp.Or(cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Column, b.Pos.Column))
	})
	lines := make([]string, len(d.problems))
	for i, p := range d.problems {
		lines[i] = p.Error()
	}
	return Config{}, fault.Hint(fault.New(fault.Invalid, "%s", strings.Join(lines, "\n")), "correct the configuration; vishwa controller --check --config FILE checks it")
}

// root is the one document of the text.
func (d *decoder) root(text []byte) *yaml.Node {
	if len(text) > maxConfig {
		d.problem("", "is larger than 4 MiB; split it among several controllers")
		return nil
	}
	read := yaml.NewDecoder(bytes.NewReader(text))
	var first, second yaml.Node
	if err := read.Decode(&first); err != nil {
		if errors.Is(err, io.EOF) {
			d.problem("", "is empty; write apiVersion, kind and spec")
		} else {
			d.problem("", "%s; correct the YAML", strings.TrimPrefix(err.Error(), "yaml: "))
		}
		return nil
	}
	if err := read.Decode(&second); err == nil {
		d.problem("", "holds more than one document; a controller has one")
	} else if !errors.Is(err, io.EOF) {
		d.problem("", "%s; correct the YAML", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if len(first.Content) == 0 {
		return nil
	}
	return first.Content[0]
}

func (d *decoder) check(doc *document) {
	if doc.APIVersion != schemas.APIVersion {
		d.problem("apiVersion", "write apiVersion: %s", schemas.APIVersion)
	}
	if doc.Kind != Kind {
		d.problem("kind", "write kind: %s", Kind)
	}
	c := &doc.Spec
	if c.Listen != "" {
		if _, port, err := net.SplitHostPort(c.Listen); err != nil || port == "" {
			d.problem("spec.listen", "%s is no address; write host:port, such as 127.0.0.1:8700", quoted(c.Listen))
		}
	}
	d.between("spec.poll", c.Poll, time.Second, 24*time.Hour)
	d.between("spec.sweep", c.Sweep, 10*time.Second, 24*time.Hour)
	d.between("spec.timeout", c.Timeout, time.Second, time.Hour)
	d.between("spec.lease.duration", c.Lease.Duration, 5*time.Second, time.Hour)
	d.between("spec.shutdown.grace", c.Shutdown.Grace, time.Millisecond, 24*time.Hour)
	if limit := cmp.Or(c.Poll, time.Minute); c.Jitter > limit {
		d.problem("spec.jitter", "%s is longer than poll; give at most %s", c.Jitter, limit)
	}
	d.oneOf("spec.shutdown.runs", c.Shutdown.Runs, Finish, HandBack)
	d.oneOf("spec.log.level", c.Log.Level, "debug", "info", "warn", "error")
	d.oneOf("spec.log.format", c.Log.Format, "json", "text")
	d.secret("spec.keyPassword", c.KeyPassword)
	d.secret("spec.webhook.secret", c.Webhook.Secret)
	d.secret("spec.webhook.previous", c.Webhook.Previous)
	if c.Webhook.Previous != nil && c.Webhook.Secret == nil {
		d.problem("spec.webhook.previous", "there is no secret after it; give webhook.secret")
	}
	d.repositories(c)
}

func (d *decoder) repositories(c *Config) {
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
	forge := false
	for i := range c.Repositories {
		r, path := &c.Repositories[i], join("spec.repositories", strconv.Itoa(i))
		forge = forge || r.GitHub != nil
		if !d.repository(r, path) {
			continue
		}
		twice("at "+r.Identity(), path, "the same repository is listed")
		if r.Name != "" {
			twice("called "+r.Name, path+".name", "the name is given")
		}
	}
	if forge && !c.Webhook.Off && c.Webhook.Secret == nil && !d.has("spec.webhook.secret") {
		d.problem("spec.webhook", "there is no secret to know GitHub's webhooks by; give webhook.secret, or write webhook: {off: true} to poll alone")
	}
}

var (
	variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	// branch is a branch's name as git-check-ref-format(1) allows it, but for what nobody uses.
	branch   = regexp.MustCompile(`^[^-./\s~^:?*\[\\@{}\x00-\x20\x7f]([^\s~^:?*\[\\@{}\x00-\x20\x7f]*[^./\s~^:?*\[\\@{}\x00-\x20\x7f])?$`)
	odd      = regexp.MustCompile(`//|\.\.|/\.|\.lock(/|$)|^refs/`)
	fullName = regexp.MustCompile(`^[A-Za-z0-9][-A-Za-z0-9]*/[-._A-Za-z0-9]+$`)
)

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
		} else if !branch.MatchString(b) || odd.MatchString(b) {
			d.problem(at, "%s is no name of a branch; write it without refs/heads/", quoted(b))
		}
		branches[b] = true
	}
	for i, v := range r.Pass {
		if !variable.MatchString(v) {
			d.problem(join(path+".pass", strconv.Itoa(i)), "%s is no name of a variable; write letters, digits and underscores", quoted(v))
		}
	}
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
	if r.GitHub != nil && u.Scheme == "http" && !loopback(u) {
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
		if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Scheme != "https" && !(u.Scheme == "http" && loopback(u)) {
			d.problem(path+".api", "is no address of a GitHub server; write https://HOST/api/v3")
		}
	}
	if g.Repository != "" && !fullName.MatchString(g.Repository) {
		d.problem(path+".repository", "%s is no repository; write owner/name", quoted(g.Repository))
	} else if r.FullName() == "" {
		d.problem(path, "owner and name cannot be told from the address; give repository: owner/name")
	}
}

func (d *decoder) secret(path string, s *Secret) {
	switch {
	case s == nil:
	case (s.Env == "") == (s.File == ""):
		d.problem(path, "give either env, a variable's name, or file; the secret itself is never written here")
	case s.Env != "" && !variable.MatchString(s.Env):
		d.problem(path+".env", "is no name of a variable; name the variable that holds the secret, never the secret itself")
	}
}

func (d *decoder) oneOf(path, got string, allowed ...string) {
	if got != "" && !slices.Contains(allowed, got) {
		d.problem(path, "%s is not allowed%s", quoted(got), meant(got, allowed))
	}
}

func (d *decoder) between(path string, got, least, most time.Duration) {
	if got != 0 && (got < least || got > most) {
		d.problem(path, "%s is out of range; give between %s and %s", got, least, most)
	}
}

// loopback tells whether what is sent there stays on this machine.
func loopback(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}
