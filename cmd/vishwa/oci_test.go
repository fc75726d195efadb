// Stories of a store in a registry: in one of this process, and in a real one.

package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/vishwaops/vishwa/reconciler/port/porttest/peers"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/registrytest"
)

const (
	registryUser     = "vera"
	registryPassword = "hunter2hunter2"
)

// locked lets in who signs in, and nobody else.
func locked(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != registryUser || password != registryPassword {
			w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// TestStoreInARegistry: a store in a registry is shared by machines that share nothing else.
func TestStoreInARegistry(t *testing.T) {
	t.Parallel()
	between := peers.NewBetween(t, locked(registrytest.Memory()))
	sharedInRegistry(t, strings.TrimPrefix(between.URL, "http://"))
}

func TestRealStoreInARegistry(t *testing.T) {
	sharedInRegistry(t, registrytest.New(t, registryUser, registryPassword).Address)
}

func sharedInRegistry(t *testing.T, address string) {
	keys := quickKeys(t)
	testscript.Run(t, testscript.Params{
		Files: []string{"testdata/oci/store.txtar"},
		Setup: func(env *testscript.Env) error {
			env.Setenv("OCI", address)
			env.Setenv("VISHWA_OCI_REGISTRY", address)
			env.Setenv("VISHWA_OCI_USERNAME", registryUser)
			env.Setenv("VISHWA_OCI_PASSWORD", registryPassword)
			env.Defer(func() { leaks(t, env.WorkDir, registryPassword) })
			return settle(t, env, keys)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "project": project, "edit": edit, "commit": commit},
	})
}

// TestAPullRequestDoesNotChooseTheStore: the registry that it names hears nothing of
// anybody, although there are credentials for it.
func TestAPullRequestDoesNotChooseTheStore(t *testing.T) {
	t.Parallel()
	keys := quickKeys(t)
	ours := peers.NewBetween(t, locked(registrytest.Memory()))
	testscript.Run(t, testscript.Params{
		Files: []string{"testdata/oci/pull.txtar"},
		Setup: func(env *testscript.Env) error {
			heard := filepath.Join(env.WorkDir, "heard.txt")
			theirs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if err := os.WriteFile(heard, fmt.Appendf(nil, "%s %s %s\n", r.Method, r.URL, r.Header.Get("Authorization")), 0o600); err != nil {
					t.Error(err)
				}
				w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
				w.WriteHeader(http.StatusUnauthorized)
			}))
			env.Defer(theirs.Close)
			auths := map[string]map[string]string{}
			for name, url := range map[string]string{"OCI": ours.URL, "THEIRS": theirs.URL} {
				host := strings.TrimPrefix(url, "http://")
				env.Setenv(name, host)
				auths[host] = map[string]string{"auth": base64.StdEncoding.EncodeToString([]byte(registryUser + ":" + registryPassword))}
			}
			raw, err := json.Marshal(map[string]any{"auths": auths})
			if err != nil {
				return err
			}
			docker := filepath.Join(env.WorkDir, "docker")
			if err := os.Mkdir(docker, 0o700); err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(docker, "config.json"), raw, 0o600); err != nil {
				return err
			}
			env.Setenv("DOCKER_CONFIG", docker)
			if err := settle(t, env, keys); err != nil {
				return err
			}
			if err := web(env); err != nil {
				return err
			}
			return begin(t, env)
		},
		Cmds: forgeCommands(),
	})
}
