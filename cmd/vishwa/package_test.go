// Stories of packages: in a registry of this process, in a real one with cosign and crane, and
// in pull requests.

package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/peers"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/registrytest"
)

// spoiling is a registry that loses blobs, and spoils them, when it is told to.
type spoiling struct {
	next http.Handler
	mu   sync.Mutex
	how  string          // gone or spoilt; "" is neither
	what map[string]bool // blobs, by digest
	seen map[string]bool // that were sent as streams: layers
}

func (s *spoiling) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	of := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	s.mu.Lock()
	named := r.URL.Query().Get("digest")
	if r.Method == http.MethodPut && named != "" && r.ContentLength <= 0 {
		s.seen[named] = true
	}
	if s.how == "gone" {
		delete(s.what, named)
	}
	how := ""
	if s.what[of] && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		how = s.how
	}
	s.mu.Unlock()
	switch {
	case how == "gone":
		w.WriteHeader(http.StatusNotFound)
	case how == "spoilt" && r.Method == http.MethodGet:
		got := httptest.NewRecorder()
		s.next.ServeHTTP(got, r)
		raw := got.Body.Bytes()
		if len(raw) > 600 {
			raw[len(raw)/2] ^= 1
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(raw)))
		w.WriteHeader(got.Code)
		_, _ = w.Write(raw)
	default:
		s.next.ServeHTTP(w, r)
	}
}

// on has every layer that was sent be gone, or spoilt.
func (s *spoiling) on(how string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.how, s.what = how, map[string]bool{}
	for d := range s.seen {
		s.what[d] = true
	}
}

// registryClient asks a registry as somebody does who may push everywhere.
type registryClient struct {
	t   *testing.T
	url string
}

func (c registryClient) ask(method, path, kind string, body []byte) (code int, got string, raw []byte) {
	req, err := http.NewRequestWithContext(context.Background(), method, c.url+path, bytes.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.SetBasicAuth(registryUser, registryPassword)
	req.Header.Set("Content-Type", kind)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	if raw, err = io.ReadAll(resp.Body); err != nil {
		c.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("Content-Type"), raw
}

// clone copies a manifest with all that it names and that refers to it, where a tag lists that.
func (c registryClient) clone(from, to, reference string) {
	code, kind, raw := c.ask(http.MethodGet, "/v2/team/"+from+"/manifests/"+reference, "", nil)
	if code != http.StatusOK {
		return
	}
	var index struct {
		Manifests []struct {
			Digest string `json:"digest"`
		} `json:"manifests"`
	}
	if err := json.Unmarshal(raw, &index); err != nil {
		c.t.Fatal(err)
	}
	for _, m := range index.Manifests {
		c.clone(from, to, m.Digest)
	}
	if !strings.HasPrefix(reference, "sha256-") {
		c.clone(from, to, "sha256-"+digest.Of(raw).Hex())
	}
	if code, _, answer := c.ask(http.MethodPut, "/v2/team/"+to+"/manifests/"+reference, kind, raw); code/100 != 2 {
		c.t.Fatalf("copy %s: %d %s", reference, code, answer)
	}
}

func TestPackagesAreReleasedModelsInARegistry(t *testing.T) {
	t.Parallel()
	keys := quickKeys(t)
	s := &spoiling{next: registrytest.Memory(), seen: map[string]bool{}}
	between := peers.NewBetween(t, locked(s))
	host := strings.TrimPrefix(between.URL, "http://")
	client := registryClient{t, between.URL}
	ask := func(method, path string, body []byte) int {
		code, _, _ := client.ask(method, path, "application/vnd.oci.image.index.v1+json", body)
		return code
	}
	testscript.Run(t, testscript.Params{
		Files: []string{"testdata/oci/package.txtar"},
		Setup: func(env *testscript.Env) error {
			env.Setenv("OCI", host)
			env.Setenv("VISHWA_OCI_REGISTRY", host)
			env.Setenv("VISHWA_OCI_USERNAME", registryUser)
			env.Setenv("VISHWA_OCI_PASSWORD", registryPassword)
			env.Defer(func() { leaks(t, env.WorkDir, registryPassword) })
			return settle(t, env, keys)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "project": project, "edit": edit, "commit": commit, "survive": survive,
			// retag TAG foreign|gone: somebody moves a tag of the package, or takes it away.
			"retag": func(ts *testscript.TestScript, _ bool, args []string) {
				if args[1] == "gone" {
					if code := ask(http.MethodDelete, "/v2/team/price/manifests/"+args[0], nil); code/100 != 2 {
						ts.Fatalf("delete a tag: %d", code)
					}
					return
				}
				raw := []byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`)
				for _, name := range []string{"price", "foreign"} {
					if code := ask(http.MethodPut, "/v2/team/"+name+"/manifests/"+args[0], raw); code/100 != 2 {
						ts.Fatalf("move a tag: %d", code)
					}
				}
			},
			// clone: somebody copies the package and all its signatures to team/foreign.
			"clone": func(*testscript.TestScript, bool, []string) { client.clone("price", "foreign", "stable") },
			"lose":  func(*testscript.TestScript, bool, []string) { s.on("gone") },
			"spoil": func(*testscript.TestScript, bool, []string) { s.on("spoilt") },
			"mend":  func(*testscript.TestScript, bool, []string) { s.on("") },
		},
	})
}

// TestAPackageHasAnImageThatServes: built without an engine, over a base that a tag does not name.
func TestAPackageHasAnImageThatServes(t *testing.T) {
	t.Parallel()
	keys := quickKeys(t)
	s := &spoiling{next: registrytest.Memory(), seen: map[string]bool{}}
	host := strings.TrimPrefix(peers.NewBetween(t, locked(s)).URL, "http://")
	pushImage(t, host+"/multi:1", "amd64", "arm64")
	pushImage(t, host+"/arm:1", "arm64")
	clear(s.seen) // what is lost is the package's
	testscript.Run(t, testscript.Params{
		Files: []string{"testdata/oci/package_image.txtar"},
		Setup: func(env *testscript.Env) error {
			env.Setenv("OCI", host)
			env.Setenv("VISHWA_OCI_REGISTRY", host)
			env.Setenv("VISHWA_OCI_USERNAME", registryUser)
			env.Setenv("VISHWA_OCI_PASSWORD", registryPassword)
			env.Defer(func() { leaks(t, env.WorkDir, registryPassword) })
			return settle(t, env, keys)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "project": project, "edit": edit, "commit": commit,
			"lose": func(*testscript.TestScript, bool, []string) { s.on("gone") },
		},
	})
}

// TestARevokedControllerVouchesForNothingNew: a signature has no date, and the ledger has.
func TestARevokedControllerVouchesForNothingNew(t *testing.T) {
	t.Parallel()
	keys := quickKeys(t)
	s := peers.NewBetween(t, locked(registrytest.Memory()))
	host := strings.TrimPrefix(s.URL, "http://")
	testscript.Run(t, testscript.Params{
		Files: []string{"testdata/oci/package_revoked.txtar"},
		Setup: func(env *testscript.Env) error {
			env.Setenv("OCI", host)
			env.Setenv("VISHWA_OCI_REGISTRY", host)
			env.Setenv("VISHWA_OCI_USERNAME", registryUser)
			env.Setenv("VISHWA_OCI_PASSWORD", registryPassword)
			return settle(t, env, keys)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "project": project, "edit": edit, "commit": commit},
	})
}

// TestAPullRequestPacksNothing: the registry that it names hears nothing of anybody, although
// there are credentials for it; nor does its own, before the merge.
func TestAPullRequestPacksNothing(t *testing.T) {
	t.Parallel()
	keys := quickKeys(t)
	testscript.Run(t, testscript.Params{
		Files: []string{"testdata/oci/package_pull.txtar"},
		Setup: func(env *testscript.Env) error {
			heard := filepath.Join(env.WorkDir, "heard.txt")
			theirs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if err := os.WriteFile(heard, fmt.Appendf(nil, "%s %s\n", r.Method, r.URL), 0o600); err != nil {
					t.Error(err)
				}
				w.WriteHeader(http.StatusUnauthorized)
			}))
			env.Defer(theirs.Close)
			ours := peers.NewBetween(t, locked(registrytest.Memory()))
			ours.Meddle(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				next.ServeHTTP(w, r)
				if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/stable") {
					if err := os.WriteFile(filepath.Join(env.WorkDir, "tagged.txt"), nil, 0o600); err != nil {
						t.Error(err)
					}
				}
			})
			auths := map[string]any{}
			for name, url := range map[string]string{"THEIRS": theirs.URL, "OURS": ours.URL} {
				host := strings.TrimPrefix(url, "http://")
				env.Setenv(name, host)
				auths[host] = map[string]string{"auth": base64.StdEncoding.EncodeToString([]byte(registryUser + ":" + registryPassword))}
			}
			raw, err := json.Marshal(map[string]any{"auths": auths})
			if err != nil {
				return err
			}
			if err := write(filepath.Join(env.WorkDir, "docker", "config.json"), raw, 0o600); err != nil {
				return err
			}
			env.Setenv("DOCKER_CONFIG", filepath.Join(env.WorkDir, "docker"))
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

// TestRealPackagesAreReadByOthers: by cosign, with the key alone, and by crane, oras and skopeo,
// from a real registry.
func TestRealPackagesAreReadByOthers(t *testing.T) {
	r := registrytest.New(t, registryUser, registryPassword)
	pushImage(t, r.Address+"/base:1", "amd64")
	keys := quickKeys(t)
	testscript.Run(t, testscript.Params{
		Files: []string{"testdata/oci/package_real.txtar"},
		Setup: func(env *testscript.Env) error {
			env.Setenv("OCI", r.Address)
			env.Setenv("PATH", os.Getenv("VISHWA_TOOLS")+string(os.PathListSeparator)+env.Getenv("PATH"))
			raw, err := json.Marshal(map[string]any{"auths": map[string]any{r.Address: map[string]string{"auth": base64.StdEncoding.EncodeToString([]byte(registryUser + ":" + registryPassword))}}})
			if err != nil {
				return err
			}
			for _, name := range []string{"cosign", "crane", "oras", "skopeo"} {
				at := filepath.Join(os.Getenv("VISHWA_TOOLS"), name)
				if name == "skopeo" {
					at = name // a package of Debian
				}
				if _, err := exec.LookPath(at); err != nil {
					if os.Getenv("VISHWA_REAL") != "" {
						t.Fatalf("%s is missing: make test-package installs it", name)
					}
					t.Skipf("%s is missing: make test-package installs it", name)
				}
			}
			if err := write(filepath.Join(env.WorkDir, "docker", "config.json"), raw, 0o600); err != nil {
				return err
			}
			env.Setenv("DOCKER_CONFIG", filepath.Join(env.WorkDir, "docker"))
			env.Defer(func() { leaks(t, env.WorkDir, registryPassword) })
			return settle(t, env, keys)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "project": project, "edit": edit, "commit": commit, "lines": lineCount,
			// referred NAME: sets $NAME to the package by digest, as status prints it.
			"referred": func(ts *testscript.TestScript, _ bool, args []string) {
				found := regexp.MustCompile(`\S+@sha256:[0-9a-f]{64}`).FindString(ts.ReadFile("stdout"))
				if _, d, _ := strings.Cut(found, "@"); digest.Digest(d) == "" {
					ts.Fatalf("no digest in %s", ts.ReadFile("stdout"))
				}
				ts.Setenv(args[0], found)
			},
		},
	})
}
