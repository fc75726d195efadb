// The models of the double that are of no registry.

package mlflowtest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

type logged struct {
	id, experiment, run, name, status string
	tags, params                      map[string]string
	deleted                           bool
	metrics                           []point
}

func (s *Server) root(experiment string) string {
	return cmp.Or(s.Root, "mlflow-artifacts:") + "/" + experiment
}

func (s *Server) loggedModel(id string) *logged {
	for _, m := range s.logged {
		if m.id == id && !m.deleted {
			return m
		}
	}
	return nil
}

func (s *Server) shownModel(m *logged) map[string]any {
	return map[string]any{"info": map[string]any{"model_id": m.id, "name": m.name, "status": m.status, "experiment_id": m.experiment, "source_run_id": m.run,
		"artifact_uri": s.root(m.experiment) + "/models/" + m.id + "/artifacts", "tags": listed(m.tags)}, "data": map[string]any{"params": listed(m.params), "metrics": m.metrics}}
}

// score keeps the metrics of a batch that are of models too.
func (s *Server) score(body map[string]json.RawMessage) {
	var points []point
	_ = json.Unmarshal(body["metrics"], &points)
	for _, p := range points {
		if m := s.loggedModel(p.Model); m != nil && !slices.Contains(m.metrics, p) {
			m.metrics = append(m.metrics, p)
		}
	}
}

var notInLogged = lazyregexp.New(`[/:.%"']`)

func (s *Server) ofLogged(what string, body map[string]json.RawMessage) (map[string]any, *refusal) {
	switch what {
	case "POST":
		m := &logged{fmt.Sprintf("m-%032x", len(s.logged)+1), text(body, "experiment_id"), text(body, "source_run_id"), text(body, "name"), "LOGGED_MODEL_PENDING", tagsOf(body), map[string]string{}, false, nil}
		if s.experiments[m.experiment] == nil || m.name == "" || notInLogged.MatchString(m.name) {
			return nil, invalid()
		}
		var params []tag
		_ = json.Unmarshal(body["params"], &params)
		for _, p := range params {
			m.params[p.Key] = p.Value
		}
		s.logged = append(s.logged, m)
		return map[string]any{"model": s.shownModel(m)}, nil
	case "POST/search":
		by := byTag.FindStringSubmatch(text(body, "filter"))
		out := []any{}
		for _, m := range s.logged {
			if by != nil && m.tags[by[1]] == by[2] && !m.deleted {
				out = append(out, s.shownModel(m))
			}
		}
		return map[string]any{"models": out}, nil
	}
	verb, id, _ := strings.Cut(what, "/")
	id, tags := strings.CutSuffix(id, "/tags")
	m := s.loggedModel(id)
	switch {
	case m == nil:
		return nil, missing()
	case verb == "GET":
	case tags:
		maps.Copy(m.tags, tagsOf(body))
	case verb == "PATCH":
		m.status = text(body, "status")
	case verb == "DELETE":
		m.deleted = true
	default:
		return nil, unknown()
	}
	return map[string]any{"model": s.shownModel(m)}, nil
}
