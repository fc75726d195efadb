// An Airflow in this process, as far as the launcher asks one, of version 2 or 3. What its runs
// do is what the DAG does that vishwa export airflow writes, in a Python that has just so much
// of Airflow's own classes.

package service

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/templates"
)

const airflowHarness = `
import json, os, signal, sys, types
version, file, pushed = sys.argv[1:4]
tasks = []
class DAG:
    def __init__(self, dag_id, schedule, start_date, catchup, max_active_runs, max_active_tasks, is_paused_upon_creation, tags):
        assert dag_id == "vishwa" and schedule is None and not catchup and start_date.tzinfo
    def __enter__(self): return self
    def __exit__(self, *a): pass
class BaseOperator:
    def __init__(self, task_id, retries):
        assert task_id == "work" and retries == 0
        tasks.append(self)
class AirflowFailException(Exception): pass
def module(name, **has):
    m = types.ModuleType(name); m.__dict__.update(has); m.__path__ = []; sys.modules[name] = m
module("airflow", DAG=DAG) if version == "2" else module("airflow")
module("airflow.exceptions", AirflowFailException=AirflowFailException)
if version == "2":
    module("airflow.models"); module("airflow.models.baseoperator", BaseOperator=BaseOperator)
else:
    module("airflow.sdk", DAG=DAG, BaseOperator=BaseOperator)
exec(compile(open(file).read(), file, "exec"), {"__name__": "dag"})
task, = tasks
def stop(*a):
    task.on_kill()
    os._exit(1)
signal.signal(signal.SIGTERM, stop)
class TI:
    def xcom_push(self, key, value): open(pushed + "." + key, "w").write(json.dumps(value))
run = types.SimpleNamespace(conf=json.loads(os.environ.pop("CONF")))
try: task.execute({"dag_run": run, "ti": TI()})
except AirflowFailException: sys.exit(1)
`

// airflowDouble is one Airflow; its fields are guarded by the double's lock.
type airflowDouble struct {
	*double
	version int
	dir     string
	paused  bool
	absent  bool
	tries   map[string]int
	conf    map[string]any // of the last run
}

func newAirflowDouble(t *testing.T, version int) *airflowDouble {
	t.Helper()
	a := &airflowDouble{version: version, dir: t.TempDir(), tries: map[string]int{}}
	dag, err := templates.AirflowDAG("vishwa")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"dag.py": dag, "harness.py": []byte(airflowHarness)} {
		if err := os.WriteFile(filepath.Join(a.dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a.double = idleDouble(t)
	a.serveBy(t, a.serve)
	return a
}

func (a *airflowDouble) serve(d *double, w http.ResponseWriter, r *http.Request) {
	api := map[int]string{2: "/api/v1", 3: "/api/v2"}[a.version]
	path, ours := strings.CutPrefix(r.URL.Path, api)
	part := strings.Split(strings.Trim(path, "/"), "/")
	var p *process
	if len(part) > 3 {
		p = d.tasks[part[3]]
	}
	switch {
	case r.URL.Path == "/auth/token" && a.version == 3:
		reply(w, 201, object{"access_token": "a-session"})
	case !ours:
		reply(w, 404, "<html>nothing here</html>")
	case path == "/version":
		reply(w, 200, object{"version": strconv.Itoa(a.version) + ".1.0", "git_version": nil})
	case a.version == 3 && r.Header.Get("Authorization") == "Bearer old":
		reply(w, 401, object{"detail": "Invalid JWT token"})
	case len(part) < 2 || part[0] != "dags" || part[1] != "vishwa" && part[1] != "nightly" || a.absent:
		reply(w, 404, object{"detail": "DAG not found"})
	case len(part) == 2:
		reply(w, 200, object{"dag_id": "vishwa", "is_paused": a.paused, "max_active_runs": 16})
	case len(part) == 3 && r.Method == http.MethodPost:
		a.trigger(w, r)
	case len(part) == 3:
		a.list(w, r)
	case p == nil:
		reply(w, 404, object{"detail": "DAGRun not found"})
	case len(part) == 4 && r.Method == http.MethodGet:
		reply(w, 200, a.details(p))
	case len(part) == 4 && r.Method == http.MethodPatch:
		p.stop()
		p.end = time.Now()
		reply(w, 200, a.details(p))
	case len(part) == 4 && r.Method == http.MethodDelete:
		delete(d.tasks, p.name)
		w.WriteHeader(204)
	case len(part) == 6:
		reply(w, 200, object{"task_id": "work", "try_number": 1 + a.tries[p.name]})
	default: // an XCom; version 2 gives its text
		raw, err := os.ReadFile(filepath.Join(a.dir, p.name) + "." + part[7])
		var value any
		if err != nil || json.Unmarshal(raw, &value) != nil {
			reply(w, 404, object{"detail": "XCom entry not found"})
			return
		}
		if a.version == 2 {
			value = string(raw)
		}
		reply(w, 200, object{"key": part[7], "value": value})
	}
}

func (a *airflowDouble) trigger(w http.ResponseWriter, r *http.Request) {
	var q map[string]any
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		reply(w, 400, object{"detail": "bad request"})
		return
	}
	if _, said := q["logical_date"]; said != (a.version == 3) {
		reply(w, 422, object{"detail": "logical_date"})
		return
	}
	name, _ := q["dag_run_id"].(string)
	if a.tasks[name] != nil {
		reply(w, 409, object{"detail": "DAGRun already exists"})
		return
	}
	a.conf, _ = q["conf"].(map[string]any)
	raw, _ := json.Marshal(q["conf"])
	if strings.Contains(r.URL.Path, "/nightly/") { // of the team's, which does what its conf says
		script, _ := a.conf["do"].(string)
		a.begin(&process{name: name, note: object{"conf": q["conf"]}, command: words("sh", "-c", script)})
		reply(w, 200, a.details(a.tasks[name]))
		return
	}
	a.begin(&process{name: name, note: object{"conf": q["conf"]}, gentle: true, env: words("CONF="+string(raw), "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=hunter2"),
		command: words("python3", "-I", filepath.Join(a.dir, "harness.py"), strconv.Itoa(a.version), filepath.Join(a.dir, "dag.py"), filepath.Join(a.dir, name))})
	reply(w, 200, a.details(a.tasks[name]))
}

func (a *airflowDouble) list(w http.ResponseWriter, r *http.Request) {
	offset, _ := strconv.Atoi(r.URL.Query().Get("offset"))
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	runs := []object{}
	for i := len(a.all) - 1; i >= 0; i-- {
		if p := a.all[i]; a.tasks[p.name] == p {
			runs = append(runs, a.details(p))
		}
	}
	runs = runs[min(offset, len(runs)):]
	reply(w, 200, object{"dag_runs": runs[:min(limit, len(runs))], "total_entries": len(runs)})
}

func (a *airflowDouble) details(p *process) object {
	out := object{"dag_run_id": p.name, "dag_id": "vishwa", "conf": p.note["conf"], "start_date": nil, "end_date": nil}
	switch {
	case p.phase == "waiting" && !p.stopped:
		out["state"] = "queued"
		return out
	case p.stopped: // whatever its processes do
		out["state"] = "failed"
	case p.phase == "running":
		out["state"] = "running"
	case p.code == 0:
		out["state"] = "success"
	default:
		out["state"] = "failed"
	}
	out["start_date"] = p.start.UTC().Format(time.RFC3339Nano)
	if out["state"] != "running" {
		out["end_date"] = p.end.UTC().Format(time.RFC3339Nano)
	}
	return out
}
