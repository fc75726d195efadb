// Where an installer's login is found.

package sandbox

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// TestALoginIsFoundWhereverItIsNamed: in a file that a variable names, too.
func TestALoginIsFoundWhereverItIsNamed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pip.conf")
	for text, want := range map[string]bool{"[global]\nindex-url = https://user:token@pypi.example.com/simple\n": true, "[global]\nindex-url = https://pypi.example.com/simple\n": false} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, variable := range []string{"PIP_CONFIG_FILE", "UV_CONFIG_FILE"} {
			i := installation{Environments: Environments{Env: port.Env{Lookup: func(name string) (string, bool) { return file, name == variable }}}}
			if got := i.entrusted(); got != want {
				t.Errorf("%s: %v, want %v", variable, got, want)
			}
			if hosts := strings.Join(i.hosts(nil), " "); !strings.Contains(hosts, "pypi.example.com:443") {
				t.Errorf("%s: its index is not reached: %s", variable, hosts)
			}
		}
	}
}

// TestALockFileThatIsReviewedNamesItsIndex: also behind the wall of what is not. What it alone names is reached by another
// way than what the machine's owner names, and so is what an image's settings name.
func TestALockFileThatIsReviewedNamesItsIndex(t *testing.T) {
	lock := []byte("--index-url https://lock.example.com/simple\na==1 --hash=sha256:00\n")
	vars := map[string]string{"PIP_INDEX_URL": "https://settings.example.com/simple"}
	for _, c := range []struct {
		reviewed, foreign     bool
		named, dialed, denied string
	}{
		{reviewed: true, named: "lock.example.com:443", dialed: "settings.example.com:443", denied: "other.example.com:443"},
		{reviewed: true, foreign: true, named: "settings.example.com:443", dialed: "pypi.org:443", denied: "other.example.com:443"},
		{dialed: "settings.example.com:443", denied: "lock.example.com:443"},
		{foreign: true, dialed: "pypi.org:443", denied: "settings.example.com:443"},
	} {
		var named, dialed string
		to := func(heard *string) func(context.Context, string, string) (net.Conn, error) {
			return func(_ context.Context, _, address string) (net.Conn, error) {
				*heard += address
				return nil, errors.New("heard")
			}
		}
		i := installation{dir: t.TempDir(), Environments: Environments{Dir: t.TempDir(), Foreign: c.foreign, Dial: to(&dialed), Named: to(&named),
			Env:  port.Env{Lookup: func(name string) (string, bool) { v, ok := vars[name]; return v, ok }},
			Wall: wall.Policy{Strict: true, Reviewed: c.reviewed}}}
		if shared := i.cache() == filepath.Join(i.Dir, "cache"); shared != c.reviewed {
			t.Errorf("reviewed %t: shares its cache: %t", c.reviewed, shared)
		}
		spec, err := i.behind(lock, "", "")
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		p := spec.Network.Proxy()
		go p.Serve(l)
		asks := http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: l.Addr().String()})}}
		for _, host := range []string{c.named, c.dialed, c.denied} {
			if res, err := asks.Get("https://" + host); host != "" && err == nil {
				res.Body.Close()
				t.Errorf("%s answers", host)
			}
		}
		p.Close()
		if named != c.named || dialed != c.dialed {
			t.Errorf("reviewed %t, of an image %t: by the way of names %q, want %q; by that of the owner %q, want %q", c.reviewed, c.foreign, named, c.named, dialed, c.dialed)
		}
	}
}
