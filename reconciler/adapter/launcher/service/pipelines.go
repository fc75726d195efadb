// Kubeflow Pipelines: a task is a run whose display name is the task's name. The server gives
// names to as many runs as are asked for, so a task is looked for before and after it is begun;
// whose it is stands in the run's description.

package service

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/pipeline"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// PipelinesTokenVariable has a bearer token, where the runner names no file.
const PipelinesTokenVariable = "VISHWA_KUBEFLOW_TOKEN"

// Pipelines launches tasks as runs of Kubeflow Pipelines. Nothing is asked of it yet.
func Pipelines(r schemas.KubeflowPipelines, o Options) port.Launcher {
	r.Experiment = cmp.Or(r.Experiment, "vishwa")
	p := &pipelines{client: newClient("Kubeflow Pipelines", r.URL, r.Token, PipelinesTokenVariable, o), r: r}
	l := newLauncher(p, "Kubeflow Pipelines", strings.TrimRight(r.URL, "/")+"/"+r.Namespace+"/"+r.Experiment, o)
	l.images = true
	return l
}

type pipelines struct {
	*client
	r schemas.KubeflowPipelines

	mu         sync.Mutex // held while the experiment is looked for
	experiment string     // its ID; empty until it is known
}

const (
	pipelinesAPI  = "/apis/v2beta1"
	pipelinesMost = 50  // names in one question
	pipelinesPage = 100 // runs in one answer
)

// pipelineRun is what the server tells of a run, of which there is more.
type pipelineRun struct {
	ID          string     `json:"run_id"`
	Name        string     `json:"display_name"`
	Description string     `json:"description"`
	State       string     `json:"state"`
	Created     time.Time  `json:"created_at"`
	Finished    *time.Time `json:"finished_at"`
	History     []struct {
		State string `json:"state"`
	} `json:"state_history"`
	Details struct {
		Tasks []pipelineStep `json:"task_details"`
	} `json:"run_details"`
}

// pipelineStep is a task of a run, in the server's word.
type pipelineStep struct {
	State string `json:"state"`
	Name  string `json:"display_name"`
	Error struct {
		Message string `json:"message"`
	} `json:"error"`
}

func (p *pipelines) fits(task port.Task) error {
	_, err := pipelineOf(task)
	return err
}

// pipelineOf is what a task is run as: one step that begins the worker, or the team's own.
func pipelineOf(task port.Task) (map[string]any, error) {
	e := task.External
	if e == nil {
		env := map[string]string{}
		for _, name := range port.WorkerVariables() {
			env[name] = "" // whatever the image says
		}
		env[port.TicketVariable] = string(task.Ticket)
		return pipeline.OneStep(task.Name, pipeline.Container{Image: task.Image, Command: task.Command, Env: env, Resources: task.Resources}), nil
	}
	if e.Is.Kubeflow == nil {
		return nil, fault.New(fault.Invalid, "%s is work of another tool than Kubeflow Pipelines", task.Ref)
	}
	spec, err := pipeline.Read(e.Manifest, e.Is.Kubeflow.Parameters, !task.Pull)
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Of(err), "%s: %w", task.Ref, err), "%s", fault.HintOf(err))
	}
	return spec, nil
}

func (p *pipelines) submit(ctx context.Context, task port.Task, at time.Time) (record, error) {
	doing := "begin " + task.Name
	experiment, err := p.into(ctx)
	if err != nil {
		return record{}, fmt.Errorf("%s: %w", doing, err)
	}
	spec, err := pipelineOf(task)
	if err != nil {
		return record{}, err
	}
	config := map[string]any{}
	if e := task.External; e != nil {
		parameters, _ := told(e.Is.Kubeflow.Parameters, e.Vars).(map[string]any)
		config["parameters"] = parameters
		if e.Is.Kubeflow.Artifacts {
			config["pipeline_root"] = strings.TrimRight(e.Vars[port.ExternalOutputs], "/") + "/" + port.ExternalArtifacts
		}
	}
	body := map[string]any{"display_name": task.Name, "description": pipelineNote(task, at), "experiment_id": experiment, "pipeline_spec": spec, "runtime_config": config}
	if p.r.ServiceAccount != "" {
		body["service_account"] = p.r.ServiceAccount
	}
	code, _, err := p.do(ctx, http.MethodPost, pipelinesAPI+"/runs", body)
	switch {
	case err != nil:
		return record{}, fmt.Errorf("%s: %w", doing, err)
	case code == http.StatusBadRequest:
		return record{}, fault.WithHint(fault.New(fault.Invalid, "%s: Kubeflow Pipelines takes no such pipeline", doing), "its log says why; load the file with its SDK, and see that parameters has what the pipeline needs")
	case code == http.StatusNotFound:
		return record{}, fault.WithHint(fault.New(fault.Invalid, "%s: there is no REST API of Kubeflow Pipelines 2 at %s", doing, p.url), "write in the runner's url where that is, without /apis")
	case code != http.StatusOK:
		return record{}, p.refused(doing, code)
	}
	// Another process may have begun one of the same name: the first counts.
	found, err := p.find(ctx, []string{task.Name})
	r, there := found[task.Name]
	if err == nil && !there {
		err = fault.WithHint(fault.New(fault.Transient, "%s: Kubeflow Pipelines took it and does not show it", doing), "try again; its log says more")
	}
	return r, err
}

// into is the ID of the experiment, which is made where it is not there.
func (p *pipelines) into(ctx context.Context) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.experiment != "" {
		return p.experiment, nil
	}
	for again := false; ; again = true {
		var list struct {
			All []struct {
				ID   string `json:"experiment_id"`
				Name string `json:"display_name"`
			} `json:"experiments"`
		}
		query := url.Values{"filter": {predicate("EQUALS", "stringValue", p.r.Experiment)}}
		if p.r.Namespace != "" {
			query.Set("namespace", p.r.Namespace)
		}
		doing := "look for experiment " + p.r.Experiment
		there, err := p.get(ctx, doing, "/experiments?"+query.Encode(), &list)
		switch {
		case err != nil:
			return "", err
		case !there:
			return "", fault.WithHint(fault.New(fault.Invalid, "%s: there is no REST API of Kubeflow Pipelines 2 at %s", doing, p.url), "write in the runner's url where that is, without /apis")
		}
		for _, e := range list.All {
			if e.Name == p.r.Experiment && e.ID != "" {
				p.experiment = e.ID
				return e.ID, nil
			}
		}
		if again {
			return "", fault.WithHint(fault.New(fault.Transient, "%s: it was made, and is not shown", doing), "try again; the log of Kubeflow Pipelines says more")
		}
		body := map[string]string{"display_name": p.r.Experiment, "description": "Runs that Vishwa begins"}
		if p.r.Namespace != "" {
			body["namespace"] = p.r.Namespace
		}
		code, _, err := p.do(ctx, http.MethodPost, pipelinesAPI+"/experiments", body)
		if err != nil {
			return "", err
		}
		if code != http.StatusOK && code != http.StatusConflict { // somebody else made it
			return "", p.refused("make experiment "+p.r.Experiment, code)
		}
	}
}

// find asks for all names together. Of several of one name the first counts, and what else was
// begun with it is ended: two processes began one task at once.
func (p *pipelines) find(ctx context.Context, names []string) (map[string]record, error) {
	experiment, err := p.into(ctx)
	if err != nil {
		return nil, err
	}
	all := map[string][]pipelineRun{}
	for some := range slices.Chunk(names, pipelinesMost) {
		query := url.Values{"experiment_id": {experiment}, "page_size": {strconv.Itoa(pipelinesPage)}, "filter": {predicate("IN", "stringValues", map[string]any{"values": some})}}
		for more := true; more; {
			var list struct {
				Runs []pipelineRun `json:"runs"`
				Next string        `json:"next_page_token"`
			}
			if there, err := p.get(ctx, "look for runs", "/runs?"+query.Encode(), &list); err != nil {
				return nil, err
			} else if !there { // somebody deleted the experiment with all that is in it
				p.mu.Lock()
				p.experiment = ""
				p.mu.Unlock()
				break
			}
			for _, run := range list.Runs {
				all[run.Name] = append(all[run.Name], run)
			}
			query.Set("page_token", list.Next)
			more = list.Next != ""
		}
	}
	found := map[string]record{}
	for name, runs := range all {
		slices.SortFunc(runs, func(a, b pipelineRun) int { return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID)) })
		first := runs[0].record()
		found[name] = first
		for _, run := range runs[1:] {
			if r := run.record(); r.launch != "" && r.launch == first.launch && r.owner == first.owner && r.status.Phase != port.TaskEnded {
				if err := p.cancel(ctx, r); err != nil {
					return nil, err
				}
			}
		}
	}
	return found, nil
}

func (p *pipelines) cancel(ctx context.Context, r record) error {
	return p.end(ctx, http.MethodPost, "end "+r.name, "/runs/"+url.PathEscape(r.uid)+":terminate")
}

func (p *pipelines) drop(ctx context.Context, r record) error {
	return p.end(ctx, http.MethodDelete, "remove "+r.name, "/runs/"+url.PathEscape(r.uid))
}

// end asks for the end of what may be gone already.
func (p *pipelines) end(ctx context.Context, method, doing, path string) error {
	code, _, err := p.do(ctx, method, pipelinesAPI+path, nil)
	return p.gone(doing, code, err)
}

// get reads what may not be there.
func (p *pipelines) get(ctx context.Context, doing, path string, out any) (there bool, err error) {
	code, raw, err := p.do(ctx, http.MethodGet, pipelinesAPI+path, nil)
	return p.found(doing, code, raw, err, out)
}

// predicate is a filter of display names.
func predicate(operation, field string, value any) string {
	raw, _ := json.Marshal(map[string]any{"predicates": []any{map[string]any{"operation": operation, "key": "display_name", field: value}}})
	return string(raw)
}

// pipelineNote says in a run's description whose it is: some databases keep 191 letters of one,
// which the names that Vishwa gives leave room in.
func pipelineNote(task port.Task, at time.Time) string {
	return fmt.Sprintf("vishwa %s %s %s %d %s", task.Owner, task.Launch, task.Job.Hex(), at.Unix(), task.Deadline)
}

var isPipelineNote = lazyregexp.New(`^vishwa (\S+) (\S+) ([0-9a-f]{64}) ([0-9]{1,12}) (\S+)$`)

func (run pipelineRun) record() record {
	r := record{name: run.Name, uid: run.ID, status: run.stands()}
	if m := isPipelineNote.FindStringSubmatch(run.Description); m != nil {
		r.owner, r.launch, r.job = m[1], m[2], "sha256:"+m[3]
		seconds, _ := strconv.ParseInt(m[4], 10, 64)
		r.begun = time.Unix(seconds, 0)
		r.deadline, _ = time.ParseDuration(m[5])
	}
	if run.Finished != nil && run.Finished.After(run.Created) {
		r.lasted = run.Finished.Sub(run.Created)
	}
	return r
}

// stands is how a run stands. A run that somebody ended is canceled at last, or failed after it
// was canceling: which of them is up to what carries it out.
func (run pipelineRun) stands() port.TaskStatus {
	ended := func(cause port.Cause, reason string) port.TaskStatus {
		return port.TaskStatus{Phase: port.TaskEnded, Cause: cause, Reason: reason}
	}
	cancelled := false
	for _, was := range run.History {
		cancelled = cancelled || was.State == "CANCELING"
	}
	switch run.State {
	case "RUNNING", "CANCELING":
		return port.TaskStatus{Phase: port.TaskRunning}
	case "PAUSED":
		return port.TaskStatus{Phase: port.TaskWaiting, Reason: "somebody paused it in Kubeflow Pipelines"}
	case "SUCCEEDED":
		return port.TaskStatus{Phase: port.TaskEnded}
	case "SKIPPED":
		return ended(port.Lost, "Kubeflow Pipelines skipped it")
	case "CANCELED":
		return ended(port.Stopped, "somebody terminated it")
	case "FAILED":
		if cancelled {
			return ended(port.Stopped, "somebody terminated it")
		}
		return run.failed()
	case "", "PENDING", "RUNTIME_STATE_UNSPECIFIED":
		return port.TaskStatus{Phase: port.TaskWaiting, Reason: "Kubeflow Pipelines has not begun it yet"}
	}
	return port.TaskStatus{Phase: port.TaskWaiting, Reason: "Kubeflow Pipelines says " + harmless.Line(strconv.Quote(run.State)) + " of it"}
}

var pipelineExit = lazyregexp.New(`\bexit code ([0-9]{1,3})\b`)

// failed is how a run ended badly. Of what its pods say only known words are told: a message
// may quote what the run was given.
func (run pipelineRun) failed() port.TaskStatus {
	s := port.TaskStatus{Phase: port.TaskEnded, Cause: port.Exit, ExitCode: 1, Reason: "its run failed: Kubeflow Pipelines has its logs"}
	for _, t := range run.Details.Tasks {
		text := t.Error.Message
		if t.State != "FAILED" || text == "" {
			continue
		}
		name := harmless.Line(t.Name)
		if letters := []rune(name); len(letters) > 60 {
			name = string(letters[:60])
		}
		if m := pipelineExit.FindStringSubmatch(text); m != nil && m[1] != "0" {
			s.ExitCode, _ = strconv.Atoi(m[1])
			s.Reason = "task " + name + " ended with exit code " + m[1] + ": Kubeflow Pipelines has its logs"
		}
		switch {
		case strings.Contains(text, "OOMKilled"):
			return port.TaskStatus{Phase: port.TaskEnded, Cause: port.OutOfMemory, Reason: "task " + name + " took more memory than it was given"}
		case strings.Contains(text, "ImagePullBackOff"), strings.Contains(text, "ErrImagePull"), strings.Contains(text, "InvalidImageName"):
			return port.TaskStatus{Phase: port.TaskEnded, Cause: port.BadImage, Reason: "the image of task " + name + " cannot be pulled"}
		}
	}
	return s
}
