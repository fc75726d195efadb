// A file on a web server: pinned by its ETag, or its date and length; read in as
// many answers as it takes (RFC 9110).

package source

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/machine/dial"
	"github.com/vishwaops/vishwa/reconciler/machine/download"
	"github.com/vishwaops/vishwa/reconciler/machine/httpx"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

const redirects = 10

// web is a file on a web server.
type web struct {
	o      Options
	src    schemas.HTTP
	url    *url.URL
	name   string
	client *http.Client
}

func openWeb(src schemas.HTTP, o Options) (port.Source, error) {
	u, err := url.Parse(src.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fault.WithHint(fault.New(fault.Invalid, "the source's web address cannot be read"), "write it as https://host/path")
	}
	if u.User != nil {
		return nil, fault.WithHint(fault.New(fault.Invalid, "the address of %s holds a user or password", where(src.URL)), "take it out, and name the variable that holds a token")
	}
	name := path.Base(u.Path)
	if name == "." || name == "/" {
		name = "data"
	}
	if err := download.CheckNames([]port.SourceFile{{Path: name}}); err != nil {
		return nil, err
	}
	if err := o.Env.MayAsk(src.URL); err != nil {
		return nil, err
	}
	g, err := dial.NewGuard(u.Hostname(), o.Allow)
	if err != nil {
		return nil, err
	}
	s := &web{o: o, src: src, url: u, name: name}
	s.client = &http.Client{CheckRedirect: s.redirected, Transport: legible{dial.Paced(httpx.Transport(httpx.Options{
		Dial: g.Dial, Roots: o.Roots, Header: download.Stall, Verbatim: true,
	}), o.pace())}}
	return s, nil
}

// legible refuses redirects that cannot be read before the client quotes them.
type legible struct{ http.RoundTripper }

func (l legible) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := l.RoundTripper.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if _, err := url.Parse(res.Header.Get("Location")); err != nil {
		res.Body.Close()
		return nil, fault.WithHint(fault.New(fault.Invalid, "it redirects to an address that cannot be read"), "declare the address that it should lead to")
	}
	return res, nil
}

// where is an address without what may be secret in it.
func where(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "an address that cannot be read"
	}
	if u.Scheme == "" || u.Host == "" { // git@host:path, or a folder
		_, after, found := strings.Cut(address, "@")
		if found {
			return after
		}
		return u.Path
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// redirected follows no more than a few, and takes along nothing that is for the
// declaration's host alone.
func (s *web) redirected(req *http.Request, via []*http.Request) error {
	if len(via) > redirects {
		return fault.WithHint(fault.New(fault.Invalid, "it redirects more than %d times", redirects), "give the address where it ends")
	}
	if req.URL.Scheme != "http" && req.URL.Scheme != "https" {
		return fault.WithHint(fault.New(fault.Denied, "it redirects to an address that is not of the web"), "give the http or https address that the file is at")
	}
	req.URL.User = nil
	req.Header.Del("Referer") // it holds the query
	if !s.home(req.URL) {
		req.Header.Del("Authorization")
	}
	return nil
}

// home tells whether u may hear the token: the declaration's host and port, by the
// same protocol or a safer one.
func (s *web) home(u *url.URL) bool {
	return strings.EqualFold(u.Host, s.url.Host) && (u.Scheme == s.url.Scheme || u.Scheme == "https")
}

// ask sends a request with header besides what all have. An answer that is an error
// comes along with it, its body closed.
func (s *web) ask(ctx context.Context, method string, header map[string]string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.url.String(), nil)
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Invalid, "the source's web address cannot be read"), "write it as https://HOST/PATH")
	}
	req.Header.Set("User-Agent", "vishwa")
	req.Header.Set("Accept-Encoding", "identity")
	if s.src.Token != "" {
		token, err := s.o.variable(s.src.Token, s.src.URL)
		if err != nil {
			return nil, err
		}
		if token == "" || strings.ContainsAny(token, "\r\n\x00") {
			return nil, fault.WithHint(fault.New(fault.Denied, "the variable %s holds no token for %s", s.src.Token, where(s.src.URL)), "set it")
		}
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	res, err := s.client.Do(req)
	if err != nil {
		return nil, httpx.Failed(ctx, err)
	}
	if res.StatusCode == http.StatusOK || res.StatusCode == http.StatusPartialContent {
		return res, nil
	}
	res.Body.Close()
	return res, s.refusal(res)
}

func (s *web) Inspect(ctx context.Context) (port.Snapshot, error) {
	look, err := s.inspectResource(ctx)
	if err != nil {
		return port.Snapshot{}, fmt.Errorf("look at %s: %w", where(s.src.URL), err)
	}
	return look, nil
}

func (s *web) inspectResource(ctx context.Context) (port.Snapshot, error) {
	a, err := s.head(ctx)
	if err != nil {
		return port.Snapshot{}, err
	}
	if a.settling() {
		// Another change in the same second would have the same date: it is asked again
		// when that second is over.
		select {
		case <-time.After(1100 * time.Millisecond):
		case <-ctx.Done():
			return port.Snapshot{}, fault.New(fault.Cancelled, "wait: %w", ctx.Err())
		}
		if a, err = s.head(ctx); err != nil {
			return port.Snapshot{}, err
		}
	}
	f := port.SourceFile{Path: s.name, Size: a.size, ETag: a.etag, Modified: a.modified}
	token := a.token()
	if token == "" {
		if token, f.Size, err = s.hashed(ctx); err != nil {
			return port.Snapshot{}, err
		}
		f.ETag = ""
	}
	return s.o.snapshotOf([]port.SourceFile{f}, token), nil
}

// head asks for an answer without its body. A server that does not do so is asked
// for all, and what it sends is not read.
func (s *web) head(ctx context.Context) (answer, error) {
	res, err := s.ask(ctx, http.MethodHead, nil)
	if err == nil {
		res.Body.Close()
		if a := read200(res); a.token() != "" && a.size >= 0 {
			return a, nil
		}
	} else if res == nil || fault.Of(err) == fault.Transient && res.StatusCode != http.StatusNotImplemented {
		return answer{}, err // the others may be about HEAD alone, as signed addresses have it
	}
	if res, err = s.ask(ctx, http.MethodGet, nil); err != nil {
		return answer{}, err
	}
	res.Body.Close()
	return read200(res), nil
}

// hashed reads all of it, for the one name that is left: what the bytes are.
func (s *web) hashed(ctx context.Context) (token string, size int64, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	res, err := s.ask(ctx, http.MethodGet, nil)
	if err != nil {
		return "", 0, err
	}
	defer res.Body.Close()
	quiet := time.AfterFunc(download.Stall, cancel)
	defer quiet.Stop()
	d, n, err := artifact.Copy(ctx, io.Discard, &lively{&webBody{s, ctx, res.Body}, quiet})
	if err != nil {
		return "", 0, download.Stalled(ctx, quiet, port.SourceFile{Path: s.name}, err)
	}
	return string(d), n, nil
}

// lively puts off the alarm with every byte.
type lively struct {
	io.Reader
	quiet *time.Timer
}

func (l *lively) Read(p []byte) (int, error) {
	n, err := l.Reader.Read(p)
	l.quiet.Reset(download.Stall)
	return n, err
}
