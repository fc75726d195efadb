// A Ray head in this process, as far as the launcher asks one: its answers are those of Ray's
// job_head.py.

package service

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func newRayDouble(t *testing.T) *double { return newDouble(t, rayHead) }

func rayHead(d *double, w http.ResponseWriter, r *http.Request) {
	id, action, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/api/jobs/"), "/")
	p := d.tasks[id]
	switch {
	case !strings.HasPrefix(r.URL.Path, "/api/jobs/"):
		reply(w, 404, "404: Not Found")
	case r.Method == http.MethodPost && id == "":
		raySubmit(d, w, r)
	case r.Method == http.MethodGet && id == "":
		jobs := []object{{"type": "DRIVER", "job_id": "01000000", "submission_id": nil, "status": "RUNNING", "driver_exit_code": nil, "metadata": nil}}
		for _, name := range slices.Sorted(maps.Keys(d.tasks)) {
			jobs = append(jobs, rayDetails(d.tasks[name]))
		}
		reply(w, 200, jobs)
	case p == nil:
		reply(w, 404, "Job "+id+" does not exist")
	case r.Method == http.MethodGet && action == "":
		reply(w, 200, rayDetails(p))
	case r.Method == http.MethodPost && action == "stop":
		running := p.phase != "ended"
		p.stop()
		reply(w, 200, object{"stopped": running})
	case r.Method == http.MethodDelete && p.phase != "ended":
		reply(w, 500, "Traceback (most recent call last):\nRuntimeError: Job '"+id+"' is in a non-terminal state")
	case r.Method == http.MethodDelete:
		delete(d.tasks, id)
		reply(w, 200, object{"deleted": true})
	default:
		reply(w, 405, "405: Method Not Allowed")
	}
}

// rayMost is how many processors all nodes have.
const rayMost = 64

func raySubmit(d *double, w http.ResponseWriter, r *http.Request) {
	var q struct {
		ID         string  `json:"submission_id"`
		Entrypoint string  `json:"entrypoint"`
		CPUs       float64 `json:"entrypoint_num_cpus"`
		Env        struct {
			Vars map[string]string `json:"env_vars"`
		} `json:"runtime_env"`
		Metadata map[string]string `json:"metadata"`
	}
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil || q.Entrypoint == "" {
		reply(w, 400, "Traceback (most recent call last):\nTypeError: bad request")
		return
	}
	if d.tasks[q.ID] != nil {
		reply(w, 500, "Traceback (most recent call last):\nRuntimeError: Request failed with status code 400: ValueError: Job with submission_id "+q.ID+" already exists. Please use a different submission_id.")
		return
	}
	p := &process{name: q.ID, note: object{"metadata": q.Metadata, "entrypoint": q.Entrypoint, "runtime_env": object{"env_vars": q.Env.Vars}}, command: words("/bin/sh", "-c", q.Entrypoint)}
	p.env = append(p.env, "RAY_JOB_CONFIG_JSON_ENV_VAR="+asText(q.Env))
	for k, v := range q.Env.Vars {
		p.env = append(p.env, k+"="+v)
	}
	if q.CPUs > rayMost { // a real one says so after 15 minutes
		p.phase, p.note["error_type"] = "ended", "JOB_SUPERVISOR_ACTOR_START_TIMEOUT"
		p.note["message"] = "Job supervisor actor failed to start within 900.0 seconds. This may be because the job entrypoint's specified resources (entrypoint_num_cpus, entrypoint_num_gpus, entrypoint_resources, entrypoint_memory) aren't available on the cluster. Try checking the cluster's available resources with `ray status` and specifying fewer resources for the job entrypoint."
		d.tasks[p.name] = p
	} else {
		d.begin(p)
	}
	reply(w, 200, object{"job_id": q.ID, "submission_id": q.ID})
}

func rayDetails(p *process) object {
	out := object{"type": "SUBMISSION", "job_id": nil, "submission_id": p.name, "driver_info": nil, "error_type": nil, "driver_exit_code": nil, "start_time": p.start.UnixMilli(), "end_time": nil}
	maps.Copy(out, p.note)
	if p.phase == "ended" {
		out["end_time"] = p.end.UnixMilli()
	}
	switch {
	case p.note["error_type"] != nil:
		out["status"] = "FAILED"
	case p.phase == "waiting":
		out["status"], out["message"] = "PENDING", "Job has not started yet. It may be waiting for resources (CPUs, GPUs, memory, custom resources) to become available. It may be waiting for the runtime environment to be set up."
	case p.phase == "running":
		out["status"], out["message"] = "RUNNING", "Job is currently running."
	case p.stopped:
		out["status"], out["message"] = "STOPPED", "Job was intentionally stopped."
	case p.code == 0:
		out["status"], out["message"], out["driver_exit_code"] = "SUCCEEDED", "Job finished successfully.", 0
	default:
		out["status"], out["driver_exit_code"] = "FAILED", p.code
		out["message"] = "Job entrypoint command failed with exit code " + asText(p.code) + ", last available logs (truncated to 20,000 chars):\nVISHWA_TICKET\n"
	}
	return out
}

func asText(v any) string {
	raw, _ := json.Marshal(v)
	return string(raw)
}
