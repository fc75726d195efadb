// Which cluster it is: a name may be given to another, the uid of kube-system is not.

package kube

import (
	"context"
	"net/http"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// UID is that of the cluster's namespace kube-system, asked anew. Where the declaration names
// another it is a Conflict.
func (c *Client) UID(ctx context.Context) (string, error) {
	var ns struct {
		Metadata struct {
			UID string `json:"uid"`
		} `json:"metadata"`
	}
	if err := c.Get(ctx, Namespaces, "kube-system", &ns); err != nil {
		return "", err
	}
	uid := ns.Metadata.UID
	if uid == "" {
		return "", fault.WithHint(fault.New(fault.Corrupt, "get namespace kube-system: %s gives it no uid", c.at), "see that the context of the kubeconfig leads to the API server of a cluster")
	}
	if c.want != "" && uid != c.want {
		return "", fault.WithHint(fault.New(fault.Conflict, "%s is another cluster than the declared one: its uid is %s, and not %s", c.at, uid, c.want),
			"choose the context of the declared cluster; where the cluster was made anew on purpose, change uid in spec.clusters of the project")
	}
	c.uid.Store(&uid)
	return uid, nil
}

// KnownUID is UID without asking again, where it was asked.
func (c *Client) KnownUID(ctx context.Context) (string, error) {
	if uid := c.uid.Load(); uid != nil {
		return *uid, nil
	}
	return c.UID(ctx)
}

// Version is that of a group of APIs which the server would have, asked once; a group that it does not have is Missing.
func (c *Client) Version(ctx context.Context, group string) (string, error) {
	if v, ok := c.versions.Load(group); ok {
		return v.(string), nil
	}
	var g struct {
		Preferred struct {
			Version string `json:"version"`
		} `json:"preferredVersion"`
	}
	err := c.ask(ctx, question{verb: "get", resource: Resource{Name: "the API group " + group}, method: http.MethodGet, path: "/apis/" + group}, &g)
	if fault.Of(err) == fault.Invalid {
		return "", fault.WithHint(fault.New(fault.Missing, "%s has no API %s", c.at, group), "install what brings that API into the cluster, or correct the cluster in vishwa.yaml")
	}
	if err == nil {
		c.versions.Store(group, g.Preferred.Version)
	}
	return g.Preferred.Version, err
}

// At is which cluster, for people.
func (c *Client) At() string { return c.at }

// ServerVersion is the version of the API server, such as v1.34.1, which anybody may ask for; "" where it does not tell.
func (c *Client) ServerVersion(ctx context.Context) string {
	if known := c.server.Load(); known != nil {
		return *known
	}
	var is struct {
		GitVersion string `json:"gitVersion"`
	}
	if c.ask(ctx, question{verb: "get", resource: Resource{Name: "the server's version"}, method: http.MethodGet, path: "/version"}, &is) != nil && ctx.Err() != nil {
		return ""
	}
	c.server.Store(&is.GitVersion)
	return is.GitVersion
}
