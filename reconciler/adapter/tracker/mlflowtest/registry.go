// The registry of the double.

package mlflowtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

var byName = lazyregexp.New(`^name='([^']*)'$`)

func (s *Server) ofModel(what string, body map[string]json.RawMessage) (map[string]any, *refusal) {
	name := text(body, "name")
	if what == "GET model-versions/search" {
		out := []any{}
		if found := byName.FindStringSubmatch(text(body, "filter")); found != nil && s.models[found[1]] != nil {
			for _, v := range s.models[found[1]].versions {
				if v != nil {
					out = append(out, v)
				}
			}
		}
		return map[string]any{"model_versions": out}, nil
	}
	if what == "GET registered-models/search" {
		out := []any{}
		for _, name := range slices.Sorted(maps.Keys(s.models)) {
			out = append(out, s.models[name].shown(name))
		}
		return map[string]any{"registered_models": out}, nil
	}
	if what == "POST registered-models/create" {
		if s.models[name] != nil {
			return nil, exists()
		}
		s.models[name] = &model{tags: tagsOf(body), aliases: map[string]string{}}
		return map[string]any{"registered_model": map[string]any{"name": name}}, nil
	}
	if id, of := strings.CutPrefix(text(body, "source"), "models:/m-"); of && len(id) == 32 && s.loggedModel("m-"+id) == nil {
		return nil, missing()
	}
	if m := s.models[name]; m != nil {
		return m.answer(what, name, body)
	}
	return nil, missing()
}

// answer is what is said of a model that there is.
func (m *model) answer(what, name string, body map[string]json.RawMessage) (map[string]any, *refusal) {
	switch what {
	case "GET registered-models/get":
		return map[string]any{"registered_model": m.shown(name)}, nil
	case "GET model-versions/get":
		v := m.version(text(body, "version"))
		if v == nil {
			return nil, missing()
		}
		return map[string]any{"model_version": v}, nil
	case "POST model-versions/set-tag":
		v := m.version(text(body, "version"))
		if v == nil {
			return nil, missing()
		}
		tags := map[string]string{text(body, "key"): text(body, "value")}
		for _, t := range v["tags"].([]tag) {
			if t.Key != text(body, "key") {
				tags[t.Key] = t.Value
			}
		}
		v["tags"] = listed(tags)
	case "DELETE model-versions/delete-tag":
		v := m.version(text(body, "version"))
		if v == nil {
			return nil, missing()
		}
		v["tags"] = slices.DeleteFunc(v["tags"].([]tag), func(t tag) bool { return t.Key == text(body, "key") })
	case "DELETE model-versions/delete":
		if m.version(text(body, "version")) == nil {
			return nil, missing()
		}
		n, _ := strconv.Atoi(text(body, "version"))
		m.versions[n-1] = nil
		for alias, on := range m.aliases { // as MLflow does
			if on == text(body, "version") {
				delete(m.aliases, alias)
			}
		}
	case "POST registered-models/set-tag":
		m.tags[text(body, "key")] = text(body, "value")
	case "DELETE registered-models/delete-tag":
		delete(m.tags, text(body, "key"))
	case "POST registered-models/alias":
		if m.version(text(body, "version")) == nil {
			return nil, missing()
		}
		m.aliases[text(body, "alias")] = text(body, "version")
	case "DELETE registered-models/alias":
		delete(m.aliases, text(body, "alias"))
	case "POST model-versions/create":
		v := map[string]any{"name": name, "version": strconv.Itoa(len(m.versions) + 1), "run_id": text(body, "run_id"), "source": text(body, "source"), "tags": listed(tagsOf(body))}
		m.versions = append(m.versions, v)
		return map[string]any{"model_version": v}, nil
	default:
		return nil, unknown()
	}
	return ok(), nil
}

// version is one by its number; nil where there is none, or none any more.
func (m *model) version(number string) map[string]any {
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 || n > len(m.versions) {
		return nil
	}
	return m.versions[n-1]
}

func (m *model) shown(name string) map[string]any {
	aliases, latest := []map[string]string{}, []any{}
	for a, v := range m.aliases {
		aliases = append(aliases, map[string]string{"alias": a, "version": v})
	}
	if n := len(m.versions); n > 0 && m.versions[n-1] != nil {
		latest = append(latest, m.versions[n-1])
	}
	return map[string]any{"name": name, "tags": listed(m.tags), "aliases": aliases, "latest_versions": latest}
}

// Shown says in a line what the server shows: runs, versions, and the aliases of models.
func (s *Server) Shown() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	runs, versions, aliases := 0, 0, ""
	for _, r := range s.runs {
		if r.stage == "active" && r.status == "FINISHED" {
			runs++
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.models)) {
		m := s.models[name]
		versions += len(m.versions)
		for _, a := range slices.Sorted(maps.Keys(m.aliases)) {
			aliases += " " + a + " " + m.aliases[a]
		}
	}
	return fmt.Sprintf("runs %d versions %d%s", runs, versions, aliases)
}

// DeleteOne deletes the first run, as somebody does by hand.
func (s *Server) DeleteOne() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs[0].stage = "deleted"
}

// MoveAlias moves an alias of a registered model to a version, as somebody does by hand.
func (s *Server) MoveAlias(name, alias, version string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.models[name].aliases[alias] = version
}
