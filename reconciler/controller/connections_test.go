// The port under attack: whoever is not GitHub takes no room from who is.

package controller

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// hooked is a controller that hears webhooks for one repository.
func hooked(t *testing.T, change func(*Options)) *running {
	t.Helper()
	config := fast()
	config.Webhook = Webhook{Secret: &Secret{Env: "HOOK"}}
	config.Repositories = []ConfigRepository{{URL: "https://github.com/acme/churn", GitHub: &GitHub{Token: &Secret{Env: "T"}}}}
	o := Options{Config: config, Sites: []Repository{newFake("github.com/acme/churn")}, Lookup: func(string) (string, bool) { return "present", true }}
	if change != nil {
		change(&o)
	}
	return start(t, o)
}

var genuineNumber int

// genuine sends what GitHub signed, over a connection of its own, and tells the status.
func genuine(t *testing.T, address string, more string) int {
	t.Helper()
	genuineNumber++
	body := fmt.Sprintf(`{"ref":"refs/heads/main","n":%d,"more":%q,%s}`, genuineNumber, more, at)
	out, err := http.NewRequest(http.MethodPost, "http://"+address+"/webhooks/github", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	out.Header, out.Close = delivery("push", body).Header, true
	resp, err := (&http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}).Do(out)
	if err != nil {
		t.Fatalf("a genuine webhook: %v", err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// half opens a connection and sends the beginning of something.
func half(t *testing.T, address, text string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	return conn
}

func posting(length int) string {
	return "POST /webhooks/github HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-Hub-Signature-256: sha256=" + strings.Repeat("0", 64) +
		fmt.Sprintf("\r\nContent-Length: %d\r\n\r\n", length)
}

// TestAFloodShutsNobodyOut: with every place taken by half headers, slow bodies or idle
// connections, GitHub's next is heard at once, and so is who asks for health.
func TestAFloodShutsNobodyOut(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":      "",
		"half headers": "GET /healthz HTTP/1.1\r\nX-a: ",
		"slow bodies":  posting(100_000) + "{",
		"idle":         "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			r := hooked(t, nil)
			for range maxConnections + 20 {
				half(t, r.address, text)
			}
			for range 3 {
				if got := genuine(t, r.address, ""); got != http.StatusAccepted {
					t.Errorf("a genuine webhook is answered %d", got)
				}
			}
			if got := get(t, "http://"+r.address+"/healthz"); got != "ok\n" {
				t.Errorf("health is %q", got)
			}
			if got := get(t, "http://"+r.address+"/metrics"); !strings.Contains(got, `vishwa_connections_ended_total{reason="connections"}`) || strings.Contains(got, `vishwa_connections_ended_total{reason="connections"} 0`) {
				t.Error("what was ended is not counted")
			}
		})
	}
}

// TestForgedWebhooksAreNotCountedAgainstGitHub: over HTTP, as many as it takes.
func TestForgedWebhooksAreNotCountedAgainstGitHub(t *testing.T) {
	r := hooked(t, nil)
	conn := half(t, r.address, "")
	for range hooksAtOnce + 100 {
		req := delivery("push", "{}")
		req.Header.Set("X-Hub-Signature-256", sign("guess", "{}"))
		if _, err := io.WriteString(conn, posting(2)+"{}"); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), req)
		if err != nil || resp.StatusCode != http.StatusUnauthorized || !resp.Close {
			t.Fatalf("a forged one is answered %v, %v", resp, err)
		}
		conn.Close()
		conn = half(t, r.address, "")
	}
	if got := genuine(t, r.address, ""); got != http.StatusAccepted {
		t.Errorf("a genuine webhook is answered %d", got)
	}
	if logged := strings.Count(r.log.String(), "a webhook was refused"); logged > refusalsFirst+2 {
		t.Errorf("%d refusals are logged", logged)
	}
}

// TestABodyIsNotWaitedForForLong: one that does not come is given up, and what was not
// read of one that is refused is not waited for.
func TestABodyIsNotWaitedForForLong(t *testing.T) {
	crowd := newConnectionLimiter(time.Now, func(string) {})
	h, _ := doorway()
	h.crowd, h.patience = crowd, patience{grace: 20 * time.Millisecond, longest: time.Second, rate: 1 << 20}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: h, ConnState: moved, ConnContext: func(ctx context.Context, c net.Conn) context.Context { return withGuest(ctx, c.(*guest)) }}
	go func() { _ = server.Serve(guardedListener{listener, crowd}) }()
	defer server.Close()
	for name, k := range map[string]struct {
		text string
		want int
	}{
		"a body that stops": {posting(100_000) + strings.Repeat("x", 5000), http.StatusRequestTimeout},
		"none at all":       {posting(100_000), http.StatusRequestTimeout},
		"chunks that stop":  {strings.Replace(posting(1), "Content-Length: 1", "Transfer-Encoding: chunked", 1) + "1\r\nx\r\n", http.StatusRequestTimeout},
		"unsigned":          {strings.Replace(posting(100_000), "sha256=", "", 1), http.StatusUnauthorized},
		"declared large":    {posting(maxPayload + 1), http.StatusRequestEntityTooLarge},
	} {
		conn := half(t, listener.Addr().String(), k.text)
		if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		read := bufio.NewReader(conn)
		resp, err := http.ReadResponse(read, nil)
		if err != nil || resp.StatusCode != k.want {
			t.Errorf("%s: %v, %v", name, resp, err)
			continue
		}
		if _, err := io.Copy(io.Discard, read); err != nil {
			t.Errorf("%s: the connection is not ended: %v", name, err)
		}
	}
	crowd.mu.Lock()
	defer crowd.mu.Unlock()
	if crowd.held != 0 {
		t.Errorf("%d bytes are held", crowd.held)
	}
}

// TestMemoryIsBounded: many large bodies at once take no more than there is for them, and GitHub's is read.
func TestMemoryIsBounded(t *testing.T) {
	r := hooked(t, nil)
	for range 2 * maxReading / maxPayload {
		conn := half(t, r.address, posting(maxPayload))
		go func() { _, _ = io.CopyN(conn, endless{}, maxPayload-1) }()
	}
	for range 5 {
		if got := genuine(t, r.address, strings.Repeat("x", 100_000)); got != http.StatusAccepted {
			t.Errorf("a genuine webhook is answered %d", got)
		}
	}
}

// TestTheCrowdHoldsItsBounds: whatever comes, stays and asks for bytes, in every order,
// never is more held than there is; the newest is in; who is known stays.
func TestTheCrowdHoldsItsBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		clock := time.Unix(0, 0)
		c := newConnectionLimiter(func() time.Time { clock = clock.Add(time.Second); return clock }, func(string) {})
		c.most, c.bytes = rapid.IntRange(1, 6).Draw(t, "most"), 100
		var all []*guest
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			some := func() *guest { return all[rapid.IntRange(0, len(all)-1).Draw(t, "which")] }
			switch what := rapid.IntRange(0, 5).Draw(t, "what"); {
			case what <= 1 || len(all) == 0:
				g := c.enter(nil, rapid.SampledFrom([]string{"192.0.2.1:1", "192.0.2.2:1", "[2001:db8::1]:1", "[2001:db8::2]:1"}).Draw(t, "from"))
				all = append(all, g)
				for o := range c.guests { // only where its own network takes the most, and nobody else there can go
					if g.gone && !o.known && sumOf(c, o.from) >= sumOf(c, g.from)+1 {
						t.Fatal("the newest was not let in")
					}
				}
			case what == 2:
				g := some()
				before := g.gone
				if g.reserveBytes(int64(rapid.IntRange(0, 120).Draw(t, "bytes"))) && before {
					t.Fatal("one that is gone may read on")
				}
			case what == 3:
				some().release()
			case what == 4:
				some().become(rapid.Bool().Draw(t, "idle"), rapid.Bool().Draw(t, "known"))
			default:
				c.leave(some())
			}
			held, known := int64(0), 0
			for g := range c.guests {
				held += g.bytes
				if g.known {
					known++
				}
			}
			if held != c.held || held > c.bytes || len(c.guests) > max(c.most, known) {
				t.Fatalf("%d guests of %d, %d known; %d bytes, said to be %d, of %d", len(c.guests), c.most, known, held, c.held, c.bytes)
			}
		}
	})
}

func sumOf(c *connectionLimiter, from string) (n int) {
	for g := range c.guests {
		if g.from == from {
			n++
		}
	}
	return n
}

// TestWhoTakesMostGivesWay: first by network, then who idles, then by age.
func TestWhoTakesMostGivesWay(t *testing.T) {
	clock := time.Unix(0, 0)
	c := newConnectionLimiter(func() time.Time { clock = clock.Add(time.Second); return clock }, func(string) {})
	c.most = 3
	github := c.enter(nil, "140.82.115.1:1")
	first, second := c.enter(nil, "[2001:db8::1]:1"), c.enter(nil, "[2001:db8::ffff:1]:2")
	third := c.enter(nil, "[2001:db8::3]:3")
	if github.gone || !first.gone || second.gone || third.gone {
		t.Errorf("github %v, first %v, second %v, third %v", github.gone, first.gone, second.gone, third.gone)
	}
	third.become(true, false)
	if fourth := c.enter(nil, "[2001:db8::4]:4"); !third.gone || second.gone || fourth.gone {
		t.Error("who idles does not go first")
	}
	c.bytes = 10
	if !github.reserveBytes(4) || !second.reserveBytes(6) || !github.reserveBytes(1) || !second.gone || github.gone {
		t.Error("bytes are not taken from who has most")
	}
}

// TestMetricsListenElsewhere: then the public port serves webhooks and nothing else.
func TestMetricsListenElsewhere(t *testing.T) {
	observed := make(chan string, 1)
	r := hooked(t, func(o *Options) {
		o.Config.Metrics.Listen = "127.0.0.1:0"
		o.Observed = func(at string) { observed <- at }
	})
	inside := <-observed
	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		if resp, err := http.Get("http://" + r.address + path); err != nil || resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s at the public port: %v, %v", path, resp, err)
		}
	}
	if got := get(t, "http://"+inside+"/healthz"); got != "ok\n" {
		t.Errorf("health is %q", got)
	}
	if resp, err := http.Post("http://"+inside+"/webhooks/github", "application/json", strings.NewReader("{}")); err != nil || resp.StatusCode != http.StatusNotFound {
		t.Errorf("a webhook at the inner port: %v, %v", resp, err)
	}
	if got := genuine(t, r.address, ""); got != http.StatusAccepted {
		t.Errorf("a genuine webhook is answered %d", got)
	}
	if !strings.Contains(get(t, "http://"+inside+"/metrics"), `vishwa_webhooks_total{event="push",result="accepted"} 1`) {
		t.Error("the webhook is not counted")
	}
}
