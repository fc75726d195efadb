// The way over HTTP to a remote of the user's own clone, as Git's configuration has it:
// through its proxy, with its headers, authorities and client certificate, and with the
// login that Git's credential helpers give. A mirror goes by none of it.

package repo

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// road is how at is reached, which the clone may know as the remote of that name.
func (o *own) road(ctx context.Context, remote, at string) (http.RoundTripper, error) {
	if known, ok := o.roads.Load(remote + " " + at); ok {
		return known.(http.RoundTripper), nil
	}
	set, err := o.settings(ctx)
	if err != nil {
		return nil, err
	}
	asked := settings{}
	for name := range set {
		if strings.HasPrefix(name, "http.") { // which of them are for this address, Git knows
			out, err := o.ask(ctx, nil, "config", "--includes", "-z", "--get-urlmatch", "http", at)
			if err != nil {
				return nil, err
			}
			asked = parsed(out)
			break
		}
	}
	by, err := asked.transport(set, remote, at)
	if err != nil {
		return nil, err
	}
	o.roads.Store(remote+" "+at, by)
	return by, nil
}

// transport is the connections that the settings of an address ask for.
func (s settings) transport(all settings, remote, at string) (http.RoundTripper, error) {
	t := roads.Clone()
	for _, l := range [][]string{s["http.proxy"], all["remote."+remote+".proxy"]} { // the last has the word
		if len(l) == 0 {
			continue
		}
		through, err := proxied(l[len(l)-1])
		if err != nil {
			return nil, err
		}
		t.Proxy = http.ProxyURL(through)
	}
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	if file := s.last("http.sslcainfo"); file != "" {
		text, err := os.ReadFile(home(file))
		pool := x509.NewCertPool()
		if err != nil || !pool.AppendCertsFromPEM(text) {
			return nil, fault.WithHint(fault.New(fault.Invalid, "read the authorities of http.sslCAInfo: %s holds no certificate that can be read", file), "correct http.sslCAInfo: git config --show-origin http.sslCAInfo")
		}
		t.TLSClientConfig.RootCAs = pool
	}
	if file := s.last("http.sslcert"); file != "" {
		key := s.last("http.sslkey")
		if key == "" {
			key = file
		}
		pair, err := tls.LoadX509KeyPair(home(file), home(key))
		if err != nil {
			return nil, fault.WithHint(fault.New(fault.Invalid, "read the certificate of http.sslCert: %w", err), "correct http.sslCert and http.sslKey; a key with a password cannot be used")
		}
		t.TLSClientConfig.Certificates = []tls.Certificate{pair}
	}
	if h := s.last("http.extraheader"); h != "" {
		to, err := url.Parse(at)
		if err != nil {
			return nil, fault.New(fault.Invalid, "the address of remote %s cannot be read", remote)
		}
		return headed{t, h, to.Host}, nil
	}
	return t, nil
}

// proxied is the proxy that a setting names; nil: none, whatever the environment says.
func proxied(at string) (*url.URL, error) {
	if at == "" {
		return nil, nil
	}
	if !strings.Contains(at, "://") {
		at = "http://" + at
	}
	u, err := url.Parse(strings.Replace(at, "socks5h://", "socks5://", 1))
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "socks5" {
		return nil, fault.WithHint(fault.New(fault.Invalid, "the proxy of Git's configuration cannot be used: %s", redact(at)), "write an http, https or socks5 URL: git config --show-origin --get-all http.proxy")
	}
	return u, nil
}

// headed sends a header along that Git would, to one host and to nobody that it redirects to.
type headed struct {
	next       http.RoundTripper
	line, host string
}

func (h headed) RoundTrip(req *http.Request) (*http.Response, error) {
	name, value, ok := strings.Cut(h.line, ":")
	if ok && req.URL.Host == h.host {
		req = req.Clone(req.Context())
		req.Header.Set(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	return h.next.RoundTrip(req)
}

// admission is what Git's credential helpers know of an address (git-credential(1)).
type admission struct {
	auth   *githttp.BasicAuth
	answer []byte // in Git's own words, for the helpers
}

// fill asks the helpers, and where they know nothing, the person at the terminal.
func (o *own) fill(ctx context.Context, at string) (*admission, error) {
	if strings.ContainsAny(at, "\n\x00") {
		return nil, fault.New(fault.Invalid, "the address of the remote holds a line break")
	}
	out, err := o.ask(ctx, []byte("url="+at+"\n\n"), "credential", "fill")
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Denied, "nobody gives a login for %s", redact(at)), "set up a credential helper of Git's: git help credentials")
	}
	l := &admission{auth: &githttp.BasicAuth{}, answer: out}
	for line := range strings.SplitSeq(string(out), "\n") {
		switch name, value, _ := strings.Cut(line, "="); name {
		case "username":
			l.auth.Username = value
		case "password":
			l.auth.Password = value
		}
	}
	return l, nil
}

// reportLogin has the helpers keep a login that did, or forget one that did not.
func (o *own) reportLogin(ctx context.Context, l *admission, did bool) {
	word := "reject"
	if did {
		word = "approve"
	}
	_, _ = o.ask(ctx, l.answer, "credential", word) // they keep it, or ask again
}

// letIn asks the remote, with a login only where it wants one. Without a reach, it was not
// asked (again).
func letIn[S any](ctx context.Context, l *Ledger, push bool, ask func(*reach, transport.AuthMethod) (S, error)) (S, *reach, error) {
	var none S
	r, auth, err := l.dial(ctx, push)
	if err != nil {
		return none, nil, err
	}
	s, err := ask(r, auth)
	if err == nil || l.place.own == nil || !errors.Is(err, transport.ErrAuthenticationRequired) || l.opts.Credentials != nil {
		return s, r, err
	}
	at, err := l.address(push)
	if err != nil {
		return none, nil, err
	}
	known, err := l.place.own.fill(ctx, at)
	if err != nil {
		return none, nil, err
	}
	if r, _, err = l.dial(ctx, push); err != nil {
		return none, nil, err
	}
	s, err = ask(r, known.auth)
	refused := errors.Is(err, transport.ErrAuthenticationRequired) || errors.Is(err, transport.ErrAuthorizationFailed)
	if err == nil || refused {
		l.place.own.reportLogin(ctx, known, err == nil)
	}
	if err == nil {
		l.logins.Store(at, known.auth)
	}
	return s, r, err
}
