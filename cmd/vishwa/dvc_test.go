// vishwa data beside the real DVC, in one repository: what either does, the other
// finds right.

package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestBesideDVC(t *testing.T) {
	t.Parallel()
	dvc := toolOr(t, "dvc", "make tools, or pip install dvc")
	testscript.Run(t, testscript.Params{
		Dir: "testdata/dvc",
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", filepath.Dir(dvc)+string(filepath.ListSeparator)+env.Getenv("PATH"))
			env.Setenv("DVC_NO_ANALYTICS", "1")
			env.Setenv("PYTHONUTF8", "1")
			env.Setenv("GORACE", os.Getenv("GORACE"))
			for name, below := range map[string]string{"HOME": "home", "XDG_CACHE_HOME": "cache", "XDG_CONFIG_HOME": "config", "DVC_SITE_CACHE_DIR": "site"} {
				env.Setenv(name, filepath.Join(env.WorkDir, below))
			}
			env.Setenv("GIT_CONFIG_NOSYSTEM", "1")
			return os.Mkdir(filepath.Join(env.WorkDir, "home"), 0o755)
		},
	})
}

// TestDataScripts are stories of data that comes from elsewhere: $WEB serves the folder web.
func TestDataScripts(t *testing.T) {
	t.Parallel()
	keys := quickKeys(t)
	dvc := toolOr(t, "dvc", "make tools, or pip install dvc")
	testscript.Run(t, testscript.Params{
		Dir: "testdata/data",
		Setup: func(env *testscript.Env) error {
			if err := web(env); err != nil {
				return err
			}
			if err := settle(t, env, keys); err != nil {
				return err
			}
			env.Setenv("PATH", env.Getenv("PATH")+string(filepath.ListSeparator)+filepath.Dir(dvc))
			env.Setenv("DVC_NO_ANALYTICS", "1")
			env.Setenv("DVC_SITE_CACHE_DIR", filepath.Join(env.WorkDir, "site"))
			return nil
		},
		Condition: func(cond string) (bool, error) {
			if cond == "root" {
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("no condition %q", cond)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "project": project, "edit": edit, "commit": commit, "kafka": kafka, "send": send,
			"mounted": func(ts *testscript.TestScript, _ bool, args []string) { mounted(t, ts, args) },
		},
	})
}

// web serves the folder web at $WEB.
func web(env *testscript.Env) error {
	dir := filepath.Join(env.WorkDir, "web")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	srv := httptest.NewServer(http.FileServer(http.Dir(dir)))
	env.Defer(srv.Close)
	env.Setenv("WEB", srv.URL)
	return nil
}

// toolOr is a real program, in VISHWA_TOOLS or on PATH; where it is absent, CI fails.
func toolOr(t *testing.T, name, way string) string {
	t.Helper()
	for _, p := range []string{filepath.Join(os.Getenv("VISHWA_TOOLS"), name), name} {
		if found, err := exec.LookPath(p); err == nil {
			if found, err = filepath.EvalSymlinks(found); err == nil {
				return found
			}
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is missing: %s", name, way)
	}
	t.Skipf("%s is missing: %s", name, way)
	return ""
}
