// Who asks slowly, much or often is let go; whoever asks honestly is answered meanwhile.

package server

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// strict is a stage whose public ports have these bounds.
func strict(t *testing.T, still time.Duration, limits Limits) (*stage, port.Live) {
	t.Helper()
	s := newStage(t)
	pace := quick
	pace.Still = still
	s.server = Local(Config{Env: testEnv(), Store: s.store, Dir: s.dir, Seal: sealOf(s.dir), Envs: sandbox.Environments{Dir: t.TempDir(), Env: testEnv()}, Pace: pace, Limits: limits})
	return s, s.apply(s.release("one", "1"))
}

// raw is a connection to the public port from one of this machine's addresses.
func raw(t *testing.T, l port.Live, from string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.Dial("tcp", strings.TrimPrefix(l.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

// answer is the status and the body that come over c.
func answer(c net.Conn) (int, string) {
	a, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0, err.Error()
	}
	defer a.Body.Close()
	b, _ := io.ReadAll(a.Body)
	return a.StatusCode, string(b)
}

func TestSlowSendersAreLetGoAndHinderNobody(t *testing.T) {
	s, l := strict(t, 300*time.Millisecond, Limits{})
	begin := map[string]string{
		"small":   "POST /count HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nbegun",
		"large":   "POST /count HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n" + strings.Repeat("x", held+1),
		"chunked": "POST /count HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n",
		"nothing": "POST /count HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n",
	}
	var all sync.WaitGroup
	for name, text := range begin {
		for range 25 {
			c := raw(t, l, "127.0.0.1")
			all.Go(func() {
				fmt.Fprint(c, text)
				status, body := answer(c)
				if status != http.StatusRequestTimeout || !strings.Contains(body, "does not come") {
					t.Errorf("%s: %d %q", name, status, body)
				}
				_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
				if n, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("%s: the connection stays (%d bytes more, %v)", name, n, err)
				}
			})
		}
	}
	for range 50 {
		began := time.Now()
		if got := s.get(l, "/version"); got != "1" || time.Since(began) > 2*time.Second {
			t.Fatalf("%q after %s", got, time.Since(began))
		}
	}
	all.Wait()
}

func TestHonestSlownessGoesOn(t *testing.T) {
	const still = 300 * time.Millisecond
	_, l := strict(t, still, Limits{})
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}} // one connection: what is left set on it shows
	defer client.CloseIdleConnections()
	ask := func(path string, body io.Reader) string {
		t.Helper()
		a, err := client.Post(l.URL+path, "text/plain", body)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		b, err := io.ReadAll(a.Body)
		if err != nil || a.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s %v %q", path, a.Status, err, b)
		}
		return string(b)
	}
	for _, body := range []string{"", "question"} {
		if got := ask("/slow?for=1s", strings.NewReader(body)); got != "1" {
			t.Errorf("a long inference: %q", got)
		}
	}
	if got := ask("/stream", strings.NewReader("x")); got != "0\n1\n2\n" {
		t.Errorf("a streamed answer: %q", got)
	}
	r, w := io.Pipe()
	go func() {
		for range 8 {
			time.Sleep(still / 3)
			fmt.Fprint(w, "x")
		}
		w.Close()
	}()
	if got := ask("/count", r); got != "8" {
		t.Errorf("a slow and steady body: %q", got)
	}
	time.Sleep(2 * still) // at rest between requests
	if got := ask("/slow?for=1s", nil); got != "1" {
		t.Errorf("after a rest: %q", got)
	}
}

func TestAnAnswerThatNobodyTakesEnds(t *testing.T) {
	_, l := strict(t, 300*time.Millisecond, Limits{})
	c := raw(t, l, "127.0.0.1")
	fmt.Fprint(c, "GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
	time.Sleep(1500 * time.Millisecond) // takes nothing
	if n, err := io.Copy(io.Discard, c); n == 0 || n > 64<<20 {
		t.Fatalf("%d bytes (%v) of an answer without end", n, err)
	}
}

func TestAnUpgradedConnectionEndsWhenItIsStill(t *testing.T) {
	const still = time.Second // of which a busy machine may take a half for itself
	_, l := strict(t, still, Limits{})
	say, hangUp := shout(t, strings.TrimPrefix(l.URL, "http://"))
	defer hangUp()
	for range 6 {
		if got := say("hey"); got != "HEY" {
			t.Fatalf("while it is used: %q", got)
		}
		time.Sleep(still / 4)
	}
	time.Sleep(3 * still)
	if got := say("hey"); got == "HEY" {
		t.Fatal("it stays, though nobody spoke")
	}
}

func TestABodyHasABound(t *testing.T) {
	s, l := strict(t, time.Second, Limits{Body: 1000})
	for name, text := range map[string]string{
		"declared": "POST /count HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n",
		"absurd":   "POST /count HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000000000000000\r\n\r\n",
		"chunked":  "POST /count HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + strings.Repeat("x", 1001) + "\r\n0\r\n\r\n",
	} {
		c := raw(t, l, "127.0.0.1")
		fmt.Fprint(c, text)
		status, body := answer(c)
		if status != http.StatusRequestEntityTooLarge || !strings.Contains(body, "at most 1000 bytes") {
			t.Errorf("%s: %d %q", name, status, body)
		}
	}
	for name, body := range map[string]io.Reader{"declared": strings.NewReader(strings.Repeat("x", 1000)), "chunked": io.MultiReader(strings.NewReader(strings.Repeat("x", 1000)))} {
		a, err := http.Post(l.URL+"/count", "text/plain", body)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(a.Body); string(b) != "1000" || err != nil {
			t.Errorf("a %s body of just that size: %s %q (%v)", name, a.Status, b, err)
		}
		a.Body.Close()
	}
	declared := s.release("one", "2")
	declared.Local.MaxBody = 2000
	l = s.apply(declared)
	if a, err := http.Post(l.URL+"/count", "text/plain", strings.NewReader(strings.Repeat("x", 2000))); err != nil || a.StatusCode != http.StatusOK {
		t.Errorf("a bound that is declared: %v %v", a, err)
	}
	r, _ := http.NewRequest("GET", l.URL+"/version", nil)
	r.Header.Set("X-Large", strings.Repeat("x", maxHeader+8<<10))
	if a, err := http.DefaultClient.Do(r); err != nil || a.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("large headers: %v %v", a, err)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	s, l := strict(t, 5*time.Second, Limits{Conns: 12, PerAddress: 5})
	http.DefaultClient.CloseIdleConnections()
	fill := func(from string) (open []net.Conn, refused int) {
		for range 8 {
			c := raw(t, l, from)
			fmt.Fprint(c, "GET /version HTTP/1.1\r\nHost: x\r\n\r\n")
			switch status, body := answer(c); {
			case status == http.StatusOK:
				open = append(open, c)
			case status == http.StatusServiceUnavailable && strings.Contains(body, "too many connections"):
				refused++
			default:
				t.Fatalf("%d %q", status, body)
			}
		}
		return open, refused
	}
	first, _ := fill("127.0.0.2")
	second, _ := fill("127.0.0.3")
	third, _ := fill("127.0.0.4")
	if len(first) != 5 || len(second) != 5 || len(third) != 2 {
		t.Fatalf("%d, %d and %d connections stay", len(first), len(second), len(third))
	}
	for _, c := range append(first, second...) {
		c.Close()
	}
	s.until("there is room again", func() bool {
		c := raw(t, l, "127.0.0.5")
		defer c.Close()
		fmt.Fprint(c, "GET /version HTTP/1.1\r\nHost: x\r\n\r\n")
		status, _ := answer(c)
		return status == http.StatusOK
	})
}

// Behind a proxy all connections are the proxy's; its word says whose a request is.
func TestRequestsOfAClientAreBounded(t *testing.T) {
	_, l := strict(t, 5*time.Second, Limits{PerClient: 3})
	ask := func(forwarded string) int {
		r, _ := http.NewRequest("GET", l.URL+"/slow?for=1s", nil)
		if forwarded != "" {
			r.Header.Set("X-Forwarded-For", forwarded)
		}
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			return 0
		}
		a.Body.Close()
		return a.StatusCode
	}
	count := func(forwarded func(int) string) map[int]int {
		var mu sync.Mutex
		var all sync.WaitGroup
		got := map[int]int{}
		for i := range 6 {
			all.Go(func() {
				status := ask(forwarded(i))
				mu.Lock()
				defer mu.Unlock()
				got[status]++
			})
		}
		all.Wait()
		return got
	}
	// What a client claims of itself stands before what the proxy adds.
	if got := count(func(i int) string { return fmt.Sprintf("10.0.0.%d, 192.0.2.1", i) }); got[200] != 3 || got[429] != 3 {
		t.Errorf("of one client: %v", got)
	}
	if got := count(func(i int) string { return fmt.Sprintf("192.0.2.%d", i) }); got[200] != 6 {
		t.Errorf("of six clients: %v", got)
	}
	if got := count(func(int) string { return "" }); got[200] != 6 {
		t.Errorf("of this machine: %v", got)
	}
	if got := count(func(i int) string { return fmt.Sprintf("192.0.2.9:%d", 40000+i) }); got[200] != 3 || got[429] != 3 {
		t.Errorf("of one client, with the ports of its connections: %v", got)
	}
	if got := count(func(i int) string { return fmt.Sprintf("2001:db8:0:7::%x", i+1) }); got[200] != 3 || got[429] != 3 {
		t.Errorf("of one client, by six of its addresses of IPv6: %v", got)
	}
	if got := count(func(int) string { return "127.0.0.1" }); got[200] != 6 {
		t.Errorf("of this machine, by a proxy: %v", got)
	}
}
