// The way over SSH, to a server in the test's process.

package dockerengine_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"golang.org/x/crypto/ssh"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/dockerengine"
	"github.com/vishwaops/vishwa/reconciler/machine/dockerengine/dockertest"
	"github.com/vishwaops/vishwa/reconciler/port"
)

func over(t *testing.T, host, keys string) *dockerengine.Engine {
	t.Helper()
	e, err := dockerengine.Connect(dockerengine.Reach{Host: host, Keys: keys, Env: port.Env{Lookup: func(string) (string, bool) { return "", false }}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// The engine and what its containers publish are reached by one connection, which ends when nothing needs it and is made again when it was cut.
func TestOneConnectionCarriesAll(t *testing.T) {
	w := dockertest.SSH(t, dockertest.New(t).Socket)
	e := over(t, w.Host, w.Folder)
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "answers") }))
	t.Cleanup(site.Close)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if _, err := e.Info(t.Context(), client.InfoOptions{}); err != nil {
				t.Errorf("ask the engine: %v", err)
			}
			c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return e.Reach(ctx, strings.TrimPrefix(site.URL, "http://"))
			}}}
			resp, err := c.Get("http://container/")
			if err != nil {
				t.Errorf("ask what is published: %v", err)
				return
			}
			defer resp.Body.Close()
			if raw, err := io.ReadAll(resp.Body); err != nil || string(raw) != "answers" {
				t.Errorf("it answers %q, %v", raw, err)
			}
		})
	}
	all.Wait()
	if n := w.Connections(); n != 1 {
		t.Errorf("%d connections", n)
	}
	w.Cut()
	if _, err := e.Info(t.Context(), client.InfoOptions{}); err != nil {
		if _, err = e.Info(t.Context(), client.InfoOptions{}); err != nil { // the one in flight may be lost
			t.Errorf("after a cut: %v", err)
		}
	}
	if _, err := e.Reach(t.Context(), "127.0.0.1:1"); fault.Of(err) != fault.Transient || !strings.Contains(fault.HintOf(err), "AllowTcpForwarding") {
		t.Errorf("where nothing listens: %v, %q", err, fault.HintOf(err))
	}
}

// A machine that says nothing keeps nobody for longer than they wait.
func TestAMachineThatSaysNothingKeepsNobody(t *testing.T) {
	w := dockertest.SSH(t, dockertest.New(t).Socket)
	w.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	known, err := os.ReadFile(filepath.Join(w.Folder, "known_hosts"))
	if err != nil {
		t.Fatal(err)
	}
	_, key, _ := strings.Cut(string(known), " ")
	_, at, _ := net.SplitHostPort(l.Addr().String())
	if err := os.WriteFile(filepath.Join(w.Folder, "known_hosts"), []byte("[127.0.0.1]:"+at+" "+key), 0o600); err != nil {
		t.Fatal(err)
	}
	e := over(t, "ssh://tester@"+l.Addr().String(), w.Folder)
	begun := time.Now()
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			if _, err := e.Reach(ctx, "127.0.0.1:80"); err == nil {
				t.Error("it was reached")
			}
		})
	}
	all.Wait()
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("ten who wait 200ms waited %s", took)
	}
}

func TestAnAddressOverSSHIsWhole(t *testing.T) {
	for host, want := range map[string]string{
		"ssh://ml@box": "ssh://ml@box:22",
		"ssh://ml@box:2222/run/user/7/docker.sock": "ssh://ml@box:2222/run/user/7/docker.sock",
		"ssh://ml@[2001:db8::1]/run/podman.sock":   "ssh://ml@[2001:db8::1]:22/run/podman.sock",
		"ssh://ml:secret@box":                      "",
		"ssh://":                                   "",
		"tcp://ml:secret@127.0.0.1:2375":           "",
		"ssh://ml:secret @box":                     "",
		"ssh://ml@box?token=secret":                "",
		"ssh://ml@":                                "",
	} {
		e, err := dockerengine.Connect(dockerengine.Reach{Host: host, Keys: "/none", Env: port.Env{Lookup: func(string) (string, bool) { return "", false }}})
		switch {
		case want == "":
			if fault.Of(err) != fault.Invalid || err == nil || strings.Contains(err.Error(), "secret") {
				t.Errorf("%s: %v", host, err)
			}
		case err != nil || e.Host != want || e.Socket != "":
			t.Errorf("%s: %+v, %v", host, e, err)
		}
	}
}

// A machine may be known by who signs its key, as for any SSH: no false alarm is given, and what they did not sign is refused.
func TestAMachineIsKnownByItsAuthority(t *testing.T) {
	for name, c := range map[string]struct {
		signed string // the name; "" is that it shows no certificate
		stays  bool   // the line of its own key
		says   string
	}{
		"signed":               {"127.0.0.1", false, ""},
		"signed, and known":    {"127.0.0.1", true, ""},
		"for another":          {"other.example.com", false, "a certificate that does not count"},
		"for another, known":   {"other.example.com", true, ""},
		"no certificate":       {"", false, "no key of a kind that known_hosts has of it"},
		"no certificate,known": {"", true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := dockertest.SSH(t, dockertest.New(t).Socket)
			signs := dockertest.SSH(t, dockertest.New(t).Socket).Certify(t, "127.0.0.1") // another's
			if c.signed != "" {
				signs = w.Certify(t, c.signed)
			}
			file := filepath.Join(w.Folder, "known_hosts")
			own, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			host, _, _ := strings.Cut(string(own), " ")
			text := "# of the team\n@cert-authority " + host + " " + string(ssh.MarshalAuthorizedKey(signs))
			if c.stays {
				text += string(own)
			}
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err = over(t, w.Host, w.Folder).Info(t.Context(), client.InfoOptions{})
			if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("asked: %v", err)
			}
		})
	}
}

// Each key that needs nobody is shown: which of them a machine knows is the machine's.
func TestAllKeysAreShown(t *testing.T) {
	w := dockertest.SSH(t, dockertest.New(t).Socket)
	known := filepath.Join(w.Folder, "id_ed25519")
	strange, err := os.ReadFile(filepath.Join(dockertest.SSH(t, dockertest.New(t).Socket).Folder, "id_ed25519"))
	if err == nil {
		err = os.Rename(known, filepath.Join(w.Folder, "id_rsa"))
	}
	if err != nil {
		t.Fatal(err)
	}
	for what, raw := range map[string][]byte{"another key": strange, "no key": []byte("none")} {
		if err := os.WriteFile(known, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := over(t, w.Host, w.Folder).Info(t.Context(), client.InfoOptions{}); err != nil {
			t.Errorf("after %s: %v", what, err)
		}
	}
}
