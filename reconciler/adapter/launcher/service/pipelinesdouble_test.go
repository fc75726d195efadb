// A server of Kubeflow Pipelines in this process, as far as the launcher asks one: its states are
// those of v2beta1, and it refuses what the real one refuses.

package service

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// pipelinesDouble is one server; its fields are guarded by the double's lock.
type pipelinesDouble struct {
	*double
	runs        []*pipelineProcess // the oldest first
	experiments map[string]string  // IDs by name
	namespace   string             // which everybody has to name; empty where it serves one
	fails       bool               // what is terminated fails at last, as Argo says it
	last        map[string]any     // what was asked for last
}

type pipelineProcess struct {
	*process
	id, description, experiment string
	canceling                   bool
}

func newPipelinesDouble(t *testing.T) *pipelinesDouble {
	t.Helper()
	p := &pipelinesDouble{experiments: map[string]string{"Default": "e-0"}}
	p.double = idleDouble(t)
	p.serveBy(t, p.serve)
	return p
}

func (p *pipelinesDouble) serve(d *double, w http.ResponseWriter, r *http.Request) {
	path, ours := strings.CutPrefix(r.URL.Path, "/apis/v2beta1/")
	id, action, _ := strings.Cut(strings.TrimPrefix(path, "runs/"), ":")
	at := slices.IndexFunc(p.runs, func(x *pipelineProcess) bool { return x.id == id })
	switch {
	case !ours:
		reply(w, 404, "<html>nothing here</html>")
	case path == "experiments":
		p.experimentsOf(w, r)
	case path == "runs" && r.Method == http.MethodPost:
		p.create(w, r)
	case path == "runs":
		p.list(w, r.URL.Query())
	case at < 0:
		reply(w, 404, object{"code": 5, "message": "Run " + id + " not found"})
	case action == "terminate" && p.runs[at].phase == "ended":
		reply(w, 400, object{"code": 3, "message": "Failed to terminate a run: only PENDING, RUNNING or UNSPECIFIED"})
	case action == "terminate":
		p.runs[at].canceling = true
		p.runs[at].stop()
		reply(w, 200, object{})
	case r.Method == http.MethodDelete:
		p.runs[at].kill()
		if d.tasks[p.runs[at].name] == p.runs[at].process {
			delete(d.tasks, p.runs[at].name)
		}
		p.runs = slices.Delete(p.runs, at, at+1)
		reply(w, 200, object{})
	default:
		reply(w, 200, p.details(p.runs[at]))
	}
}

// asked is what a filter of display names asks for.
func asked(w http.ResponseWriter, query url.Values) (names []string, ok bool) {
	var f struct {
		Predicates []struct {
			Operation, Key, StringValue string
			StringValues                struct{ Values []string }
		}
	}
	if json.Unmarshal([]byte(query.Get("filter")), &f) != nil || len(f.Predicates) != 1 || f.Predicates[0].Key != "display_name" {
		reply(w, 400, object{"code": 3, "message": "invalid filter"})
		return nil, false
	}
	switch q := f.Predicates[0]; q.Operation {
	case "EQUALS":
		return []string{q.StringValue}, true
	case "IN":
		return q.StringValues.Values, true
	}
	reply(w, 400, object{"code": 3, "message": "invalid operation"})
	return nil, false
}

func (p *pipelinesDouble) experimentsOf(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		var q struct{ Display_name, Namespace string }
		if json.NewDecoder(r.Body).Decode(&q) != nil || q.Display_name == "" || q.Namespace != p.namespace {
			reply(w, 400, object{"code": 3})
			return
		}
		if p.experiments[q.Display_name] != "" {
			reply(w, 409, object{"code": 6})
			return
		}
		p.experiments[q.Display_name] = fmt.Sprint("e-", len(p.experiments))
		reply(w, 200, object{"experiment_id": p.experiments[q.Display_name]})
		return
	}
	if r.URL.Query().Get("namespace") != p.namespace {
		reply(w, 400, object{"code": 3, "message": "In multi-user mode, ListExperiment must filter by namespace"})
		return
	}
	names, ok := asked(w, r.URL.Query())
	if !ok {
		return
	}
	out := []object{}
	for name, id := range p.experiments {
		if slices.Contains(names, name) {
			out = append(out, object{"experiment_id": id, "display_name": name})
		}
	}
	reply(w, 200, object{"experiments": out, "total_size": len(out)})
}

func (p *pipelinesDouble) create(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Name        string         `json:"display_name"`
		Description string         `json:"description"`
		Experiment  string         `json:"experiment_id"`
		Spec        map[string]any `json:"pipeline_spec"`
		Config      struct {
			Parameters map[string]any `json:"parameters"`
			Root       string         `json:"pipeline_root"`
		} `json:"runtime_config"`
		Account string `json:"service_account"`
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	known := false
	err := d.Decode(&q)
	for _, id := range p.experiments {
		known = known || id == q.Experiment
	}
	spec, _ := q.Spec["pipeline_spec"].(map[string]any)
	if spec == nil {
		spec = q.Spec
	}
	command, env, problem := interpreted(spec, q.Config.Parameters)
	if err != nil || q.Name == "" || !known || problem != "" || len(q.Description) > 191 {
		reply(w, 400, object{"code": 3, "message": fmt.Sprint("invalid run: ", err, problem)})
		return
	}
	p.last = object{"parameters": q.Config.Parameters, "root": q.Config.Root, "spec": q.Spec, "account": q.Account}
	x := &pipelineProcess{process: &process{name: q.Name, command: command, env: env, note: object{}}, id: fmt.Sprintf("%08d-run", len(p.all)+len(p.runs)), description: q.Description, experiment: q.Experiment}
	p.runs = append(p.runs, x)
	p.begin(x.process)
	reply(w, 200, p.details(x))
}

// interpreted is what the one executor of a pipeline does.
func interpreted(spec map[string]any, parameters map[string]any) (command, env []string, problem string) {
	for _, field := range []string{"pipelineInfo", "deploymentSpec", "components", "root", "schemaVersion"} {
		if spec[field] == nil {
			return nil, nil, field + " is missing"
		}
	}
	executors := spec["deploymentSpec"].(map[string]any)["executors"].(map[string]any)
	tasks := spec["root"].(map[string]any)["dag"].(map[string]any)["tasks"].(map[string]any)
	if len(executors) != 1 || len(tasks) != 1 {
		return nil, nil, "this double runs one step"
	}
	for _, task := range tasks {
		if options, _ := task.(map[string]any)["cachingOptions"].(map[string]any); options == nil || options["enableCache"] == true {
			return nil, nil, "this double keeps nothing of former runs"
		}
	}
	for _, e := range executors {
		c := e.(map[string]any)["container"].(map[string]any)
		if c["image"] == "" || c["image"] == nil {
			return nil, nil, "no image"
		}
		for _, field := range []string{"command", "args"} {
			list, _ := c[field].([]any)
			for _, word := range list {
				text := word.(string)
				for name, v := range parameters {
					text = strings.ReplaceAll(text, "{{$.inputs.parameters['"+name+"']}}", fmt.Sprint(v))
				}
				command = append(command, text)
			}
		}
		list, _ := c["env"].([]any)
		for _, v := range list {
			env = append(env, v.(map[string]any)["name"].(string)+"="+v.(map[string]any)["value"].(string))
		}
	}
	return command, env, ""
}

func (p *pipelinesDouble) list(w http.ResponseWriter, query url.Values) {
	names, ok := asked(w, query)
	if !ok {
		return
	}
	runs, from, next := []object{}, 0, ""
	_, _ = fmt.Sscan(query.Get("page_token"), &from)
	for i := from; i < len(p.runs); i++ {
		x := p.runs[i]
		if x.experiment != query.Get("experiment_id") || !slices.Contains(names, x.name) {
			continue
		}
		if len(runs) == 2 { // its pages are small
			next = fmt.Sprint(i)
			break
		}
		runs = append(runs, p.details(x))
	}
	reply(w, 200, object{"runs": runs, "next_page_token": next})
}

func (p *pipelinesDouble) details(x *pipelineProcess) object {
	out := object{"run_id": x.id, "display_name": x.name, "description": x.description, "experiment_id": x.experiment, "created_at": x.start.UTC().Truncate(time.Second).Format(time.RFC3339), "finished_at": "1970-01-01T00:00:00Z"}
	history := []object{{"state": "PENDING"}}
	switch {
	case x.phase == "waiting":
		out["state"] = "PENDING"
	case x.phase == "running" && x.canceling:
		out["state"] = "CANCELING"
	case x.phase == "running":
		out["state"] = "RUNNING"
	case x.canceling && p.fails:
		out["state"] = "FAILED"
	case x.canceling:
		out["state"] = "CANCELED"
	case x.code == 0:
		out["state"] = "SUCCEEDED"
	default: // what begins the command ends with 1, whatever the command ended with
		out["state"] = "FAILED"
		out["run_details"] = object{"task_details": []object{{"display_name": "work", "state": "FAILED", "error": object{"code": 2, "message": "main: Error (exit code 1)"}}}}
	}
	if x.canceling {
		history = append(history, object{"state": "CANCELING"})
	}
	out["state_history"] = append(history, object{"state": out["state"]})
	if x.phase == "ended" {
		out["finished_at"] = x.end.UTC().Format(time.RFC3339Nano)
	}
	return out
}
