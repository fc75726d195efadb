// Ray: a task is a job of its Jobs REST API, whose submission ID is the task's name.

package service

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// RayTokenVariable has a bearer token, where the runner names no file.
const RayTokenVariable = "VISHWA_RAY_TOKEN"

// Ray launches tasks on a Ray cluster. Nothing is asked of it yet. A head that was begun anew
// has lost its jobs, and has another session: as nothing but the address tells clusters apart
// for longer, that is what a task's tool is, and a lost job is Missing.
func Ray(r schemas.RayRunner, o Options) port.Launcher {
	return newLauncher(&ray{newClient("Ray", r.URL, r.Token, RayTokenVariable, o)}, "Ray", r.URL, o)
}

type ray struct{ *client }

// rayJob is what Ray tells of a job, of which there is more.
type rayJob struct {
	Submission string            `json:"submission_id"`
	Status     string            `json:"status"`
	Message    string            `json:"message"`
	ErrorType  string            `json:"error_type"`
	ExitCode   *int              `json:"driver_exit_code"`
	Start      int64             `json:"start_time"` // milliseconds
	End        int64             `json:"end_time"`
	Metadata   map[string]string `json:"metadata"`
}

// What a job's metadata have.
const (
	rayOwner, rayJobDigest, rayLaunch = "vishwa.dev/owner", "vishwa.dev/job", "vishwa.dev/launch"
	rayUID, rayBegun, rayDeadline     = "vishwa.dev/uid", "vishwa.dev/begun", "vishwa.dev/deadline"
)

// rayBegins keeps from the worker, and from a run that lists it among its variables, what Ray
// passes on of a job in one more variable: the ticket too.
const rayBegins = "unset RAY_JOB_CONFIG_JSON_ENV_VAR; exec "

func (c *ray) fits(port.Task) error { return nil }

// submit gives the ticket as a variable of the job: Ray gives a job no file of its own.
func (c *ray) submit(ctx context.Context, task port.Task, at time.Time) (record, error) {
	metadata := map[string]string{
		rayOwner: task.Owner, rayJobDigest: string(task.Job), rayLaunch: task.Launch, rayUID: strings.ToLower(rand.Text()),
		rayBegun: at.UTC().Format(time.RFC3339Nano), rayDeadline: task.Deadline.String(), "vishwa.dev/of": task.Ref.String(),
	}
	body := map[string]any{
		"submission_id": task.Name, "entrypoint": rayBegins + shellQuoted(task.Command), "metadata": metadata,
		"runtime_env": map[string]any{"env_vars": map[string]string{port.TicketVariable: string(task.Ticket)}},
	}
	if e := task.External; e != nil && e.Is.Ray != nil {
		body["entrypoint"], body["runtime_env"] = e.Is.Ray.Entrypoint, withVars(e.Is.Ray.RuntimeEnv, e.Vars)
	}
	if n, _ := schemas.Millicores(task.Resources.CPU); n > 0 {
		body["entrypoint_num_cpus"] = json.Number(strconv.FormatFloat(float64(n)/1000, 'f', -1, 64))
	}
	if n, _ := schemas.Bytes(task.Resources.Memory); n > 0 {
		body["entrypoint_memory"] = n
	}
	if n := task.Resources.GPU; n > 0 {
		body["entrypoint_num_gpus"] = n
	}
	doing := "submit " + task.Name
	code, raw, err := c.do(ctx, http.MethodPost, "/api/jobs/", body)
	switch {
	case err != nil:
		return record{}, fmt.Errorf("%s: %w", doing, err)
	case code == http.StatusOK:
		return recordOf(rayJob{Submission: task.Name, Status: "PENDING", Metadata: metadata}), nil
	case strings.Contains(string(raw), "already exists"): // of status 400 or 500, by its version
		return record{}, fault.WithHint(fault.New(fault.Conflict, "%s: one of that name is there", doing), "the next pass finds out whether it is its own, and goes on")
	case strings.Contains(string(raw), "No available agent"):
		return record{}, fault.WithHint(fault.New(fault.Transient, "%s: no node of Ray takes jobs now", doing), "try again; ray status on the head tells of its nodes")
	case code == http.StatusNotFound || code == http.StatusMethodNotAllowed:
		return record{}, fault.WithHint(fault.New(fault.Invalid, "%s: there is no Jobs API of Ray at %s", doing, c.url), "give the dashboard's address as the runner's url, and install ray[default] on the head")
	}
	return record{}, c.refused(doing, code)
}

func (c *ray) find(ctx context.Context, names []string) (map[string]record, error) {
	found := map[string]record{}
	if len(names) == 1 {
		doing := "look for job " + names[0]
		code, raw, err := c.do(ctx, http.MethodGet, "/api/jobs/"+url.PathEscape(names[0]), nil)
		var job rayJob
		switch {
		case err != nil:
			return nil, err
		case code == http.StatusNotFound:
			return found, nil
		case code != http.StatusOK:
			return nil, c.refused(doing, code)
		}
		if err := c.decodeAnswer(doing, raw, &job); err != nil {
			return nil, err
		}
		if job.Submission == names[0] { // and not one of that driver's ID
			found[job.Submission] = recordOf(job)
		}
		return found, nil
	}
	code, raw, err := c.do(ctx, http.MethodGet, "/api/jobs/", nil)
	var jobs []rayJob
	switch {
	case err != nil:
		return nil, err
	case code != http.StatusOK:
		return nil, c.refused("list jobs", code)
	}
	if err := c.decodeAnswer("list jobs", raw, &jobs); err != nil {
		return nil, err
	}
	for _, job := range jobs {
		if job.Submission != "" {
			found[job.Submission] = recordOf(job)
		}
	}
	return found, nil
}

func (c *ray) cancel(ctx context.Context, r record) error {
	return c.end(ctx, http.MethodPost, "stop "+r.name, "/api/jobs/"+url.PathEscape(r.name)+"/stop")
}

func (c *ray) drop(ctx context.Context, r record) error {
	return c.end(ctx, http.MethodDelete, "remove "+r.name, "/api/jobs/"+url.PathEscape(r.name))
}

// end asks for the end of what may be gone already.
func (c *ray) end(ctx context.Context, method, doing, path string) error {
	code, _, err := c.do(ctx, method, path, nil)
	return c.gone(doing, code, err)
}

func recordOf(job rayJob) record {
	m := job.Metadata
	r := record{name: job.Submission, uid: m[rayUID], owner: m[rayOwner], job: m[rayJobDigest], launch: m[rayLaunch], status: job.stands()}
	r.begun, _ = time.Parse(time.RFC3339Nano, m[rayBegun])
	r.deadline, _ = time.ParseDuration(m[rayDeadline])
	if job.Start > 0 && job.End > job.Start {
		r.lasted = time.Duration(job.End-job.Start) * time.Millisecond
	}
	return r
}

// stands is how a job stands. Of a message only the first line is told: what follows is the
// end of its log, which may hold anything, and of it a worker's own word alone.
func (job rayJob) stands() port.TaskStatus {
	line, _, _ := strings.Cut(job.Message, "\n")
	line, _, _ = strings.Cut(line, ", last available logs")
	line = harmless.Line(line)
	if r := []rune(line); len(r) > 300 {
		line = string(r[:300])
	}
	ended := func(cause port.Cause, reason string) port.TaskStatus {
		if line == "" {
			line = reason
		}
		return port.TaskStatus{Phase: port.TaskEnded, Cause: cause, Reason: line}
	}
	switch job.Status {
	case "PENDING":
		if line == "" {
			line = "Ray has not begun it yet"
		}
		return port.TaskStatus{Phase: port.TaskWaiting, Reason: line}
	case "RUNNING":
		return port.TaskStatus{Phase: port.TaskRunning}
	case "SUCCEEDED":
		return port.TaskStatus{Phase: port.TaskEnded}
	case "STOPPED":
		line = ""
		return ended(port.Stopped, "somebody stopped it")
	case "FAILED":
	default:
		return port.TaskStatus{Phase: port.TaskWaiting, Reason: "Ray says " + harmless.Line(strconv.Quote(job.Status)) + " of it"}
	}
	switch text := job.ErrorType + " " + line; {
	case strings.Contains(text, "UNSCHEDULABLE") || strings.Contains(text, "could not be scheduled") || strings.Contains(text, "START_TIMEOUT") || strings.Contains(text, "failed to start within"):
		return ended(port.Unschedulable, "Ray found no node for it")
	case job.ExitCode != nil && *job.ExitCode != 0:
		s := ended(port.Exit, "it ended with exit code "+strconv.Itoa(*job.ExitCode))
		s.ExitCode = *job.ExitCode
		return withWords(s, job.Message)
	}
	return ended(port.Lost, "Ray lost it") // its supervisor or its node is gone
}

// withVars is a runtime environment of Ray's with more variables.
func withVars(env map[string]any, vars map[string]string) map[string]any {
	out := maps.Clone(env)
	if out == nil {
		out = map[string]any{}
	}
	all := map[string]any{}
	if own, ok := out["env_vars"].(map[string]any); ok {
		maps.Copy(all, own)
	}
	for name, v := range vars {
		all[name] = v
	}
	out["env_vars"] = all
	return out
}

// shellQuoted is a command as a shell reads it: each word as it is.
func shellQuoted(command []string) string {
	words := make([]string, len(command))
	for i, w := range command {
		words[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
	}
	return strings.Join(words, " ")
}
