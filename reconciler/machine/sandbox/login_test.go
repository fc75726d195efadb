// Where an installer's login is found.

package sandbox

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

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
