// A server of repositories over HTTP, as people have one, that breaks as it is told to.

package gittest

import (
	"encoding/pem"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Web serves the repositories of a folder over HTTP, and breaks as it is told to.
type Web struct {
	*httptest.Server
	Mu     sync.Mutex // of Asked
	broken Broken
	Asked  []string // Authorization of each request
}

// Broken is how it misbehaves; the zero Broken serves.
type Broken struct {
	Status         int           // answered to everything
	Hang           chan struct{} // no answer until it is closed
	User, Password string
	Push           func(git http.Handler, w http.ResponseWriter, r *http.Request) // in place of taking a push in
}

// NewWeb serves the repositories below root.
func NewWeb(t testing.TB, root string) *Web {
	t.Helper()
	core, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		t.Fatal(err)
	}
	git := &cgi.Handler{
		Path:       filepath.Join(strings.TrimSpace(string(core)), "git-http-backend"),
		Env:        []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=ada", "GIT_CONFIG_NOSYSTEM=1"},
		InheritEnv: []string{"PATH"}, Stderr: t.Output(),
	}
	s := &Web{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.Mu.Lock()
		b := s.broken
		s.Asked = append(s.Asked, r.Header.Get("Authorization"))
		s.Mu.Unlock()
		user, password, _ := r.BasicAuth()
		switch {
		case b.Hang != nil:
			select {
			case <-b.Hang:
			case <-r.Context().Done():
			}
		case b.Status != 0:
			w.WriteHeader(b.Status)
		case b.User != "" && (user != b.User || password != b.Password):
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			w.WriteHeader(http.StatusUnauthorized)
		case b.Push != nil && r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/git-receive-pack"):
			b.Push(git, w, r)
		default:
			git.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// Breaks has it misbehave from now on.
func (s *Web) Breaks(b Broken) {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	s.broken = b
}

// OverHTTP is NewClones with the clones' remote served over HTTP.
func OverHTTP(t testing.TB, n int) (s *Web, remote string, clones []string) {
	t.Helper()
	remote, clones = NewClones(t, n)
	s = NewWeb(t, filepath.Dir(remote))
	for _, dir := range clones {
		Git(t, dir, "remote", "set-url", "origin", s.URL+"/remote.git")
	}
	return s, remote, clones
}

// Secured serves what s serves over TLS, with a certificate that it signed itself, and
// puts the certificate into a file.
func Secured(t testing.TB, s *Web) (url, authority string) {
	t.Helper()
	front := httptest.NewUnstartedServer(s.Config.Handler)
	front.StartTLS()
	t.Cleanup(front.Close)
	authority = filepath.Join(t.TempDir(), "authority.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw})
	if err := os.WriteFile(authority, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return front.URL, authority
}
