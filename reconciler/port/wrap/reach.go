// What begins runs and serves is asked where the owner of the machine lets it be: a declaration names the
// address that gets a credential, and the context and namespace of a cluster that this machine may use, and
// whoever may commit to one repository is not to have those of another's.

package wrap

import (
	"cmp"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Reach is where runs and deployments of a repository may be begun, and what they and its data may use of what is the machine's. Nil is
// everywhere, and all.
type Reach struct {
	Runners  []string // addresses of servers, and all below them, and of engines
	Clusters []ClusterReach
	// ModelServers are folders that may be written to, and where their servers are asked.
	ModelServers []ModelServerReach
	Bounds
}

// ModelServerReach is a folder of this machine and the address of the server that reads it.
type ModelServerReach struct{ Folder, URL string }

// ClusterReach is namespaces of a cluster.
type ClusterReach struct {
	Context    string // of the kubeconfig; "": its current one, or the cluster that this runs in
	Namespaces []string
}

// Runner refuses what r may not begin anything by: its address, or its cluster of all that are declared.
func (a *Reach) Runner(clusters map[string]schemas.Cluster, r schemas.Runner) error {
	if a == nil {
		return nil
	}
	addresses, names := r.Reaches()
	for _, address := range addresses {
		if !slices.ContainsFunc(a.Runners, func(may string) bool { return mayBegin(may, address) }) {
			return fault.WithHint(fault.New(fault.Denied, "the controller's file does not let this repository begin anything at %s", address),
				"have whoever runs the controller add the address to runners of this repository in the controller's file")
		}
	}
	for _, name := range names {
		if err := a.Cluster(clusters[name]); err != nil {
			return err
		}
	}
	return nil
}

// Cluster refuses a namespace of a cluster.
func (a *Reach) Cluster(c schemas.Cluster) error {
	if a == nil || slices.ContainsFunc(a.Clusters, func(may ClusterReach) bool {
		return may.Context == c.Context && slices.Contains(may.Namespaces, c.Namespace)
	}) {
		return nil
	}
	add := fmt.Sprintf("{namespaces: [%s]}", c.Namespace)
	if c.Context != "" {
		add = fmt.Sprintf("{context: %s, namespaces: [%s]}", c.Context, c.Namespace)
	}
	return fault.WithHint(fault.New(fault.Denied, "the controller's file does not let this repository use the namespace %s of %s", c.Namespace, cmp.Or(c.Context, "the cluster that the controller has without a context")),
		"have whoever runs the controller add %s to clusters of this repository in the controller's file", add)
}

// ModelServer refuses the folder or the address of a model server.
func (a *Reach) ModelServer(m schemas.ModelServer) error {
	if a == nil || slices.ContainsFunc(a.ModelServers, func(may ModelServerReach) bool {
		return path.Clean(may.Folder) == path.Clean(m.Folder) && strings.TrimRight(may.URL, "/") == strings.TrimRight(m.URL, "/")
	}) {
		return nil
	}
	if m.Folder == "" {
		return fault.WithHint(fault.New(fault.Denied, "the controller's file does not let this repository serve by %s", m.URL),
			"have whoever runs the controller add {url: %s} to modelServers of this repository in the controller's file", m.URL)
	}
	return fault.WithHint(fault.New(fault.Denied, "the controller's file does not let this repository write to %s and ask %s", m.Folder, m.URL),
		"have whoever runs the controller add {folder: %s, url: %s} to modelServers of this repository in the controller's file", m.Folder, m.URL)
}

// at tells whether asked is an address or below it. What follows the whole address is a path, so that its
// host ends where that of the address does, and no server leads out of it, however it reads a path.
func at(address, asked string) bool {
	address, asked = strings.TrimRight(address, "/"), strings.TrimRight(asked, "/")
	below, is := strings.CutPrefix(asked, address)
	return is && address != "" && (below == "" || below[0] == '/' && !strings.Contains(below, "..") && !strings.ContainsAny(below, `%\;`))
}

// mayBegin tells whether a runner's address is one that is listed: an engine as a whole, for its path is the engine, or a service with all
// below it.
func mayBegin(listed, asked string) bool {
	may, is := engine(listed)
	if !is {
		_, is := engine(asked)
		return !is && at(listed, asked)
	}
	want, is := engine(asked)
	return is && want == may
}

// engineAt is where an engine is, as it is reached.
type engineAt struct{ scheme, user, host, port, path string }

// engine reads the address of an engine, with what it leaves to say filled in; false is that it is none.
func engine(address string) (engineAt, bool) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "ssh" && u.Scheme != "tcp" && u.Scheme != "unix" {
		return engineAt{}, false
	}
	out := engineAt{u.Scheme, u.User.String(), strings.ToLower(u.Hostname()), u.Port(), u.Opaque + strings.TrimRight(u.Path, "/") + u.RawQuery + u.Fragment}
	if u.Scheme == "ssh" {
		out.port, out.path = cmp.Or(out.port, "22"), cmp.Or(out.path, port.UsualEngine)
	}
	return out, true
}
