// A lock file that is committed says which providers there are.

package provisioner

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/vishwaops/vishwa/reconciler/port"
)

func TestALockFileNamesEveryProvider(t *testing.T) {
	of := func(lock string) port.Infrastructure {
		return port.Infrastructure{Name: "db", Source: fstest.MapFS{"main.tf": {Data: []byte(evil), Mode: 0o644}, lockFile: {Data: []byte(lock), Mode: 0o644}}}
	}
	both(t, port.Infrastructure{}, func(t *testing.T, diff func(context.Context, port.Infrastructure) (port.Change, error), w town) {
		w.provider(t, "exit 1")
		rc := filepath.Join(w.dir, "rc")
		put(t, rc, "provider_installation {\n  filesystem_mirror {\n    path = \""+filepath.Join(w.dir, "mirror")+"\"\n  }\n}\n")
		delete(w.env, "TF_PLUGIN_CACHE_DIR")
		w.env["TF_CLI_CONFIG_FILE"] = rc
		address := registries[product(t)] + "/acme/evil"
		_, err := diff(t.Context(), of("# others\n"))
		if err == nil || !strings.Contains(err.Error(), "stack db: .terraform.lock.hcl does not name "+address+", which the module needs") {
			t.Errorf("a provider that is not named: %v", err)
		}
		_, err = diff(t.Context(), of("provider \""+address+"\" {\n  version = \"1.0.0\"\n}\n"))
		if err == nil || strings.Contains(err.Error(), "does not name") {
			t.Errorf("one that is named, and is none: %v", err)
		}
	})
}
