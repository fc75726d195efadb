// The way to a registry: who may be asked, with whose credentials, and how often.

package registry

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
	"oras.land/oras-go/v2/registry/remote/retry"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/bucket"
	dialling "github.com/vishwaops/vishwa/reconciler/machine/dial"
	"github.com/vishwaops/vishwa/reconciler/machine/httpx"
)

// Variables are those of the environment that say how to sign in to a registry:
// Vishwa's own, Docker's, and what credential helpers of clouds read.
var Variables = slices.Concat(
	[]string{"VISHWA_OCI_REGISTRY", "VISHWA_OCI_USERNAME", "VISHWA_OCI_PASSWORD", "VISHWA_OCI_CA_FILE", "DOCKER_CONFIG", "GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_CONFIG"},
	bucket.Variables)

const (
	retries   = 5 // after the first try
	redirects = 5
	slowTries = 2
	longest   = 30 * time.Second // between two tries
	unused    = time.Minute      // that a connection is kept
	patient   = 8                // windows, for what is put together before it is answered
)

// steady is how fast an answer has to come.
var steady = dialling.Pace{Window: 2 * time.Minute, Least: 2000}

// server is whom to ask.
type server struct {
	host     string // and port, as it is dialled
	name     string // as it is declared: docker.io is at another host
	plain    bool   // without TLS
	loopback bool   // on this machine, by its address
}

// client asks the registry, and signs in where it asks for that.
func (o Options) client(at server) (*auth.Client, error) {
	transport, err := o.transport(at)
	if err != nil {
		return nil, err
	}
	var next http.RoundTripper = transport
	next = within{next, at}
	pace := o.pace
	if pace == (dialling.Pace{}) {
		pace = steady
	}
	long := pace
	long.Window *= patient // what was sent is put together before it is answered
	next = sends{usual: dialling.Paced(next, pace), long: dialling.Paced(next, long)}
	next = bucket.Paced(next, o.jobs())
	next = &retry.Transport{Base: next, Policy: func() retry.Policy { return again{o.wait()} }}
	c := &auth.Client{
		Client: &http.Client{Transport: next, CheckRedirect: func(_ *http.Request, via []*http.Request) error {
			if len(via) > redirects {
				return fault.WithHint(fault.New(fault.Invalid, "it redirects more than %d times", redirects), "have the registry name the address where its bytes are, or ask who runs it")
			}
			return nil
		}},
		Cache: auth.NewCache(), ClientID: "vishwa", Credential: o.credential(at),
	}
	c.SetUserAgent("vishwa")
	return c, nil
}

func (o Options) jobs() int {
	if o.Jobs > 0 {
		return o.Jobs
	}
	return 16
}

// wait is how long to wait before the second try.
func (o Options) wait() time.Duration {
	if o.pause > 0 {
		return o.pause
	}
	return 2 * pause
}

func (o Options) lookup(name string) string {
	if o.Lookup == nil {
		return ""
	}
	v, _ := o.Lookup(name)
	return v
}

func (o Options) transport(at server) (*http.Transport, error) {
	t := httpx.Transport(httpx.Options{Dial: at.dial, Header: -1, PerHost: 2 * o.jobs(), Verbatim: true})
	t.Proxy, t.MaxIdleConns, t.IdleConnTimeout = http.ProxyFromEnvironment, 2*o.jobs(), unused
	t.ExpectContinueTimeout, t.WriteBufferSize, t.ReadBufferSize = 5*time.Second, 64<<10, 64<<10
	if at.plain {
		t.Proxy = nil // it would see everything
	}
	authorities := o.lookup("VISHWA_OCI_CA_FILE")
	if authorities == "" {
		return t, nil
	}
	roots, err := httpx.Authorities(authorities)
	if err != nil {
		return nil, fault.WithHint(fmt.Errorf("%s: %w", at.name, err), "correct VISHWA_OCI_CA_FILE")
	}
	t.TLSClientConfig.RootCAs = roots
	return t, nil
}

// dial connects, and not to where clouds have their metadata. A name that says this machine leads to no other, as passwords go there in clear.
func (at server) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fault.New(fault.Invalid, "%w", err)
	}
	control := func(_, resolved string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(resolved)
		switch {
		case err != nil || to.Addr().Unmap().IsLinkLocalUnicast() || to.Addr().IsMulticast():
			return fault.WithHint(fault.New(fault.Denied, "%s is not the address of a registry", resolved), "correct the store's address, or ask who runs the registry that leads there")
		case at.plain && dialling.Loopback(host) && !to.Addr().Unmap().IsLoopback():
			return fault.WithHint(fault.New(fault.Denied, "%s is at %s, which is not this machine", host, resolved), "write 127.0.0.1, or give the registry https: passwords do not go to another machine in clear")
		}
		return nil
	}
	c, err := (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second, Control: control}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return bucket.Lively(c), nil
}

// within lets nothing go without TLS but to the registry itself, where it is declared
// so, and on this machine where the registry is there. A registry may name any address:
// to send its token requests to, its uploads, its downloads.
type within struct {
	next http.RoundTripper
	at   server
}

func (w within) RoundTrip(req *http.Request) (*http.Response, error) {
	u := req.URL
	own := u.Host == w.at.host
	switch {
	case u.Scheme == "https":
	case u.Scheme == "http" && w.at.plain && own && (w.at.loopback || req.Header.Get("Authorization") == ""):
	case u.Scheme == "http" && w.at.plain && w.at.loopback && dialling.Loopback(u.Hostname()):
	default:
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, fault.WithHint(fault.New(fault.Denied, "the registry %s leads to %s://%s, which is not safe", w.at.name, u.Scheme, u.Host), "have the registry name addresses that begin with https")
	}
	return w.next.RoundTrip(req)
}

// sends holds requests to a pace, and those that send bytes to a longer one.
type sends struct{ usual, long http.RoundTripper }

func (s sends) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method == http.MethodPut || req.Method == http.MethodPatch {
		return s.long.RoundTrip(req)
	}
	return s.usual.RoundTrip(req)
}

// again says what is asked again, and when.
type again struct{ wait time.Duration }

func (a again) Retry(attempt int, resp *http.Response, err error) (time.Duration, error) {
	if attempt >= retries || !passing(resp, err) || attempt >= slowTries-1 && errors.As(err, new(*dialling.Slow)) {
		return -1, nil
	}
	if resp != nil {
		if wait, said := httpx.RetryAfter(resp, time.Now()); said {
			return min(wait, longest), nil
		}
	}
	wait := min(a.wait<<attempt, longest)
	return wait/2 + rand.N(wait/2+1), nil
}

// passing tells whether an answer, or that there is none, may pass.
func passing(resp *http.Response, err error) bool {
	if err == nil {
		return resp.StatusCode >= 500 && resp.StatusCode != http.StatusNotImplemented || resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusRequestTimeout
	}
	var refused *fault.Error
	var nobody *net.DNSError
	return !errors.As(err, &refused) && !httpx.Untrusted(err) && !(errors.As(err, &nobody) && nobody.IsNotFound) &&
		!errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}

// credential finds the credentials of this registry, for no other host, and for none
// that is asked without TLS on another machine. Those of the environment name the
// registry that they are of: a declaration must not choose who gets them.
func (o Options) credential(at server) auth.CredentialFunc {
	return func(ctx context.Context, host string) (auth.Credential, error) {
		if o.Anonymous || host != at.host || at.plain && !at.loopback {
			return auth.EmptyCredential, nil
		}
		if user := o.lookup("VISHWA_OCI_USERNAME"); user != "" {
			of := o.lookup("VISHWA_OCI_REGISTRY")
			if of == "" {
				return auth.EmptyCredential, fault.WithHint(fault.New(fault.Denied, "VISHWA_OCI_USERNAME is set, and not which registry it is of"), "set VISHWA_OCI_REGISTRY to %s, if it is this one", at.name)
			}
			if strings.EqualFold(of, at.name) || strings.EqualFold(of, at.host) {
				return auth.Credential{Username: user, Password: o.lookup("VISHWA_OCI_PASSWORD")}, nil
			}
		}
		file := o.lookup("DOCKER_CONFIG")
		if home := o.lookup("HOME"); file == "" && home != "" {
			file = filepath.Join(home, ".docker")
		}
		if file == "" {
			return auth.EmptyCredential, nil
		}
		file = filepath.Join(file, "config.json")
		kept, err := credentials.NewStore(file, credentials.StoreOptions{})
		if err != nil {
			return auth.EmptyCredential, fault.WithHint(fault.New(fault.Invalid, "%s cannot be read", file), "correct it, or set DOCKER_CONFIG to the folder of another")
		}
		c, err := credentials.Credential(kept)(ctx, host)
		if err != nil {
			return auth.EmptyCredential, fault.WithHint(fault.New(fault.Denied, "%s has no credentials for %s that can be read, or its credential helper failed", file, at.name),
				"try docker login %s, or set VISHWA_OCI_REGISTRY, VISHWA_OCI_USERNAME and VISHWA_OCI_PASSWORD", at.name)
		}
		return c, nil
	}
}
