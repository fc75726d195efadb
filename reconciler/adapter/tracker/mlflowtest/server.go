// Package mlflowtest is as much of MLflow's tracking server and registry as a tracker of ours asks for,
// in one process. The same suite runs on a real server, so that what it gets wrong shows.
package mlflowtest

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

type tag struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

type point struct {
	Key   string `json:"key"`
	Value any    `json:"value"`
	Time  int64  `json:"timestamp"`
	Step  int64  `json:"step"`
	Model string `json:"model_id,omitempty"` // of which it is a metric too
	Set   string `json:"dataset_name,omitempty"`
	Of    string `json:"dataset_digest,omitempty"`
}

type run struct {
	id, experiment, name, stage, status string
	tags, params                        map[string]string
	points                              []point
	inputs                              []any
	outputs                             []any
}

type experiment struct {
	name, stage string
	tags        map[string]string
}

type model struct {
	tags     map[string]string
	aliases  map[string]string
	versions []map[string]any
}

// Server is the double. Its log has a line a request: POST runs/create 200.
type Server struct {
	mu          sync.Mutex
	experiments map[string]*experiment // by id, which is the name that it was made by
	runs        []*run
	models      map[string]*model
	logged      []*logged
	log         []string
	// Root is where experiments keep artifacts; "" is with the server.
	Root string
	// Old has it answer as MLflow 2.9 does.
	Old bool
	// Before is asked before a request is answered; a status other than 0 is the answer.
	Before func(r *http.Request) int
}

// New is an empty server.
func New() *Server {
	return &Server{experiments: map[string]*experiment{}, models: map[string]*model{}}
}

// Log is what was asked so far.
func (s *Server) Log() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.log)
}

const prefix = "/api/2.0/mlflow/"

// refusal is an error as MLflow answers it.
type refusal struct {
	status int
	code   string
}

func missing() *refusal  { return &refusal{http.StatusNotFound, "RESOURCE_DOES_NOT_EXIST"} }
func exists() *refusal   { return &refusal{http.StatusBadRequest, "RESOURCE_ALREADY_EXISTS"} }
func invalid() *refusal  { return &refusal{http.StatusBadRequest, "INVALID_PARAMETER_VALUE"} }
func unknown() *refusal  { return &refusal{http.StatusNotFound, "ENDPOINT_NOT_FOUND"} }
func ok() map[string]any { return map[string]any{} }

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.Before != nil {
		if status := s.Before(r); status != 0 {
			w.WriteHeader(status)
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.URL.Path == "/version" {
		fmt.Fprint(w, map[bool]string{true: "2.9.2", false: "3.17.2"}[s.Old])
		return
	}
	path := strings.TrimPrefix(r.URL.Path, prefix)
	if s.Old && (strings.HasPrefix(path, "logged-models") || path == "runs/outputs") {
		http.NotFound(w, r)
		return
	}
	body := map[string]json.RawMessage{}
	if r.Method != http.MethodGet {
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil && err != io.EOF {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
	}
	for name, values := range r.URL.Query() {
		body[name], _ = json.Marshal(values[0])
	}
	answer, no := s.answer(r.Method+" "+path, body)
	status := http.StatusOK
	if no != nil {
		status, answer = no.status, map[string]any{"error_code": no.code, "message": "no"}
	}
	s.log = append(s.log, fmt.Sprintf("%s %s %d", r.Method, path, status))
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}

func text(body map[string]json.RawMessage, name string) (s string) {
	_ = json.Unmarshal(body[name], &s)
	return s
}

func tagsOf(body map[string]json.RawMessage) map[string]string {
	var list []tag
	_ = json.Unmarshal(body["tags"], &list)
	out := map[string]string{}
	for _, t := range list {
		out[t.Key] = t.Value
	}
	return out
}

func listed(m map[string]string) []tag {
	out := []tag{}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, tag{k, m[k]})
	}
	return out
}

func (s *Server) answer(what string, body map[string]json.RawMessage) (map[string]any, *refusal) {
	switch what {
	case "GET experiments/get":
		id := text(body, "experiment_id")
		if e := s.experiments[id]; e != nil {
			return map[string]any{"experiment": map[string]any{"experiment_id": id, "name": e.name, "lifecycle_stage": e.stage, "artifact_location": s.root(id)}}, nil
		}
		return nil, missing()
	case "GET experiments/get-by-name":
		for id, e := range s.experiments {
			if e.name == text(body, "experiment_name") {
				return map[string]any{"experiment": map[string]any{"experiment_id": id, "name": e.name, "lifecycle_stage": e.stage, "tags": listed(e.tags)}}, nil
			}
		}
		return nil, missing()
	case "POST experiments/search":
		out := []any{}
		for _, id := range slices.Sorted(maps.Keys(s.experiments)) {
			if e := s.experiments[id]; e.stage == "active" {
				out = append(out, map[string]any{"experiment_id": id, "name": e.name, "tags": listed(e.tags)})
			}
		}
		return map[string]any{"experiments": out}, nil
	case "POST experiments/create":
		return s.newExperiment(text(body, "name"), tagsOf(body))
	case "POST experiments/restore", "POST experiments/delete", "POST experiments/update", "POST experiments/set-experiment-tag":
		e := s.experiments[text(body, "experiment_id")]
		if e == nil {
			return nil, missing()
		}
		switch {
		case strings.HasSuffix(what, "tag"):
			e.tags[text(body, "key")] = text(body, "value")
		case strings.HasSuffix(what, "update"):
			e.name = text(body, "new_name")
		case strings.HasSuffix(what, "delete"):
			e.stage = "deleted"
		default:
			e.stage = "active"
		}
		return ok(), nil
	}
	verb, path, _ := strings.Cut(what, " ")
	if path == "metrics/get-history" {
		return s.ofRun("", body)
	}
	if rest, of := strings.CutPrefix(path, "logged-models"); of {
		return s.ofLogged(verb+rest, body)
	}
	if rest, of := strings.CutPrefix(path, "runs/"); of {
		return s.ofRun(rest, body)
	}
	return s.ofModel(verb+" "+path, body)
}

func (s *Server) newExperiment(name string, tags map[string]string) (map[string]any, *refusal) {
	for _, e := range s.experiments {
		if e.name == name {
			return nil, exists()
		}
	}
	id := name
	for s.experiments[id] != nil { // that one has another name now
		id += "-again"
	}
	s.experiments[id] = &experiment{name, "active", tags}
	return map[string]any{"experiment_id": id}, nil
}

var byTag = lazyregexp.New("^tags\\.`([^`]+)` = '([^']*)'$")

func (s *Server) ofRun(what string, body map[string]json.RawMessage) (map[string]any, *refusal) {
	if what == "create" {
		r := &run{id: fmt.Sprintf("%032x", len(s.runs)+1), experiment: text(body, "experiment_id"), name: text(body, "run_name"), stage: "active", status: "RUNNING", tags: tagsOf(body), params: map[string]string{}}
		if s.experiments[r.experiment] == nil || s.experiments[r.experiment].stage != "active" {
			return nil, invalid()
		}
		s.runs = append(s.runs, r)
		return map[string]any{"run": r.shown()}, nil
	}
	if what == "search" {
		m := byTag.FindStringSubmatch(text(body, "filter"))
		out := []any{}
		if text(body, "filter") == "attributes.status = 'FINISHED'" { // the newest of one experiment
			var of []string
			_ = json.Unmarshal(body["experiment_ids"], &of)
			for _, r := range slices.Backward(s.runs) {
				if len(out) == 0 && slices.Contains(of, r.experiment) && r.stage == "active" && r.status == "FINISHED" {
					out = append(out, r.shown())
				}
			}
			return map[string]any{"runs": out}, nil
		}
		for _, r := range s.runs {
			if m != nil && r.tags[m[1]] == m[2] && (r.stage == "active" || text(body, "run_view_type") == "ALL") {
				out = append(out, r.shown())
			}
		}
		return map[string]any{"runs": out}, nil
	}
	i := slices.IndexFunc(s.runs, func(r *run) bool { return r.id == text(body, "run_id") })
	if i < 0 {
		return nil, missing()
	}
	answer, no := s.runs[i].asked(what, body, s.names())
	if no == nil && what == "log-batch" {
		s.score(body)
	}
	return answer, no
}

// asked is what of a run that is there is asked, or told.
func (r *run) asked(what string, body map[string]json.RawMessage, names *lazyregexp.Regexp) (map[string]any, *refusal) {
	switch what {
	case "get":
		return map[string]any{"run": r.shown()}, nil
	case "delete":
		r.stage = "deleted"
		return ok(), nil
	case "restore":
		r.stage = "active"
		return ok(), nil
	case "":
		out := []point{}
		for _, p := range r.points {
			if p.Key == text(body, "metric_key") {
				out = append(out, p)
			}
		}
		return map[string]any{"metrics": out}, nil
	}
	if r.stage != "active" {
		return nil, invalid()
	}
	switch what {
	case "log-batch":
		return r.batch(body, names)
	case "log-inputs":
		var sets []any
		_ = json.Unmarshal(body["datasets"], &sets)
		r.inputs = append(r.inputs, sets...)
	case "outputs":
		var models []any
		_ = json.Unmarshal(body["models"], &models)
		for _, was := range r.outputs {
			if fmt.Sprint(was) == fmt.Sprint(models[0]) {
				return nil, &refusal{http.StatusInternalServerError, "INTERNAL_ERROR"} // so does the real one
			}
		}
		r.outputs = append(r.outputs, models...)
	case "update":
		r.status = text(body, "status")
	case "set-tag":
		r.tags[text(body, "key")] = text(body, "value")
	default:
		return nil, unknown()
	}
	return ok(), nil
}

// A name as MLflow takes it, and as it did before its release 3.
var known, knownOld = lazyregexp.New(`^[A-Za-z0-9_\-. :/]{1,250}$`), lazyregexp.New(`^[A-Za-z0-9_\-. /]{1,250}$`)

func (s *Server) names() *lazyregexp.Regexp {
	if s.Old {
		return knownOld
	}
	return known
}

func named(known *lazyregexp.Regexp, name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part == "." || part == ".." {
			return false
		}
	}
	return known.MatchString(name)
}

// batch takes nothing where one of it cannot be.
func (r *run) batch(body map[string]json.RawMessage, names *lazyregexp.Regexp) (map[string]any, *refusal) {
	if string(body["params"]) == "null" || string(body["metrics"]) == "null" {
		return nil, &refusal{http.StatusInternalServerError, "INTERNAL_ERROR"} // so does the real one
	}
	var params []tag
	var points []point
	for _, name := range []string{"params", "metrics"} {
		if body[name] == nil {
			body[name] = json.RawMessage("[]")
		}
	}
	if json.Unmarshal(body["params"], &params) != nil || json.Unmarshal(body["metrics"], &points) != nil {
		return nil, invalid()
	}
	tags := tagsOf(body)
	if len(params) > 100 || len(tags) > 100 || len(points)+len(params)+len(tags) > 1000 {
		return nil, invalid()
	}
	for _, p := range params {
		if was, twice := r.params[p.Key]; !named(names, p.Key) || len(p.Value) > 6000 || twice && was != p.Value {
			return nil, invalid()
		}
	}
	for _, p := range points {
		if !named(names, p.Key) {
			return nil, invalid()
		}
	}
	maps.Copy(r.tags, tags)
	for _, p := range params {
		r.params[p.Key] = p.Value
	}
	for _, p := range points {
		p.Model, p.Set, p.Of = "", "", ""
		if !slices.Contains(r.points, p) { // MLflow keeps each once
			r.points = append(r.points, p)
		}
	}
	return ok(), nil
}

func (r *run) shown() map[string]any {
	last := map[string]point{}
	for _, p := range r.points {
		if was, known := last[p.Key]; !known || p.Step > was.Step || p.Step == was.Step && p.Time >= was.Time {
			last[p.Key] = p
		}
	}
	points := []point{}
	for _, k := range slices.Sorted(maps.Keys(last)) {
		points = append(points, last[k])
	}
	return map[string]any{
		"info":   map[string]string{"run_id": r.id, "run_name": r.name, "experiment_id": r.experiment, "status": r.status, "lifecycle_stage": r.stage, "artifact_uri": "mlflow-artifacts:/" + r.id + "/artifacts"},
		"data":   map[string]any{"tags": listed(r.tags), "params": listed(r.params), "metrics": points},
		"inputs": map[string]any{"dataset_inputs": r.inputs}, "outputs": map[string]any{"model_outputs": r.outputs},
	}
}
