// The line by which the user's program for SSH is begun.

package gitremote

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing/transport"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

func TestTheUsersProgramForSSHIsBegunAsGitBeginsIt(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	t.Setenv("VISHWA_KEY_PASSWORD", "hunter2")
	for name, c := range map[string]struct {
		url, command, variant string
		want                  string // the arguments of git-upload-pack; "" is a refusal
	}{
		"a URL":                 {"ssh://git@host/a/b.git", "ssh -i key", "", `set -- 'git@host' 'git-upload-pack '\''/a/b.git'\'''`},
		"short":                 {"git@host:a/b.git", "ssh", "", `set -- 'git@host' 'git-upload-pack '\''a/b.git'\'''`},
		"a home":                {"ssh://host/~me/b.git", "ssh", "", `'git-upload-pack '\''~me/b.git'\'''`},
		"a port":                {"ssh://git@host:2222/b.git", "ssh", "", `set -- -p 2222 'git@host'`},
		"a port of PuTTY's":     {"ssh://git@host:2222/b.git", `"C:/bin/plink.exe" -batch`, "", `set -- -P 2222 'git@host'`},
		"as it is called":       {"ssh://git@host:2222/b.git", "wrapper", "tortoiseplink", `set -- -P 2222 'git@host'`},
		"no port can be":        {"ssh://git@host:2222/b.git", "wrapper", "simple", ""},
		"the usual port":        {"ssh://git@host/b.git", "wrapper", "simple", `set -- 'git@host'`},
		"a quote":               {"ssh://host/it's;touch x", "ssh", "", `'git-upload-pack '\''/it'\''\'\'''\''s;touch x'\'''`},
		"an option as a host":   {"ssh://-oProxyCommand=x/b.git", "ssh", "", ""},
		"an option as a user":   {"ssh://-oProxyCommand=x@host/b.git", "ssh", "", ""},
		"an option as a folder": {"host:-b.git", "ssh", "", ""},
	} {
		ep, err := transport.NewEndpoint(c.url)
		if err != nil {
			t.Fatal(err)
		}
		r, err := NewReach(ep, Paces{}.OrUsual().Ask, Direct)
		if err != nil {
			t.Fatal(err)
		}
		err = r.By(c.command, c.variant)
		if c.want == "" {
			if err == nil || fault.HintOf(err) == "" {
				t.Errorf("%s: %v", name, err)
			}
			r.Close()
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		raw, err := os.ReadFile(r.service(transport.UploadPackServiceName).Path)
		if err != nil || !strings.Contains(string(raw), c.want) || !strings.HasSuffix(string(raw), c.command+" \"$@\"\n") || !strings.Contains(string(raw), "VISHWA_KEY_PASSWORD") || strings.Contains(string(raw), "hunter2") {
			t.Errorf("%s: %v\n%s\nwant %s", name, err, raw, c.want)
		}
		if _, folder := r.Folder(); folder {
			t.Errorf("%s is taken for a folder of this machine", name)
		}
		r.Close()
	}
	if left, _ := filepath.Glob(filepath.Join(os.Getenv("TMPDIR"), "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
