// The proxy with real clients: what is declared is reached, and nothing else.

package egress_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/machine/egress"
)

// start serves a proxy whose names all lead to the server at to.
func start(t *testing.T, to string, hosts ...string) (address string, p *egress.Proxy) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p = egress.New(hosts, func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, to)
	})
	go p.Serve(l)
	t.Cleanup(func() { p.Close() })
	return l.Addr().String(), p
}

func TestDeclaredHostsAreReachedAndNoOthers(t *testing.T) {
	web := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "secure "+r.Host) }))
	defer web.Close()
	address, p := start(t, web.Listener.Addr().String(), "example.com:443")
	proxied := web.Client().Transport.(*http.Transport).Clone()
	proxied.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: address})
	client := &http.Client{Transport: proxied}
	answer, err := client.Get("https://example.com/")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if body, _ := io.ReadAll(answer.Body); string(body) != "secure example.com" {
		t.Errorf("got %q", body)
	}
	if _, err := client.Get("https://evil.example.net/"); err == nil || !strings.Contains(err.Error(), "Forbidden") {
		t.Errorf("an undeclared host: %v", err)
	}
	if got := p.Refused(); len(got) != 1 || got[0] != "evil.example.net:443" {
		t.Errorf("refused: %v", got)
	}
}

// TestTheHostIsThatOfTheAddress: a header of another host, a part of the address that
// looks like one, and a proxy's own addresses lead nowhere.
func TestTheHostIsThatOfTheAddress(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "plain "+r.Host) }))
	defer web.Close()
	address, _ := start(t, web.Listener.Addr().String(), "example.com:80")
	for request, want := range map[string]string{
		"GET http://example.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n":                "200 plain example.com",
		"GET http://evil.net/ HTTP/1.1\r\nHost: example.com\r\n\r\n":                   "403",
		"GET http://example.com@evil.net/ HTTP/1.1\r\nHost: example.com\r\n\r\n":       "403",
		"GET http://example.com:81/ HTTP/1.1\r\nHost: example.com\r\n\r\n":             "403",
		"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n":                                  "400",
		"GET https://example.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n":               "400",
		"GET file:///etc/passwd HTTP/1.1\r\nHost: example.com\r\n\r\n":                 "400",
		"CONNECT evil.net:443 HTTP/1.1\r\nHost: example.com:80\r\n\r\n":                "403",
		"CONNECT " + address + " HTTP/1.1\r\nHost: " + address + "\r\n\r\n":            "403",
		"CONNECT example.com HTTP/1.1\r\nHost: example.com\r\n\r\n":                    "403",
		"CONNECT [::ffff:169.254.169.254]:80 HTTP/1.1\r\nHost: example.com:80\r\n\r\n": "403",
	} {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(c, request)
		answer, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Errorf("%q: %v", request, err)
			continue
		}
		body, _ := io.ReadAll(answer.Body)
		if got := fmt.Sprintf("%d %s", answer.StatusCode, body); !strings.HasPrefix(got, want) {
			t.Errorf("%q: %q, want %q", request, got, want)
		}
		c.Close()
	}
}

// TestClosingEndsTunnels: also one whose far side goes on for ever.
func TestClosingEndsTunnels(t *testing.T) {
	far, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	address, p := start(t, far.Addr().String(), "example.com:443")
	near, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(near, "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n")
	if answer, err := http.ReadResponse(bufio.NewReader(near), nil); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", answer, err)
	}
	c, err := far.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	near.Close()
	if _, err := c.Read(make([]byte, 1)); err != io.EOF { // the near side's end is passed on
		t.Fatal(err)
	}
	p.Close()
	for { // until the connection is reset: nobody is at its other end
		if _, err := c.Write(make([]byte, 1024)); err != nil {
			return
		}
	}
}

// TestTheMachinesOwnProxyIsUsed, with its login, for what NO_PROXY does not list.
func TestTheMachinesOwnProxyIsUsed(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") }))
	defer web.Close()
	var asked []string
	corporate := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.Host+" "+r.Header.Get("Proxy-Authorization"))
		if r.Host == "refused.example.com:443" {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		far, err := net.Dial("tcp", web.Listener.Addr().String())
		if err != nil {
			t.Error(err)
			return
		}
		near, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		io.WriteString(near, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { io.Copy(far, near); far.Close() }()
		go func() { io.Copy(near, far); near.Close() }()
	}))
	defer corporate.Close()
	dial := egress.Through(func(name string) (string, bool) {
		v, ok := map[string]string{"HTTPS_PROXY": "http://ann:secret@" + corporate.Listener.Addr().String(), "no_proxy": "127.0.0.1"}[name]
		return v, ok
	})
	c, err := dial(t.Context(), "tcp", "index.example.com:443")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	if raw, _ := io.ReadAll(c); !strings.HasSuffix(string(raw), "ok") {
		t.Errorf("got %q", raw)
	}
	if len(asked) != 1 || asked[0] != "CONNECT index.example.com:443 Basic YW5uOnNlY3JldA==" {
		t.Errorf("asked %q", asked)
	}
	if _, err := dial(t.Context(), "tcp", "refused.example.com:443"); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("refused: %v", err)
	}
	near, err := dial(t.Context(), "tcp", web.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	near.Close()
	if len(asked) != 2 {
		t.Errorf("what NO_PROXY lists was asked for: %q", asked)
	}
}
