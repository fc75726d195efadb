// What may be said of a pull request's plan. A module can put whatever it reads into a
// message or an address, in any guise; so once the state and the base's variables are in
// reach, nothing of its text is repeated but what everybody can read in the repository.

package provisioner

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// fixed are messages of the program's own, which hold nothing of a module's.
var fixed = []string{
	"Check block assertion failed", "Cycle", "Error accessing remote module registry", "Failed to download module",
	"Failed to install provider", "Failed to query available provider packages", "Failed to resolve provider packages", "Invalid provider registry host", "Module not installed", "Duplicate resource", "Error acquiring the state lock", "Error in function call", "Error loading state",
	"Error refreshing state", "Failed to decode current backend config", "Failed to get existing workspaces", "Failed to load state", "Function calls not allowed",
	"Inconsistent conditional result types", "Incorrect attribute value type", "Instance cannot be destroyed", "Invalid count argument", "Invalid expression",
	"Check block assertion failed", "Invalid for_each argument", "Invalid for_each set argument", "Invalid function argument", "Invalid index", "Invalid operand", "Invalid provider configuration",
	"Invalid template interpolation value", "Invalid value for input variable", "Invalid value for variable", "Iteration over null value", "Missing required argument",
	"Module output value precondition failed", "No value for required variable", "Output refers to sensitive values", "Plugin did not respond", "Plugin error",
	"Provider configuration not present", "Provider produced inconsistent final plan", "Provider produced invalid object", "Provider produced invalid plan",
	"Reference to undeclared input variable", "Reference to undeclared resource", "Request cancelled", "Required plugins are not installed",
	"Resource postcondition failed", "Resource precondition failed", "Resource to import not found", "Sensitive value in output", "Unsupported argument",
	"Unsupported attribute", "Unsupported Terraform Core version", "Unsupported OpenTofu Core version",
}

// public is d as it may be repeated.
func (w *proposal) public(d diagnostic) diagnostic {
	if !w.veiled {
		return d
	}
	out := diagnostic{Severity: d.Severity, Summary: d.Summary}
	if !slices.Contains(fixed, d.Summary) {
		out.Summary = "(a message that is kept back, since it could hold what the plan has read)"
	}
	if d.Range != nil && slices.ContainsFunc(w.module, func(f digest.File) bool { return f.Path == d.Range.Filename }) {
		out.Range = d.Range
	}
	return out
}

var instance = lazyregexp.New(`\["((?:[^"\\]|\\.)*)"\]`)

// hideKeys takes from the addresses of c the keys of instances that stand nowhere in
// the repository: a key is a value that the module has worked out.
func (w *proposal) hideKeys(c *port.Change) {
	if !w.veiled {
		return
	}
	hidden := map[string]string{}
	clean := func(address string) string {
		return instance.ReplaceAllStringFunc(address, func(key string) string {
			if strings.Contains(w.known, key[2:len(key)-2]) {
				return key
			}
			if hidden[key] == "" {
				hidden[key] = fmt.Sprintf(`["(hidden %d)"]`, len(hidden)+1)
			}
			return hidden[key]
		})
	}
	for i := range c.Actions {
		c.Actions[i].Address = clean(c.Actions[i].Address)
	}
	for i := range c.Drift {
		c.Drift[i] = clean(c.Drift[i])
	}
	if raw, err := readdress(c.Raw, clean); err == nil && len(hidden) > 0 {
		c.Raw = raw // what policies quote are addresses
	}
}

// readdress is a plan with its addresses changed by clean.
func readdress(plan json.RawMessage, clean func(string) string) (json.RawMessage, error) {
	var doc any
	d := json.NewDecoder(bytes.NewReader(plan))
	d.UseNumber()
	if err := d.Decode(&doc); err != nil {
		return nil, err
	}
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			for name, e := range v {
				if s, ok := e.(string); ok && strings.HasSuffix(name, "address") {
					v[name] = clean(s)
					continue
				}
				walk(e)
			}
		}
	}
	walk(doc)
	return json.Marshal(doc)
}

var (
	asked    = lazyregexp.New(`(?:https?|ssh)://[^\s"'<>]+`)
	looked   = lazyregexp.New(`(?:lookup|resolve host:?) ([-.A-Za-z0-9]+)`)
	cut      = lazyregexp.New(`(?i)dial tcp|dial udp|resolve host|operation not permitted|network is unreachable|socket`)
	homeless = lazyregexp.New(`provider (?:([-A-Za-z0-9]+\.[-.A-Za-z0-9]+)/)?[-_A-Za-z0-9]+/[-_A-Za-z0-9]+(?: was not found in any|: no available releases match)`)
)

// registries are where a provider is from whose address names none.
var registries = map[string]string{"terraform": "registry.terraform.io", "tofu": "registry.opentofu.org"}

// astray is err, with the hosts that were asked for and may not be reached.
func (w *proposal) astray(err error, all []diagnostic, refused []string) error {
	hosts := slices.Clone(refused)
	add := func(host string) {
		if !slices.Contains(hosts, host) && !wall.Reaches(w.stack.Network, host) {
			hosts = append(hosts, host)
		}
	}
	for _, d := range all {
		text := strings.Join(strings.Fields(d.Summary+" "+d.Detail), " ")
		if m := homeless.FindStringSubmatch(text); m != nil {
			add(net.JoinHostPort(cmp.Or(m[1], registries[w.tool.product]), "443"))
		}
		if len(w.stack.Network) > 0 {
			continue // its proxy knows better
		}
		for _, a := range asked.FindAllString(text, -1) {
			if h, ok := hostOf(a); ok && seems(text) {
				add(h)
			}
		}
		if m := looked.FindStringSubmatch(text); m != nil && len(hosts) == 0 && m[1] != "" {
			add(net.JoinHostPort(m[1], "443"))
		}
	}
	if w.veiled {
		hosts = slices.DeleteFunc(hosts, func(h string) bool {
			name, _, _ := net.SplitHostPort(h)
			return !w.everybodyKnows(name)
		})
	}
	if len(hosts) == 0 {
		return err
	}
	if len(hosts) > most {
		hosts = hosts[:most]
	}
	if w.tests {
		return fault.WithHint(fault.New(fault.Denied, "%w; it asked for %s, which the tests of infrastructure/%s may not reach: its network does not list it",
			err, strings.Join(hosts, ", "), w.stack.Name), "mock the provider (mock_provider), or list what the tests need under spec.network")
	}
	return fault.WithHint(fault.New(fault.Denied, "%w; it asked for %s, which infrastructure/%s may not reach in a pull request: its network on the base branch does not list it",
		err, strings.Join(hosts, ", "), w.stack.Name),
		"list what it needs under spec.network on the base branch, or put the provider into a mirror of this machine (docs/terraform.md)")
}

// hostOf is host:port of an address.
func hostOf(address string) (string, bool) {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" {
		return "", false
	}
	port := cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443", "ssh": "22"}[u.Scheme])
	return net.JoinHostPort(u.Hostname(), port), port != ""
}

// everybodyKnows tells whether a host's name stands in the repository, or is the registry's.
func (w *proposal) everybodyKnows(name string) bool {
	for _, v := range w.stack.State.Backend {
		if strings.Contains(v, name) {
			return true
		}
	}
	return strings.Contains(w.known, name) || name == registries[w.tool.product]
}

// seems tells whether a message is of a connection that could not be made.
func seems(text string) bool {
	return slices.ContainsFunc(rules, func(r rule) bool { return r.kind == fault.Transient && r.says.MatchString(text) }) ||
		cut.MatchString(text)
}
