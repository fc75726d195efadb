// The way over HTTP to a remote of the user's own clone, as Git's configuration has it:
// through its proxy, with its headers, authorities and client certificate, and with the
// login that Git's credential helpers give. A mirror goes by none of it.

package gitremote

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"

	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Road is how at is reached, which the clone may know as the remote of that name.
func (o *Clone) Road(ctx context.Context, remote, at string) (http.RoundTripper, error) {
	if known, ok := o.roads.Load(remote + " " + at); ok {
		return known.(http.RoundTripper), nil
	}
	set, err := o.Settings(ctx)
	if err != nil {
		return nil, err
	}
	asked := Settings{}
	for name := range set {
		if strings.HasPrefix(name, "http.") { // which of them are for this address, Git knows
			out, err := o.Ask(ctx, nil, "config", "--includes", "-z", "--get-urlmatch", "http", at)
			if left := (*exec.ExitError)(nil); errors.As(err, &left) && left.ExitCode() == 1 {
				break // all of them are for other addresses
			}
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
func (s Settings) transport(all Settings, remote, at string) (http.RoundTripper, error) {
	t := Direct.Clone()
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
	// As Git would go there for its owner. No mirror comes by here, and an empty value asks for nothing.
	t.TLSClientConfig.InsecureSkipVerify = s.Last("http.sslverify") != "" && !s.On("http.sslverify")
	if file := s.Last("http.sslcainfo"); file != "" {
		text, err := os.ReadFile(Home(file))
		pool := x509.NewCertPool()
		if err != nil || !pool.AppendCertsFromPEM(text) {
			return nil, fault.WithHint(fault.New(fault.Invalid, "read the authorities of http.sslCAInfo: %s holds no certificate that can be read", file), "correct http.sslCAInfo: git config --show-origin http.sslCAInfo")
		}
		t.TLSClientConfig.RootCAs = pool
	}
	if file := s.Last("http.sslcert"); file != "" {
		key := s.Last("http.sslkey")
		if key == "" {
			key = file
		}
		pair, err := tls.LoadX509KeyPair(Home(file), Home(key))
		if err != nil {
			return nil, fault.WithHint(fault.New(fault.Invalid, "read the certificate of http.sslCert: %w", err), "correct http.sslCert and http.sslKey; a key with a password cannot be used")
		}
		t.TLSClientConfig.Certificates = []tls.Certificate{pair}
	}
	if h := s.Last("http.extraheader"); h != "" {
		to, err := url.Parse(at)
		if err != nil {
			return nil, fault.WithHint(fault.New(fault.Invalid, "the address of remote %s cannot be read", remote), "correct it: git remote set-url %s URL", remote)
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
		return nil, fault.WithHint(fault.New(fault.Invalid, "the proxy of Git's configuration cannot be used: %s", Redact(at)), "write an http, https or socks5 URL: git config --show-origin --get-all http.proxy")
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

// Admission is what Git's credential helpers know of an address (git-credential(1)).
type Admission struct {
	Auth   *githttp.BasicAuth
	answer []byte // in Git's own words, for the helpers
}

// Fill asks the helpers, and where they know nothing, the person at the terminal.
func (o *Clone) Fill(ctx context.Context, at string) (*Admission, error) {
	if strings.ContainsAny(at, "\n\x00") {
		return nil, fault.WithHint(fault.New(fault.Invalid, "the address of the remote holds a line break"), "correct it: git remote set-url origin URL")
	}
	out, err := o.Ask(ctx, []byte("url="+at+"\n\n"), "credential", "fill")
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Denied, "nobody gives a login for %s", Redact(at)), "set up a credential helper of Git's: git help credentials")
	}
	l := &Admission{Auth: &githttp.BasicAuth{}, answer: out}
	for line := range strings.SplitSeq(string(out), "\n") {
		switch name, value, _ := strings.Cut(line, "="); name {
		case "username":
			l.Auth.Username = value
		case "password":
			l.Auth.Password = value
		}
	}
	return l, nil
}

// ReportLogin has the helpers keep a login that did, or forget one that did not.
func (o *Clone) ReportLogin(ctx context.Context, l *Admission, did bool) {
	word := "reject"
	if did {
		word = "approve"
	}
	_, _ = o.Ask(ctx, l.answer, "credential", word) // they keep it, or ask again
}
