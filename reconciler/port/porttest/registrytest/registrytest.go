// Package registrytest holds OCI registries for tests: one in this process, and a real
// one, distribution, where it is installed.
package registrytest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	double "github.com/google/go-containerregistry/pkg/registry"
	godigest "github.com/opencontainers/go-digest"
	"golang.org/x/crypto/bcrypt"

	"github.com/vishwaops/vishwa/reconciler/freeport"
)

// Memory is a registry that keeps everything in memory. Who deletes a manifest deletes its
// tags, as the specification has it and the library has not.
func Memory() http.Handler { return memory() }

// Referring is one that lists what refers to a manifest, as OCI 1.1 says; of Memory, a tag does.
func Referring() http.Handler { return memory(double.WithReferrersSupport(true)) }

func memory(options ...double.Option) http.Handler {
	next := double.New(append(options, double.Logger(log.New(io.Discard, "", 0)))...)
	var mu sync.Mutex
	tags := map[string]map[string]bool{} // by repository and digest
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at, name := path.Split(r.URL.Path)
		if !strings.HasSuffix(at, "/manifests/") {
			next.ServeHTTP(w, r)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		switch r.Method {
		case http.MethodPut:
			raw, err := io.ReadAll(r.Body)
			if err != nil {
				panic(http.ErrAbortHandler)
			}
			of := at + godigest.FromBytes(raw).String()
			if tags[of] == nil {
				tags[of] = map[string]bool{}
			}
			tags[of][name] = true
			r.Body = io.NopCloser(bytes.NewReader(raw))
		case http.MethodDelete:
			for tag := range tags[r.URL.Path] {
				also := r.Clone(r.Context())
				also.URL.Path = at + tag
				next.ServeHTTP(discarded{http.Header{}}, also)
			}
			delete(tags, r.URL.Path)
		}
		next.ServeHTTP(w, r)
	})
}

type discarded struct{ header http.Header }

func (d discarded) Header() http.Header         { return d.header }
func (d discarded) Write(p []byte) (int, error) { return len(p), nil }
func (d discarded) WriteHeader(int)             {}

// Registry is a real registry on a folder of its own.
type Registry struct {
	Address string // host:port
	Folder  string // below which it keeps everything
	config  string
	program string
	t       testing.TB
	stop    func()
}

// New starts one for one test. Where user is given, it lets in who signs in with
// that password, and nobody else. Where the program is absent, VISHWA_REAL says that this
// is a failure.
func New(t testing.TB, user, password string) *Registry {
	t.Helper()
	program, err := exec.LookPath(filepath.Join(os.Getenv("VISHWA_TOOLS"), "registry"))
	if err != nil {
		const way = "distribution's registry is missing: make test-real installs it"
		if os.Getenv("VISHWA_REAL") != "" {
			t.Fatal(way)
		}
		t.Skip(way)
	}
	address, err := freeport.Address("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	r := &Registry{Address: address, Folder: filepath.Join(dir, "kept"), config: filepath.Join(dir, "config.yml"), program: program, t: t}
	text := fmt.Sprintf("version: 0.1\nlog: {level: error}\nstorage:\n  filesystem: {rootdirectory: %s}\n  delete: {enabled: true}\nhttp: {addr: %q, secret: x}\n", r.Folder, r.Address)
	if user != "" {
		hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, "htpasswd")
		if err := os.WriteFile(file, fmt.Appendf(nil, "%s:%s\n", user, hash), 0o600); err != nil {
			t.Fatal(err)
		}
		text += fmt.Sprintf("auth: {htpasswd: {realm: registry, path: %s}}\n", file)
	}
	if err := os.WriteFile(r.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r.Start()
	t.Cleanup(func() { r.Stop() })
	return r
}

// Start begins to serve, at the same address as before.
func (r *Registry) Start() {
	r.t.Helper()
	cmd := exec.Command(r.program, "serve", r.config)
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.stop = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		if err := cmd.Wait(); err != nil && !errors.Is(err, context.Canceled) && !errors.As(err, new(*exec.ExitError)) {
			r.t.Log(err)
		}
	})
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		resp, err := http.Get("http://" + r.Address + "/v2/")
		if err == nil {
			resp.Body.Close()
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("the registry does not answer: %v", err)
		}
	}
}

// Stop ends the server.
func (r *Registry) Stop() { r.stop() }

// Collect collects garbage, manifests without a tag included. The server is to stand still.
func (r *Registry) Collect() string {
	r.t.Helper()
	out, err := exec.Command(r.program, "garbage-collect", "--delete-untagged", r.config).CombinedOutput()
	if err != nil {
		r.t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// Lose takes content away, by its digest, as if it had never been sent. The server is to stand
// still.
func (r *Registry) Lose(hex string) {
	r.t.Helper()
	var gone []string
	err := filepath.WalkDir(r.Folder, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && d.Name() == hex {
			gone = append(gone, path)
			return fs.SkipDir
		}
		return err
	})
	if err != nil || len(gone) == 0 {
		r.t.Fatalf("%s is in %d places, %v", hex, len(gone), err)
	}
	for _, g := range gone {
		if err := os.RemoveAll(g); err != nil {
			r.t.Fatal(err)
		}
	}
}
