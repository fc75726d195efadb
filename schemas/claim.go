// The requests that deployments claim of a front that others have, too. Whoever may merge a declaration could name the host of another team, so
// that there is one way to spell a claim, one to compare two, and one to hold one against what its owner lets it have.

package schemas

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

// Claim is the requests for a host, at a path and below it.
type Claim struct {
	Host string
	Path string // "/", or without a slash at its end
}

// NewClaim is the claim of a host and a path as they are declared.
func NewClaim(host, path string) Claim {
	return Claim{strings.ToLower(strings.TrimSuffix(host, ".")), "/" + strings.Trim(path, "/")}
}

// Named tells whether it is declared which host it is of. What is set up outside of the project gives another to a model that KServe exposes.
func (c Claim) Named() bool { return c.Host != "" }

// String is the claim as lists of hosts have it.
func (c Claim) String() string {
	if !c.Named() {
		return "a host that is not declared"
	}
	return c.Host + strings.TrimSuffix(c.Path, "/")
}

// Takes tells whether c has requests sent to it that other claims, too: of two, a front has the longer path come first.
func (c Claim) Takes(other Claim) bool {
	return c.Named() && c.Host == other.Host && under(c.Path, other.Path)
}

// Within tells whether a list of hosts has c: names, *.NAME for all below one, or * for all, each with the path that it ends at, if any. What
// is not named is in none but * itself.
func (c Claim) Within(hosts []string) bool {
	if !c.Named() {
		return slices.Contains(hosts, "*")
	}
	if !c.plain() {
		return false
	}
	for _, may := range hosts {
		host, path, _ := strings.Cut(may, "/")
		of := NewClaim(host, path)
		suffix, wild := strings.CutPrefix(of.Host, "*")
		if (c.Host == of.Host || wild && strings.HasSuffix(c.Host, suffix) && len(c.Host) > len(suffix)) && under(c.Path, of.Path) {
			return true
		}
	}
	return false
}

// plain tells whether c is spelt as declarations may spell it. Whoever asks may have it from a ledger, and what is not so could end a rule of
// Traefik's and begin another, whatever stands at its end.
func (c Claim) plain() bool {
	return kubeName.MatchString(c.Host) && requestPath.MatchString(c.Path) && onePath(c.Path)
}

// under tells whether a path is of, or below it, however a server reads it.
func under(path, of string) bool {
	if of == "/" || path == of {
		return true
	}
	rest, is := strings.CutPrefix(path, of+"/")
	return is && onePath("/"+rest)
}

// Hosts is what a list of hosts holds: a name, *.NAME for all below it, or * for all, and a path that it ends at.
const Hosts = `^(\*|(\*\.)?[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*)(/[A-Za-z0-9._~:@+-]+)*$`

var hosts = lazyregexp.New(Hosts)

// ListsHost tells whether text can stand in a list of hosts, and else what is wrong with it.
func ListsHost(text string) (wrong string) {
	if _, path, _ := strings.Cut(text, "/"); len(text) > 512 || !hosts.MatchString(text) || !onePath("/"+path) {
		return "is no host; write churn.example.com, *.churn.example.com for all names below it, or models.example.com/churn for what is at a path and below, in lower case and without a port; a name of other letters as DNS has it, xn--..."
	}
	return ""
}

// onePath tells whether all servers read a path as it is written: it has no byte that is written in another way, and no part that leads elsewhere.
func onePath(path string) bool {
	if strings.ContainsAny(path, `%\;`) {
		return false
	}
	parts := strings.Split(strings.Trim(path, "/"), "/")
	return !strings.Contains(path, "//") && !slices.Contains(parts, ".") && !slices.Contains(parts, "..")
}

// Claims are the requests that r has sent to it; none where nothing is declared.
func (r *Traefik) Claims() []Claim {
	if r == nil {
		return nil
	}
	return []Claim{NewClaim(r.Host, r.Path)}
}

// Claims are those of a route and of an ingress.
func (t *KubernetesTarget) Claims() (out []Claim) {
	if r := t.Route; r != nil {
		out = append(out, NewClaim(r.Host, r.Path))
	}
	if r := t.Ingress; r != nil {
		out = append(out, NewClaim(r.Host, r.Path))
	}
	return out
}

// Claims are those of the way in that KServe makes, and of those that Knative makes besides.
func (t *KServeTarget) Claims() []Claim {
	if !t.Expose {
		return nil
	}
	out := []Claim{NewClaim(t.Host, "")}
	for _, own := range t.Besides() {
		out = append(out, NewClaim(own, ""))
	}
	return out
}

// Besides are the hosts that Knative gives the predictor and, while a new release is tried, the one before, where KServe gives both their host: their
// names begin as that does, as NAME.NAMESPACE.DOMAIN has it. None where no host is declared, or nothing is exposed by Knative.
func (t *KServeTarget) Besides() []string {
	first, rest, is := strings.Cut(t.Host, ".")
	if t.Mode != KServeKnative || !t.Expose || !is {
		return nil
	}
	own := first + predictor + "." + rest
	return []string{own, previous + own}
}

// Claims are the requests that the target has fronts send to it. The ways in of Seldon are by namespace and name below hosts of its own, and a
// server of TensorFlow is asked at the address that its owner gave it: neither is claimed by a declaration.
func (t *Target) Claims() []Claim {
	switch {
	case t.Docker != nil:
		return t.Docker.Traefik.Claims()
	case t.Kubernetes != nil:
		return t.Kubernetes.Claims()
	case t.KServe != nil:
		return t.KServe.Claims()
	}
	return nil
}

// fronts are the variables of a container by which what looks at the containers of a machine sends requests to it, or tells others where it is. One
// that ends with _ is all that begin so.
var fronts = []string{
	"VIRTUAL_HOST", "VIRTUAL_HOST_MULTIPORTS", // nginx-proxy, and others that read what it does
	"LETSENCRYPT_HOST",     // what fetches its certificates
	"SERVICE_", "DNSDOCK_", // Registrator and dnsdock
	"INTERLOCK_DATA",
}

// ForFront tells whether a variable of a container has a front send requests to it.
func ForFront(variable string) bool {
	return slices.ContainsFunc(fronts, func(name string) bool {
		return variable == name || strings.HasSuffix(name, "_") && strings.HasPrefix(variable, name)
	})
}

// claimed checks the host and the path of a claim.
func claimed(d *document, field, host, path string) {
	if host == "" && d.has(field+".host") {
		d.problem(field+".host", "names no host; write the name that requests are sent to, as model.example.com")
	}
	named(d, field+".host", host)
	pathOfRequests(d, field+".path", path)
	if requestPath.MatchString(path) && !onePath(path) {
		d.problem(field+".path", "%s is a path that servers read in more than one way; write it without %%, //, and parts of dots alone", short(path))
	}
}

// claims holds what the deployment d claims against the hosts of its environment, and against what others claim of the same front.
func (c *checker) claims(d *document, s *Deployment) {
	for _, is := range c.claiming(&s.Target) {
		at := is.field + ".host"
		if d.wrong(is.field) || !is.Named() && d.has(at) {
			continue
		}
		if s.Target.KServe != nil && !is.Named() {
			at = is.field + ".expose"
		}
		c.hosted(d, at, s.Environment, is.Claim)
		if !is.Named() {
			continue
		}
		key := is.String() + " at " + is.front + " by "
		asked, said := key+"any", []string{key + "some"} // a front that is not named may be any of them
		if len(is.ways) == 0 {
			asked, said = key+"some", append(said, key+"any")
		}
		asks := []string{asked}
		for _, way := range is.ways {
			asks, said = append(asks, key+"="+way), append(said, key+"="+way)
		}
		for _, ask := range asks {
			if other, taken := c.claimed[ask]; taken && other != d.decl.Ref() {
				d.problem(at, "%s is claimed by %s as well, and requests go to one of them; give this one another host, or a path of its own", is.Claim, other)
				break
			}
		}
		for _, key := range said {
			if _, taken := c.claimed[key]; !taken {
				c.claimed[key] = d.decl.Ref()
			}
		}
	}
}

// hosted reports a claim that the project does not let the environment have, however that is spelt.
func (c *checker) hosted(d *document, field, environment string, claim Claim) {
	if c.project == nil || environment == "" {
		return
	}
	p := ProjectOf([]Declaration{c.project.decl})
	if p == nil {
		return
	}
	switch name, lacks := p.Lacks(environment, claim); {
	case lacks && !claim.Named():
		d.problem(field, "has KServe make a way in at %s, and environment %s has those that it lists; name the host that KServe gives it, as host: churn.example.com", claim, short(name))
	case lacks:
		d.problem(field, "%s is none of the hosts of environment %s; name one of those, or have it added to its hosts in %s", claim, short(name), Root)
	}
}

// Lacks tells whether the project does not let an environment have a claim, and how the environment is spelt that does not.
func (s *Project) Lacks(environment string, claim Claim) (name string, lacks bool) {
	for _, name := range slices.Sorted(maps.Keys(s.Environments)) {
		if e := s.Environments[name]; Place(name) == Place(environment) && e.Hosts != nil && !claim.Within(e.Hosts) {
			return name, true
		}
	}
	return "", false
}

// claiming is a claim, where it is declared, and whom it is made of: two that have a way in common, or of which one names none, are of the same.
type claiming struct {
	Claim
	field string
	front string
	ways  []string
}

// claiming are the claims of a target.
func (c *checker) claiming(t *Target) (out []claiming) {
	if t.Docker != nil && t.Docker.Traefik != nil {
		r := t.Docker.Traefik
		return []claiming{{NewClaim(r.Host, r.Path), "spec.target.docker.traefik", "traefik", r.EntryPoints}}
	}
	if k := t.KServe; k != nil {
		for _, claim := range k.Claims() {
			out = append(out, claiming{claim, "spec.target.kserve", "kserve " + c.reached(k.Cluster).Context, nil})
		}
		return out
	}
	k := t.Kubernetes
	if k == nil {
		return nil
	}
	cluster := c.reached(k.Cluster)
	if r := k.Route; r != nil {
		out = append(out, claiming{NewClaim(r.Host, r.Path), "spec.target.kubernetes.route", "gateway " + cluster.Context, []string{cmp.Or(r.Namespace, cluster.Namespace) + "/" + r.Gateway}})
	}
	if r := k.Ingress; r != nil {
		is := claiming{NewClaim(r.Host, r.Path), "spec.target.kubernetes.ingress", "ingress " + cluster.Context, nil}
		if r.Class != "" {
			is.ways = []string{r.Class}
		}
		out = append(out, is)
	}
	return out
}

// reached is the cluster that a target names. Two names may be of one.
func (c *checker) reached(name string) Cluster {
	if c.project != nil {
		if p := ProjectOf([]Declaration{c.project.decl}); p != nil && p.Clusters[name] != (Cluster{}) {
			return p.Clusters[name]
		}
	}
	return Cluster{Context: "?" + name}
}
