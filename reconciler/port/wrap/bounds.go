// What a repository's declarations may use of the environment, the credentials and the folders of a controller that has
// several.

package wrap

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Bounds are lists, each of which may be nil: what the declarations name then counts.
type Bounds struct {
	Own       []string             // variables that are the controller's own, and never a declaration's
	Variables *[]string            // that may be passed to what the declarations run
	Tokens    *map[string][]string // variables that may be sent, and the addresses, with all below them, that each is for
	Storage   *[]string            // places that the machine's credentials or rights open, and all below them
	Hosts     *[]string            // that fronts may send requests for, as schemas.Claim has lists of them
	// Apart says that others share the machine: programs that are not kept apart from it are not begun.
	Apart bool
	// Declared has runs reach the hosts that they declare and no other, at public addresses and at those in Allow, as pull requests' do.
	Declared bool
	Allow    []string
}

var _ port.Bounds = (*Reach)(nil)

// Variable refuses to pass a variable to what a declaration runs.
func (a *Reach) Variable(name string) error {
	switch {
	case a == nil:
		return nil
	case slices.Contains(a.Own, name):
		return fault.WithHint(fault.New(fault.Denied, "%s holds a secret of the controller's own", name), "take it out of the declaration")
	case a.Variables == nil || slices.Contains(*a.Variables, name):
		return nil
	}
	return fault.WithHint(fault.New(fault.Denied, "the controller's file does not let this repository pass %s to what it runs", name),
		"have whoever runs the controller add %s to variables of this repository in the controller's file, or take it out of the declaration", name)
}

// Token refuses to send the value of a variable to an address.
func (a *Reach) Token(name, address string) error {
	switch {
	case a == nil:
		return nil
	case slices.Contains(a.Own, name):
		return fault.WithHint(fault.New(fault.Denied, "%s holds a secret of the controller's own", name), "name another variable")
	case a.Tokens == nil || slices.ContainsFunc((*a.Tokens)[name], func(may string) bool { return at(may, address) }):
		return nil
	}
	return fault.WithHint(fault.New(fault.Denied, "the controller's file does not let this repository send %s to %s", name, plainly(address)),
		"have whoever runs the controller add %s: [%s] to tokens of this repository in the controller's file", name, host(address))
}

// Place refuses a place that the machine's credentials or rights open.
func (a *Reach) Place(address string) error {
	if filepath.IsAbs(address) {
		address = filepath.Clean(address)
	}
	if a == nil || a.Storage == nil || slices.ContainsFunc(*a.Storage, func(may string) bool { return at(may, address) }) {
		return nil
	}
	return fault.WithHint(fault.New(fault.Denied, "the controller's file does not let this repository use %s", plainly(address)),
		"have whoever runs the controller add it to storage of this repository in the controller's file")
}

// Host refuses requests that a front would send to what is served.
func (a *Reach) Host(c schemas.Claim) error {
	if a == nil || a.Hosts == nil || c.Within(*a.Hosts) {
		return nil
	}
	if !c.Named() {
		return fault.WithHint(fault.New(fault.Denied, "the controller's file says which hosts this repository may claim requests for, and the declaration does not say which host KServe gives it"),
			"name it: spec.target.kserve.host")
	}
	return fault.WithHint(fault.New(fault.Denied, "the controller's file does not let this repository claim requests for %s", harmless.Line(c.String())),
		"have whoever runs the controller add %s to hosts of this repository in the controller's file, or name a host of those", harmless.Line(c.String()))
}

// Network refuses a run that may reach all that the machine does: its loopback, the network around it, and the cloud's metadata, which has
// credentials of the machine's.
func (a *Reach) Network(all bool) error {
	if a == nil || !a.Declared || !all {
		return nil
	}
	return fault.WithHint(fault.New(fault.Denied, "the controller's file lets runs of this repository reach the hosts that they declare alone, and this one declares none"),
		"declare them, as network: [\"huggingface.co:443\"], or network: none; or have whoever runs the controller write network: all for this repository")
}

// Programs refuses to begin what runs as the machine's own user, without a sandbox: it could take all that is refused above.
func (a *Reach) Programs() error {
	if a == nil || !a.Apart {
		return nil
	}
	return fault.WithHint(fault.New(fault.Denied, "the controller's file does not let this repository provision infrastructure"),
		"have whoever runs the controller write infrastructure: true for this repository in the controller's file: its modules may then take all that the controller may")
}

// Release refuses a release that passes, logs or is begun where it may not.
func (a *Reach) Release(r port.Release) error {
	if a == nil {
		return nil
	}
	for _, name := range passed(r) {
		if err := a.Variable(name); err != nil {
			return err
		}
	}
	for _, c := range claimed(r) {
		if err := a.Host(c); err != nil {
			return err
		}
	}
	if d := r.Docker; d != nil && d.Host != "" {
		if err := a.Runner(nil, schemas.Runner{Docker: &schemas.DockerRunner{Host: d.Host}}); err != nil {
			return err
		}
	}
	switch l := r.Log; {
	case l == nil:
	case l.S3 != nil:
		return a.Place(l.S3.Address())
	case l.Dir != "":
		return a.Place(l.Dir)
	case l.Kafka != nil:
		for _, address := range l.Kafka.Addresses() {
			if err := a.Place(address); err != nil {
				return err
			}
		}
		for _, name := range l.Kafka.Variables() {
			for _, broker := range l.Kafka.Brokers {
				if err := a.Token(name, "kafka://"+broker); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// passed are the variables that a release's process may see.
func passed(r port.Release) []string {
	switch {
	case r.Local != nil:
		return r.Local.Pass
	case r.Docker != nil:
		return r.Docker.Pass
	case r.Kubernetes != nil:
		return r.Kubernetes.Env.Pass
	}
	return nil
}

// claimed are the requests that a release has fronts send to it.
func claimed(r port.Release) []schemas.Claim {
	switch {
	case r.Docker != nil:
		return r.Docker.Traefik.Claims()
	case r.Kubernetes != nil:
		return r.Kubernetes.Claims()
	case r.KServe != nil:
		return r.KServe.Claims()
	}
	return nil
}

// plainly is an address without what may be a secret in it.
func plainly(address string) string {
	address, _, _ = strings.Cut(address, "?")
	scheme, rest, is := strings.Cut(address, "://")
	if !is {
		return address
	}
	before, after, _ := strings.Cut(rest, "/")
	if i := strings.LastIndexByte(before, '@'); i >= 0 && scheme != "ssh" {
		before = before[i+1:]
	}
	if after != "" {
		before += "/" + after
	}
	return scheme + "://" + before
}

// host is the address of a server alone.
func host(address string) string {
	scheme, rest, _ := strings.Cut(plainly(address), "://")
	server, _, _ := strings.Cut(rest, "/")
	return scheme + "://" + server
}
