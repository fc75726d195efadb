// What a repository may use of what is the controller's, as its file says it: where several repositories share a controller, the
// declarations of one are not to have what is another's.

package config

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/schemas"
)

// Declared has runs reach what they declare alone.
const Declared = "declared"

// Families are the beginnings of the names of variables that are credentials only together.
var Families = []string{"AWS_", "VISHWA_OCI_"}

// Passes are the variables that its declarations may pass on, where the file says it; nil: it does not.
func (r Repository) Passes() *[]string {
	if r.Variables == nil {
		return nil
	}
	out := slices.Clone(r.Pass)
	for _, v := range r.Variables {
		name, _, _ := strings.Cut(v, "=")
		out = append(out, name)
	}
	return &out
}

// Sees is the controller's environment as the repository sees it: each variable under the name that the file gives it, and of
// credentials that it gives anew, no part of others.
func (r Repository) Sees(lookup func(string) (string, bool)) func(string) (string, bool) {
	from, anew := map[string]string{}, map[string]bool{}
	for _, v := range r.Variables {
		name, other, is := strings.Cut(v, "=")
		if !is {
			other = name
		}
		from[name] = other
		for _, f := range Families {
			anew[f] = anew[f] || is && strings.HasPrefix(name, f)
		}
	}
	return func(name string) (string, bool) {
		if other, is := from[name]; is {
			return lookup(other)
		}
		for _, f := range Families {
			if anew[f] && strings.HasPrefix(name, f) {
				return "", false
			}
		}
		return lookup(name)
	}
}

// reach checks where its runs and deployments may be begun; no part of a wrong address is repeated, for it may hold a password.
func (d *decoder) reach(r *Repository, path string) {
	for i, a := range r.Runners {
		if _, err := url.Parse(a); err != nil || !runner.MatchString(a) {
			d.problem(join(path+".runners", strconv.Itoa(i)), "this is not the address of a runner; write it as https://airflow.example.com, or ssh://HOST for a Docker Engine, without a password")
		}
	}
	for i, m := range r.ModelServers {
		at := join(path+".modelServers", strconv.Itoa(i))
		if m.Folder != "" && !strings.HasPrefix(m.Folder, "/") {
			d.problem(join(at, "folder"), "%s is not the whole path of a folder; write one such as /srv/models", Quoted(m.Folder))
		}
		if _, err := url.Parse(m.URL); err != nil || !tracker.MatchString(m.URL) {
			d.problem(join(at, "url"), "this is not the address of a server; write it as http://127.0.0.1:8501, without a user")
		}
	}
	for i, c := range r.Clusters {
		at := join(path+".clusters", strconv.Itoa(i))
		if len(c.Namespaces) == 0 && !d.has(at+".namespaces") {
			d.problem(at, "lists no namespaces; give namespaces: [models], those that it may use")
		}
		for n, name := range c.Namespaces {
			if !namespace.MatchString(name) {
				d.problem(join(at+".namespaces", strconv.Itoa(n)), "%s is not a namespace; write lower-case letters, digits and hyphens", Quoted(name))
			}
		}
	}
}

// bounds checks what its declarations may use; no part of a wrong address is repeated, for it may hold a password.
func (d *decoder) bounds(r *Repository, path string) {
	d.oneOf(path+".network", r.Network, "all", Declared)
	seen := map[string]bool{}
	for i, v := range r.Variables {
		at := join(path+".variables", strconv.Itoa(i))
		name, _, _ := strings.Cut(v, "=")
		if !given.MatchString(v) {
			d.problem(at, "is not a name of a variable; write NAME, or NAME=OTHER for the controller's OTHER, and never a value")
		} else if seen[name] {
			d.problem(at, "%s is listed twice; remove one", Quoted(name))
		}
		seen[name] = true
	}
	for name, addresses := range r.Tokens {
		at := join(path+".tokens", name)
		if !source.MatchString(name) {
			d.problem(at, "is not a variable that declarations may send; its name begins with VISHWA_SOURCE_, in capitals")
		}
		for i, a := range addresses {
			if _, err := url.Parse(a); err != nil || !receives.MatchString(a) {
				d.problem(join(at, strconv.Itoa(i)), "this is not the address of a source; write it as https://api.example.com, or kafka://host:port for a broker, without a user")
			}
		}
	}
	for i, h := range r.Hosts {
		if wrong := schemas.ListsHost(h); wrong != "" {
			d.problem(join(path+".hosts", strconv.Itoa(i)), "%s %s", Quoted(h), wrong)
		}
	}
	for i, a := range r.Storage {
		if _, secret := password(a); secret || !kept.MatchString(a) || strings.Contains(a, "..") {
			d.problem(join(path+".storage", strconv.Itoa(i)), "this is not a place; write s3://bucket/prefix, https://HOST/bucket/prefix, oci://registry.example.com/team, kafka://host:port/topic, a whole path of a folder, or the address of a repository of Git, without a password")
		}
	}
}

// walled checks that what bounds its network is not turned off: without a sandbox its runs would reach all.
func (d *decoder) walled(i Isolation, r *Repository, path string) {
	if p, err := i.Policy(); err == nil && p.Level == wall.None && r.Network == Declared {
		d.problem(path+".network", "nothing holds runs to the hosts that they declare while spec.isolation.level is none; remove that level, or write network: all")
	}
}

// password tells whether an address holds one, or a user where none belongs.
func password(a string) (string, bool) {
	u, err := url.Parse(a)
	if err != nil || u.User == nil {
		return "", false
	}
	p, is := u.User.Password()
	return p, is || u.Scheme != "ssh"
}
