// What an answer that is none means: whether to wait, to log in, to ask for a right, or to
// change what was asked.

package kube

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/harmless"
)

// status is how a server of Kubernetes says no.
type status struct {
	Message string `json:"message"`
	Reason  string `json:"reason"`
	Details struct {
		Causes []struct {
			Reason string `json:"reason"`
		} `json:"causes"`
	} `json:"details"`
}

func (s status) because(reason string) bool {
	for _, c := range s.Details.Causes {
		if c.Reason == reason {
			return true
		}
	}
	return s.Reason == reason
}

// refused is an answer of an error's status.
func (c *Client) refused(q question, resp *http.Response) error {
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	var s status
	if json.Unmarshal(raw, &s) != nil || s.Message == "" {
		s.Message = resp.Status // a proxy's page is not for people
	}
	return c.means(q, resp.StatusCode, s)
}

// By typed and undeclared a server says that its kind has no such field. It does so as of a fault of its own, which would be tried for ever.
const (
	typed      = "failed to create typed patch object ("
	undeclared = "field not declared in schema"
)

// means classes what a server of Kubernetes says.
func (c *Client) means(q question, code int, s status) error {
	said := Cut(s.Message)
	if code == http.StatusInternalServerError && strings.HasPrefix(s.Message, typed) && strings.HasSuffix(s.Message, undeclared) {
		code = http.StatusBadRequest
	}
	if code >= 500 {
		c.quiet()
	}
	switch {
	case (code == http.StatusUnauthorized || code == http.StatusForbidden) && c.awakes():
		return fault.WithHint(fault.New(fault.Transient, "%s: %s came back a moment ago, and may not know its rules yet: %s", q, c.at, said), "try again in a minute")
	case code == http.StatusUnauthorized:
		return fault.WithHint(fault.New(fault.Denied, "%s: %s does not know us (any more)", q, c.at),
			"log in to the cluster again, or give Vishwa credentials that are renewed: an exec plugin of the kubeconfig, or a service account")
	case code == http.StatusForbidden:
		return c.forbidden(q, s, said)
	case code == http.StatusNotFound:
		return c.absent(q, s, said)
	case code == http.StatusConflict:
		return fault.WithHint(fault.New(fault.Conflict, "%s: %s", q, said), "somebody else changed it at the same time: run the command again")
	case code == http.StatusGone:
		return fault.WithHint(fault.New(fault.Conflict, "%s: what it goes on from is forgotten: %s", q, said), "run the command again: it looks at the cluster anew")
	case code == http.StatusRequestEntityTooLarge, code == http.StatusBadRequest, code == http.StatusUnprocessableEntity,
		code == http.StatusMethodNotAllowed, code == http.StatusUnsupportedMediaType, code == http.StatusNotAcceptable:
		return fault.WithHint(fault.New(fault.Invalid, "%s: %s refuses it: %s", q, c.at, said), "correct the field of the declaration that the message is about; a cluster of another version may not know it")
	case code == http.StatusTooManyRequests, code >= 500, code == http.StatusRequestTimeout:
		return fault.WithHint(fault.New(fault.Transient, "%s: %s cannot answer now: %s", q, c.at, said), "try again when it does; kubectl get --raw /readyz tells how it is")
	case code >= 300 && code < 400:
		return fault.WithHint(fault.New(fault.Invalid, "%s: %s sends elsewhere", q, c.at), "give the address of the API server itself")
	default:
		return fault.WithHint(fault.New(fault.Transient, "%s: %s answers %d: %s", q, c.at, code, said), "see that no proxy answers in place of the API server; kubectl get --raw /readyz tells how it is")
	}
}

// Quota tells whether a refusal is the API server's own for a full quota: it has no field of its own for that. What a rule of the cluster says
// comes behind the name of what refuses, as in: admission webhook "x" denied the request.
func Quota(message string) bool {
	_, why, is := strings.Cut(message, "is forbidden: ")
	return is && strings.HasPrefix(why, "exceeded quota: ")
}

// forbidden tells a missing right from a full quota and a rule of the cluster's.
func (c *Client) forbidden(q question, s status, said string) error {
	switch {
	case s.because("NamespaceTerminating"):
		return fault.WithHint(fault.New(fault.Transient, "%s: namespace %s is being deleted", q, c.Namespace), "make the namespace again once it is deleted, or name another in spec.clusters of the project")
	case Quota(s.Message):
		return fault.WithHint(fault.New(fault.Transient, "%s in namespace %s: %s", q, c.Namespace, said), "raise the quota of the namespace, or wait until something in it ends")
	case strings.Contains(s.Message, "cannot "+q.verb+" resource") || !strings.Contains(s.Message, "denied"):
		where := "in namespace " + c.Namespace
		if q.resource.Wide {
			where = "in the cluster"
		}
		return fault.WithHint(fault.New(fault.Denied, "%s: %s does not let us %s %s %s", q, c.at, q.verb, q.resource, where),
			"give its account what %s grants", c.rights)
	default:
		return fault.WithHint(fault.New(fault.Invalid, "%s: a rule of the cluster refuses it: %s", q, said), "declare it as the rule asks, or have whoever runs the cluster allow it in namespace %s", c.Namespace)
	}
}

// absent tells an object that is not there from a place for it that is not.
func (c *Client) absent(q question, s status, said string) error {
	switch {
	case strings.HasPrefix(s.Message, "namespaces ") && !q.resource.Wide:
		return fault.WithHint(fault.New(fault.Invalid, "%s: %s has no namespace %s", q, c.at, c.Namespace), "make it, or name another in spec.clusters of the project")
	case s.Reason == "" || strings.Contains(s.Message, "the server could not find the requested resource"):
		return fault.WithHint(fault.New(fault.Invalid, "%s: %w", q, lacking{c.at, q.resource}), "install what brings %s of version %s, or a version of it that does", q.resource, q.resource.Version)
	default:
		return fault.WithHint(fault.New(fault.Missing, "%s: %s", q, said), "correct its name or its namespace, or make it in the cluster")
	}
}

// lacking is a cluster that has no such kind.
type lacking struct {
	at   string
	what Resource
}

func (l lacking) Error() string { return l.at + " has no " + l.what.String() }

// Lacks tells whether an error is that a cluster has no such kind.
func Lacks(err error) bool { return errors.As(err, &lacking{}) }

// unheard is a question that nobody answered.
func (c *Client) unheard(ctx context.Context, q question, err error) error {
	if ctx.Err() != nil {
		return fault.New(fault.Cancelled, "%s: %w", q, ctx.Err())
	}
	if fault.Of(err) == fault.Internal && errors.As(err, new(*fault.Error)) {
		return err
	}
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var expired x509.CertificateInvalidError
	var record *tls.CertificateVerificationError
	var alert tls.AlertError
	var dns *net.DNSError
	switch {
	case errors.As(err, &unknown), errors.As(err, &name), errors.As(err, &expired), errors.As(err, &record), errors.As(err, &alert):
		return fault.WithHint(fault.New(fault.Denied, "%s: the certificate of %s, or ours, does not hold", q, c.at), "look at certificate-authority and client-certificate in the kubeconfig: the cluster may have been made anew")
	case strings.Contains(err.Error(), "getting credentials"):
		// An exec plugin says why on standard error; what it prints may hold a secret.
		return fault.WithHint(fault.New(fault.Denied, "%s: the program that gives credentials for %s failed", q, c.at), "run what users.user.exec of the kubeconfig names, by hand and as Vishwa's user")
	case errors.As(err, &dns) && dns.IsNotFound:
		return fault.WithHint(fault.New(fault.Transient, "%s: nothing has the name of the server of %s", q, c.at), "look at its address in the kubeconfig")
	}
	c.quiet()
	return fault.WithHint(fault.New(fault.Transient, "%s: %s does not answer", q, c.at), "is the cluster up, and reached from here? kubectl version says so")
}

// waking is how long a server that came back may refuse what it allows: it answers before it
// has read who may do what.
const waking = 30 * time.Second

func (c *Client) quiet() { c.silent.Store(c.env.Now().UnixNano()) }

func (c *Client) awakes() bool {
	at := c.silent.Load()
	return at != 0 && c.env.Now().Sub(time.Unix(0, at)) < waking
}

// maxSaid bounds what a cluster says in our messages.
const maxSaid = 600

// Cut is what somebody in a cluster says, as one harmless line of a bounded length.
func Cut(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > maxSaid {
		s = strings.ToValidUTF8(s[:maxSaid], "") + " ..."
	}
	return harmless.Line(s)
}
