// Where a remote of somebody who was not reviewed leads: not into this machine, not into
// its network, not to its credentials, however it is written.

package data

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
	"github.com/vishwaops/vishwa/reconciler/port"
)

func remoteOf(t testing.TB, lines ...string) *dvc.Config {
	t.Helper()
	c, err := dvc.ParseConfig(".dvc/config", []byte("[core]\nremote = r\n['remote \"r\"']\n"+strings.Join(lines, "\n")+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func knowing(c *dvc.Config) func(context.Context) (*dvc.Config, error) {
	return func(context.Context) (*dvc.Config, error) { return c, nil }
}

// bold is an environment with credentials.
func bold(name string) (string, bool) {
	v, ok := map[string]string{"AWS_ACCESS_KEY_ID": "ours", "AWS_SECRET_ACCESS_KEY": "hunter2", "AWS_SESSION_TOKEN": "t0k3n", "HTTP_PROXY": "http://127.0.0.1:1"}[name]
	return v, ok
}

// named has every name lead to this machine, as a name server of a stranger's may.
func named(t *testing.T) {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			q := m.Questions[0]
			m.Response, m.Additionals = true, nil
			if q.Type == dnsmessage.TypeA {
				m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class}, Body: &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}}}}
			}
			if b, err := m.Pack(); err == nil {
				_, _ = c.WriteTo(b, from)
			}
		}
	}()
	was := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", c.LocalAddr().String())
	}}
	t.Cleanup(func() { net.DefaultResolver = was; _ = c.Close() })
}

// TestNoEndpointOfAStrangerLeadsInside: every spelling of an address of this machine, its
// network or its cloud, and any name that leads there.
func TestNoEndpointOfAStrangerLeadsInside(t *testing.T) {
	named(t)
	var heard atomic.Int64
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { heard.Add(1) }))
	defer inside.Close()
	_, at, _ := net.SplitHostPort(inside.Listener.Addr().String())
	for _, host := range []string{
		"127.0.0.1", "127.9.9.9", "[::1]", "[::]", "0.0.0.0", "[::ffff:127.0.0.1]", "[0:0:0:0:0:ffff:7f00:1]",
		"[::127.0.0.1]", "[64:ff9b::127.0.0.1]", "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]", "localhost", "LocalHost", "localhost.",
		"169.254.169.254", "[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]", "[fd00:ec2::254]", "100.100.100.200", "168.63.129.16",
		"10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "[fd12::1]", "255.255.255.255", "224.0.0.1", "[fe80::1]", "[fe80::1%25lo]",
		"2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "017700000001", "127.1", "127.0.1", "127.0.0.1.", "①27.0.0.1", "127。0。0。1",
		"s3.evil.example", "metadata.google.internal", "s3.amazonaws.com.evil.example", "data.example.org.evil.example",
	} {
		for _, endpoint := range []string{"http://" + host + ":" + at, "https://" + host + ":" + at, host + ":" + at} {
			w := Wary{Whose: "this pull request", Allow: []string{"10.9.9.9", "data.example.org"}}
			r, err := w.Open(t.Context(), remoteOf(t, "url = s3://bucket/p", "endpointurl = "+endpoint), "", port.Env{Lookup: bold})
			if err == nil {
				_, err = r.Bucket.Stat(t.Context(), "x")
			}
			// Digits that are no address are no name either.
			if k := fault.Of(err); err == nil || k != fault.Denied && k != fault.Invalid && !strings.HasSuffix(err.Error(), "no such host") {
				t.Errorf("%s: it ends with %v (%v)", endpoint, err, k)
			}
		}
	}
	if heard.Load() > 0 {
		t.Errorf("the server inside was asked %d times", heard.Load())
	}
}

// TestNoRedirectOfAStrangerLeadsInside: a server that may be reached sends us on to one
// that may not.
func TestNoRedirectOfAStrangerLeadsInside(t *testing.T) {
	var heard atomic.Int64
	inside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { heard.Add(1) }))
	defer inside.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		l, err := net.Listen("tcp", "127.0.0.2:0")
		if err != nil {
			t.Skip("this machine has no 127.0.0.2")
		}
		s := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, inside.URL+r.URL.Path, status) })}
		go func() { _ = s.Serve(l) }()
		r, err := Wary{Allow: []string{"127.0.0.2"}}.Open(t.Context(), remoteOf(t, "url = s3://bucket/p", "endpointurl = http://"+l.Addr().String()), "", port.Env{Lookup: bold})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Bucket.Stat(t.Context(), "x"); err == nil {
			t.Errorf("%d is taken for an answer", status)
		}
		_ = s.Close()
	}
	if heard.Load() > 0 {
		t.Errorf("the server inside was asked %d times", heard.Load())
	}
}

// TestAStrangersRemoteIsNoPlaceOfThisMachine: no folder, no file, no profile.
func TestAStrangersRemoteIsNoPlaceOfThisMachine(t *testing.T) {
	for _, lines := range [][]string{
		{"url = /srv/data"}, {"url = ../x"}, {"url = x"}, {"url = ~/x"}, {"url = file:///srv/data"}, {"url = file://localhost/srv/data"}, {"url = S3:/x"}, {"url = s3:/b/p"},
		{"url = s3://bucket/p", "credentialpath = /home/vishwa/.aws/other"}, {"url = s3://bucket/p", "profile = production"}, {"url = s3://bucket/p", "ssl_verify = /etc/ca.pem"},
		{"url = s3://bucket/p", "endpointurl = https://s3.example.org", "ssl_verify = /etc/ca.pem"}, {"url = s3://bucket/p", "configpath = /etc/x"},
	} {
		_, err := Wary{Whose: "this pull request"}.Open(t.Context(), remoteOf(t, lines...), "", port.Env{Lookup: bold})
		if err == nil || fault.Of(err) != fault.Denied || fault.HintOf(err) == "" || !strings.Contains(err.Error(), "this pull request") {
			t.Errorf("%s: %v", lines, err)
		}
	}
	for _, url := range []string{"http://127.0.0.1/x", "https://example.org/x", "ssh://h/x", "gs://b", "azure://c"} {
		_, err := Wary{}.Open(t.Context(), remoteOf(t, "url = "+url), "", port.Env{Lookup: bold})
		if err == nil || fault.Of(err) != fault.Invalid {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// TestOurCredentialsAreForWhatWasReviewed: Amazon, and what the operator allows, see ours;
// a server of a stranger's choice sees none, or the stranger's own.
func TestOurCredentialsAreForWhatWasReviewed(t *testing.T) {
	for name, c := range map[string]struct {
		lines     []string
		allow     []string
		anonymous bool
	}{
		"Amazon's":               {[]string{"url = s3://bucket/p"}, nil, false},
		"a server of theirs":     {[]string{"url = s3://bucket/p", "endpointurl = https://evil.example"}, nil, true},
		"without a scheme":       {[]string{"url = s3://bucket/p", "endpointurl = evil.example:9000"}, nil, true},
		"allowed by name":        {[]string{"url = s3://bucket/p", "endpointurl = https://S3.corp.example:9000"}, []string{"s3.corp.example"}, false},
		"allowed by network":     {[]string{"url = s3://bucket/p", "endpointurl = http://10.1.2.3:9000"}, []string{"10.0.0.0/8"}, false},
		"a name in a network":    {[]string{"url = s3://bucket/p", "endpointurl = http://ten.evil.example"}, []string{"10.0.0.0/8"}, true},
		"with keys of their own": {[]string{"url = s3://bucket/p", "endpointurl = https://evil.example", "access_key_id = a", "secret_access_key = b"}, nil, false},
		"a longer name":          {[]string{"url = s3://bucket/p", "endpointurl = https://s3.corp.example.evil.example"}, []string{"s3.corp.example"}, true},
		"a user before the host": {[]string{"url = s3://bucket/p", "endpointurl = https://s3.corp.example@evil.example"}, []string{"s3.corp.example"}, true},
	} {
		rc, err := remoteOf(t, c.lines...).Remote("")
		if err != nil {
			t.Fatal(err)
		}
		o, err := Wary{Allow: c.allow}.options(rc, port.Env{Lookup: bold})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if o.Anonymous != c.anonymous || o.Guarded != (len(c.lines) > 1) {
			t.Errorf("%s: anonymous %v, guarded %v", name, o.Anonymous, o.Guarded)
		}
	}
}

// TestWhatWasReviewedIsOpenedAsEver: the very remote that the tracked branch has, and no
// other of its name.
func TestWhatWasReviewedIsOpenedAsEver(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	text := []byte("reviewed")
	sum := md5.Sum(text)
	oid := dvc.OID(hex.EncodeToString(sum[:]))
	for _, d := range []string{dir, other} {
		at := filepath.Join(d, filepath.FromSlash(oid.Key()))
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	known := knowing(remoteOf(t, "url = "+dir))
	for name, c := range map[string]struct {
		known  func(context.Context) (*dvc.Config, error)
		url    string
		denied bool
	}{
		"the same":                {known, dir, false},
		"another folder":          {known, other, true},
		"nothing was reviewed":    {nil, dir, true},
		"no configuration":        {knowing(nil), dir, true},
		"an option more":          {known, dir + "\nprofile = x", true},
		"the same folder, around": {known, dir + "/../" + filepath.Base(dir), true},
	} {
		tree := fstest.MapFS{".dvc/config": {Data: []byte("[core]\nremote = r\n['remote \"r\"']\nurl = " + c.url + "\n")}}
		d := Fetcher{Wary: &Wary{Whose: "this pull request", Known: c.known}}
		from, err := d.sources(t.Context(), tree, port.DataPointer{Name: string(oid), Path: "x", File: "x.dvc"})
		if (err != nil && fault.Of(err) == fault.Denied) != c.denied {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			r, err := from[0].open(t.Context(), oid)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			r.Close()
		}
	}
}

// TestAPullRequestReadsNoBucketWithOurCredentials: a name at Amazon's is as much of its choice as a server.
func TestAPullRequestReadsNoBucketWithOurCredentials(t *testing.T) {
	for name, c := range map[string]struct {
		known     func(context.Context) (*dvc.Config, error)
		lines     []string
		anonymous bool
	}{
		"a pull request":                  {knowing(nil), []string{"url = s3://payroll/dvc"}, true},
		"with keys of its own":            {knowing(nil), []string{"url = s3://payroll/dvc", "access_key_id = theirs", "secret_access_key = theirs"}, false},
		"another repository that we name": {nil, []string{"url = s3://registry/dvc"}, false},
	} {
		rc, err := remoteOf(t, c.lines...).Remote("")
		if err != nil {
			t.Fatal(err)
		}
		o, err := Wary{Whose: "this pull request", Known: c.known}.options(rc, port.Env{Lookup: bold})
		if err != nil || o.Anonymous != c.anonymous {
			t.Errorf("%s: anonymous %v, %v", name, o.Anonymous, err)
		}
	}
}

// TestOfflineARemoteThatNeedsNoCredentialsIsNotAsked: of another repository, as of one that was reviewed.
func TestOfflineARemoteThatNeedsNoCredentialsIsNotAsked(t *testing.T) {
	config := remoteOf(t, "url = s3://bucket/p", "endpointurl = https://s3.example.com")
	if _, err := (Wary{}).Open(t.Context(), config, "", port.Env{Lookup: bold}); err != nil {
		t.Fatal(err)
	}
	_, err := Wary{}.Open(t.Context(), config, "", port.Env{Lookup: bold, Offline: true})
	if !errors.As(err, new(port.Unasked)) || !strings.Contains(fault.HintOf(err), "--offline") {
		t.Errorf("%v (%s)", err, fault.HintOf(err))
	}
}
