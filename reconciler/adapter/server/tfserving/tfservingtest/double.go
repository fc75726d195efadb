// Package tfservingtest is a TensorFlow Serving in one process, for tests: it reads models.config anew as it is polled,
// loads and unloads versions, and keeps the rules that the real one has for labels (server_core.cc and
// http_rest_api_handler.cc of tensorflow/serving 2.19): one leads to a version that is available or not at all, and one
// wrong label keeps all others from moving.
package tfservingtest

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

// Loader loads a version from its folder: what answers for it, until end is called.
type Loader func(dir string, gone <-chan struct{}) (answer func(body []byte) ([]byte, error), end func(), err error)

// Server is one of them.
type Server struct {
	URL    string
	Folder string // with models.config

	mu      sync.Mutex
	models  map[string]map[int64]*version
	labels  map[string]map[string]int64
	load    Loader
	away    bool
	deaf    bool
	mounts  map[string]string
	before  func() error // a config is read
	Reloads []string     // what was wrong with a config that was read, the last one last
}

type version struct {
	state, code, message string
	answer               func([]byte) ([]byte, error)
	end                  func()
	gone                 chan struct{}
	dir                  string
}

// New begins one that reads folder. It ends with the test.
func New(t testing.TB, folder string, load Loader) *Server {
	t.Helper()
	s := &Server{Folder: folder, models: map[string]map[int64]*version{}, labels: map[string]map[string]int64{}, load: load}
	at := httptest.NewServer(s)
	s.URL = at.URL
	done, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		for {
			s.poll()
			select {
			case <-done:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	t.Cleanup(func() {
		close(done)
		<-over
		at.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, versions := range s.models {
			for _, v := range versions {
				v.unload()
			}
		}
	})
	return s
}

// Away has the server answer nobody, until it is called with false.
func (s *Server) Away(is bool) { s.mu.Lock(); defer s.mu.Unlock(); s.away = is }

// Deaf has it read no config any more, as one that does not poll.
func (s *Server) Deaf(is bool) { s.mu.Lock(); defer s.mu.Unlock(); s.deaf = is }

// Mount has addresses that begin with a bucket's be of a folder.
func (s *Server) Mount(bucket, folder string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mounts = map[string]string{bucket: folder}
}

// Before has something done each time before the config is read; where it fails, nothing is read.
func (s *Server) Before(do func() error) { s.mu.Lock(); defer s.mu.Unlock(); s.before = do }

// Crash ends everything, and begins with nothing loaded.
func (s *Server) Crash() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, versions := range s.models {
		for _, v := range versions {
			v.unload()
		}
	}
	s.models, s.labels = map[string]map[int64]*version{}, map[string]map[string]int64{}
}

// Loaded are the versions of a model that are available.
func (s *Server) Loaded(name string) (out []int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for number, v := range s.models[name] {
		if v.state == "AVAILABLE" {
			out = append(out, number)
		}
	}
	slices.Sort(out)
	return out
}

func (v *version) unload() {
	if v.gone == nil {
		return
	}
	close(v.gone)
	v.gone = nil
	if v.end != nil {
		v.end()
		v.end = nil
	}
	v.state, v.answer = "END", nil
}

// config is one of the list.
type config struct {
	name, base string
	versions   []int64
	labels     map[string]int64
}

var (
	configs  = lazyregexp.New(`config\s*:?\s*\{`)
	named    = lazyregexp.New(`\bname\s*:\s*["']([^"']*)["']`)
	based    = lazyregexp.New(`\bbase_path\s*:\s*["']([^"']*)["']`)
	numbered = lazyregexp.New(`\bversions\s*:\s*(\d+)`)
	labelled = lazyregexp.New(`version_labels\s*:?\s*\{\s*key\s*:\s*["']([^"']*)["']\s*value\s*:\s*(\d+)\s*\}`)
	comment  = lazyregexp.New(`#[^\n]*`)
)

// readConfig reads the file in a way of its own, and not with what is tested.
func (s *Server) readConfig() (out []config, err error) {
	if s.before != nil {
		if err := s.before(); err != nil {
			return nil, err
		}
	}
	raw, err := os.ReadFile(filepath.Join(s.Folder, "models.config"))
	if err != nil {
		return nil, err
	}
	_, list, ok := strings.Cut(comment.ReplaceAllString(string(raw), ""), "model_config_list")
	if !ok {
		return nil, fmt.Errorf("no model_config_list")
	}
	for _, at := range configs.FindAllStringIndex(list, -1) {
		depth, end := 1, at[1]
		for ; end < len(list) && depth > 0; end++ {
			depth += map[byte]int{'{': 1, '}': -1}[list[end]]
		}
		if depth > 0 {
			return nil, fmt.Errorf("a config has no end")
		}
		body := list[at[1] : end-1]
		n, b := named.FindStringSubmatch(body), based.FindStringSubmatch(body)
		if n == nil || b == nil {
			return nil, fmt.Errorf("a config has no name or no base_path")
		}
		c := config{name: n[1], base: b[1], labels: map[string]int64{}}
		for bucket, folder := range s.mounts {
			if rest, in := strings.CutPrefix(c.base, bucket); in {
				c.base = folder + rest
			}
		}
		for _, m := range numbered.FindAllStringSubmatch(body, -1) {
			v, _ := strconv.ParseInt(m[1], 10, 64)
			c.versions = append(c.versions, v)
		}
		for _, m := range labelled.FindAllStringSubmatch(body, -1) {
			c.labels[m[1]], _ = strconv.ParseInt(m[2], 10, 64)
		}
		if !strings.Contains(body, "specific") { // the largest number
			dirs, _ := os.ReadDir(c.base)
			var most int64
			for _, d := range dirs {
				if v, err := strconv.ParseInt(d.Name(), 10, 64); err == nil {
					most = max(most, v)
				}
			}
			if most > 0 {
				c.versions = []int64{most}
			}
		}
		out = append(out, c)
	}
	return out, nil
}

func (s *Server) poll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.deaf {
		return
	}
	all, err := s.readConfig()
	if err != nil {
		s.refuse(err.Error())
		return
	}
	aspired := map[string]bool{}
	for _, c := range all {
		aspired[c.name] = true
		if s.models[c.name] == nil {
			s.models[c.name] = map[int64]*version{}
		}
		for _, number := range c.versions {
			dir := filepath.Join(c.base, strconv.FormatInt(number, 10))
			if v := s.models[c.name][number]; v != nil && (v.gone != nil || v.code != "" && v.code != "OK") {
				continue
			}
			if st, err := os.Stat(dir); err != nil || !st.IsDir() {
				continue // it waits for the folder
			}
			v := &version{state: "LOADING", dir: dir, gone: make(chan struct{})}
			s.models[c.name][number] = v
			go s.begin(v, v.gone)
		}
		for number, v := range s.models[c.name] {
			if !slices.Contains(c.versions, number) {
				v.unload()
				v.code = "OK"
			}
		}
	}
	for name, versions := range s.models {
		if !aspired[name] {
			for _, v := range versions {
				v.unload()
				v.code = "OK"
			}
		}
	}
	labels := map[string]map[string]int64{}
	for _, c := range all {
		labels[c.name] = c.labels
		for label, number := range c.labels {
			if v := s.models[c.name][number]; v == nil || v.state != "AVAILABLE" {
				s.refuse(fmt.Sprintf("Request to assign label to %s version %d as %s, which is not currently available for inference", c.name, number, label))
				return
			}
		}
	}
	s.labels = labels
}

func (s *Server) refuse(what string) {
	if len(s.Reloads) == 0 || s.Reloads[len(s.Reloads)-1] != what {
		s.Reloads = append(s.Reloads, what)
	}
}

// Said is what was wrong with configs that were read.
func (s *Server) Said() []string { s.mu.Lock(); defer s.mu.Unlock(); return slices.Clone(s.Reloads) }

func (s *Server) begin(v *version, gone chan struct{}) {
	answer, end, err := s.load(v.dir, gone)
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-gone: // meanwhile
		if err == nil && end != nil {
			end()
		}
		return
	default:
	}
	if err != nil {
		v.state, v.code, v.message, v.gone = "END", "INVALID_ARGUMENT", err.Error(), nil
		return
	}
	v.state, v.code, v.answer, v.end = "AVAILABLE", "OK", answer, end
}

var asked = lazyregexp.New(`^/v1/models/([^/:]+)(?:/versions/(\d+)|/labels/([^/:]+))?(:predict)?$`)

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m := asked.FindStringSubmatch(r.URL.Path)
	s.mu.Lock()
	away := s.away
	var all []status
	var answer func([]byte) ([]byte, error)
	wrong := "Malformed request: " + r.Method + " " + r.URL.Path
	if m != nil {
		all, answer, wrong = s.of(m[1], m[2], m[3])
	}
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	switch {
	case away:
		panic(http.ErrAbortHandler)
	case wrong == "" && m[4] == "":
		_ = json.NewEncoder(w).Encode(map[string]any{"model_version_status": all})
		return
	case wrong == "" && (answer == nil || r.Method != http.MethodPost):
		wrong = "Servable not found for request: " + m[1]
	}
	status := http.StatusNotFound
	if wrong == "" {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			body, err = answer(body)
		}
		if err == nil {
			_, _ = w.Write(body)
			return
		}
		status, wrong = http.StatusBadRequest, err.Error()
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": wrong})
}

type status struct {
	Version string            `json:"version"`
	State   string            `json:"state"`
	Status  map[string]string `json:"status"`
}

// of are the versions that a question is about, and what answers for the newest of them; wrong says why there are none.
func (s *Server) of(name, number, label string) (out []status, answer func([]byte) ([]byte, error), wrong string) {
	versions := s.models[name]
	numbers := slices.Sorted(maps.Keys(versions))
	if label != "" {
		n, ok := s.labels[name][label]
		if !ok {
			return nil, nil, "Unrecognized servable version label: " + label
		}
		number = strconv.FormatInt(n, 10)
	}
	for _, n := range slices.Backward(numbers) {
		v, text := versions[n], strconv.FormatInt(n, 10)
		if number != "" && number != text {
			continue
		}
		if answer == nil {
			answer = v.answer
		}
		code := v.code
		if code == "" {
			code = "OK"
		}
		out = append(out, status{text, v.state, map[string]string{"error_code": code, "error_message": v.message}})
	}
	if len(out) == 0 {
		return nil, nil, "Could not find any versions of model " + name
	}
	return out, answer, ""
}
