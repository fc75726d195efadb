// Package httpx is how an adapter asks a server over HTTP: connections that are kept and
// bounded, answers that have to come, what may be asked again asked again, rate limits
// waited out, what did not change not sent twice, and errors that have a fault's kind and
// no secret. machine/dial holds the lines themselves.
package httpx

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/dial"
)

// Options are what differs between those who ask.
type Options struct {
	// Dial connects; nil is any address, by the proxies of the environment. One that
	// looks at addresses is never led around by a proxy.
	Dial     func(ctx context.Context, network, address string) (net.Conn, error)
	Roots    *x509.CertPool // nil: the machine's
	Header   time.Duration  // until an answer begins; zero: Answers; negative: its pace says
	PerHost  int            // connections that are kept for a host; zero: 8
	Verbatim bool           // bodies come as they are kept, and are not packed on the way
}

// Answers is how long an answer may take to begin, where nothing else is said.
const Answers = 30 * time.Second

// Transport are connections that are kept for the next question.
func Transport(o Options) *http.Transport {
	t := &http.Transport{
		DialContext: o.Dial, ForceAttemptHTTP2: true, DisableCompression: o.Verbatim,
		MaxIdleConns: 100, MaxIdleConnsPerHost: o.PerHost, IdleConnTimeout: 90 * time.Second,
		TLSHandshakeTimeout: dial.Connect, ResponseHeaderTimeout: o.Header, MaxResponseHeaderBytes: 1 << 20,
		TLSClientConfig: &tls.Config{RootCAs: o.Roots, MinVersion: tls.VersionTLS12},
	}
	if o.Dial == nil {
		t.Proxy = http.ProxyFromEnvironment
		t.DialContext = (&net.Dialer{Timeout: dial.Connect, KeepAlive: 30 * time.Second}).DialContext
	}
	if o.Header == 0 {
		t.ResponseHeaderTimeout = Answers
	}
	if o.PerHost == 0 {
		t.MaxIdleConnsPerHost = 8
	}
	return t
}

// Authorities are the machine's, and those of a PEM file as well. A file that cannot be
// read is Missing, one without a certificate Invalid.
func Authorities(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fault.New(fault.Missing, "read its authorities: %w", err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fault.WithHint(fault.New(fault.Invalid, "%s holds no certificate", file), "give a file of certificates in PEM, each between BEGIN CERTIFICATE and END CERTIFICATE")
	}
	return roots, nil
}

// Drain reads what is left of a short answer, so that its connection is used again; what
// is left of a long one is cut.
func Drain(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
	resp.Body.Close()
}
