// What stands before the pods of Istio, Knative and Seldon: Envoy.

package kubetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
)

// Mesh sends each request to a pod of the Service that service says for its host. Where a pod that just ends took one and gave no answer at
// all it asks again, twice at most, as Istio and Knative have Envoy do.
func (c *Cluster) Mesh(service func(host string) string) http.RoundTripper {
	return mesh{&http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		name := service(host)
		at, ok := c.Endpoint(name)
		if !ok {
			return nil, fmt.Errorf("service %q has no pod", name)
		}
		return (&net.Dialer{}).DialContext(ctx, network, at)
	}}}
}

type mesh struct{ to http.RoundTripper }

func (m mesh) RoundTrip(r *http.Request) (a *http.Response, err error) {
	for range 3 {
		if a, err = m.to.RoundTrip(r); err == nil || r.Body != nil && r.Body != http.NoBody || !unanswered(err) {
			break
		}
	}
	return a, err
}

// unanswered tells of a connection that was refused, or ended before any answer came by it.
func unanswered(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.EOF) ||
		strings.Contains(err.Error(), "server closed idle connection") // net/http has no value for it
}
