// Airflow: a task is a run of the one DAG that vishwa export airflow writes, and the run's ID is
// the task's name. Airflow 3 is asked by /api/v2, Airflow 2 by /api/v1.

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
	"sync"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	signin "github.com/vishwaops/vishwa/reconciler/machine/airflow"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// AirflowTokenVariable has a bearer token or user:password, where the runner names no file.
const AirflowTokenVariable = "VISHWA_AIRFLOW_TOKEN"

// Airflow launches tasks as runs of a DAG. Nothing is asked of it yet.
func Airflow(r schemas.AirflowRunner, o Options) port.Launcher {
	a := &airflow{client: newClient("Airflow", r.URL, r.Token, AirflowTokenVariable, o), dag: r.DAG}
	a.session.Send, a.session.Refused = a.doAs, a.refused
	a.signed = func(req *http.Request, token string) {
		if user, password, is := strings.Cut(token, ":"); is {
			req.SetBasicAuth(user, password)
			return
		}
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return newLauncher(a, "Airflow", strings.TrimRight(r.URL, "/")+"/dags/"+r.DAG, o)
}

type airflow struct {
	*client
	dag string

	session signin.Session // of Airflow 3

	mu  sync.Mutex // held while it is asked which version it is
	api string     // /api/v2 or /api/v1; empty until it is known
}

// The task of the DAG, and what it pushes.
const (
	airflowTask = "work"
	airflowExit = "exit_code"
	airflowSaid = "said"
	airflowPage = 100
	airflowMost = 20 // pages of runs that are read to find several; what is not there is asked for alone
	airflowFew  = 3  // runs that are asked for one by one
)

// airflowRun is what Airflow tells of a run, of which there is more.
type airflowRun struct {
	ID    string     `json:"dag_run_id"`
	State string     `json:"state"`
	Start *time.Time `json:"start_date"`
	End   *time.Time `json:"end_date"`
	Conf  struct {
		Vishwa airflowConf `json:"vishwa"`
	} `json:"conf"`
}

// airflowConf is what a run is given. The ticket is shown to whoever may see the run.
type airflowConf struct {
	Owner    string    `json:"owner"`
	Job      string    `json:"job"`
	Launch   string    `json:"launch"`
	UID      string    `json:"uid"`
	Of       string    `json:"of"`
	Begun    time.Time `json:"begun"`
	Deadline string    `json:"deadline"`
	Seconds  int64     `json:"seconds"` // then the DAG itself ends it
	Command  []string  `json:"command,omitempty"`
	Ticket   string    `json:"ticket,omitempty"`
	// External is of a DAG of the team's, and Vars what that is told.
	External bool              `json:"external,omitempty"`
	Vars     map[string]string `json:"vars,omitempty"`
}

// AirflowExternal begins DAGs of the team's on the same Airflow, each by a launcher of its own.
func AirflowExternal(r schemas.AirflowRunner, o Options) func(schemas.External) port.Launcher {
	var mu sync.Mutex
	all := map[string]port.Launcher{}
	return func(e schemas.External) port.Launcher {
		mu.Lock()
		defer mu.Unlock()
		r.DAG = ""
		if e.Airflow != nil {
			r.DAG = e.Airflow.DAG
		}
		if all[r.DAG] == nil {
			all[r.DAG] = Airflow(r, o)
		}
		return all[r.DAG]
	}
}

func (a *airflow) fits(task port.Task) error {
	if task.Resources != (schemas.Resources{}) {
		return fault.WithHint(fault.New(fault.Invalid, "launch %s: Airflow gives a task no resources of its own", task.Name), "remove resources, or name another runner")
	}
	return nil
}

func (a *airflow) submit(ctx context.Context, task port.Task, at time.Time) (record, error) {
	given := airflowConf{
		Owner: task.Owner, Job: string(task.Job), Launch: task.Launch, UID: strings.ToLower(rand.Text()), Of: task.Ref.String(), Begun: at.UTC(),
		Deadline: task.Deadline.String(), Seconds: int64((task.Deadline + 5*time.Minute).Seconds()), Command: task.Command, Ticket: string(task.Ticket),
	}
	conf := map[string]any{}
	if e := task.External; e != nil {
		given.External, given.Vars = true, e.Vars
		if e.Is.Airflow != nil {
			conf, _ = told(e.Is.Airflow.Conf, e.Vars).(map[string]any)
			conf = maps.Clone(conf)
		}
	}
	if conf == nil {
		conf = map[string]any{}
	}
	conf["vishwa"] = given
	body := map[string]any{"dag_run_id": task.Name, "conf": conf}
	doing := "trigger " + task.Name
	api, err := a.version(ctx)
	if err != nil {
		return record{}, fmt.Errorf("%s: %w", doing, err)
	}
	if api == "/api/v2" {
		body["logical_date"] = nil // it has to be said
	}
	code, raw, err := a.ask(ctx, http.MethodPost, a.runs(""), body)
	var run airflowRun
	switch {
	case err != nil:
		return record{}, fmt.Errorf("%s: %w", doing, err)
	case code == http.StatusOK || code == http.StatusCreated:
		err := a.decodeAnswer(doing, raw, &run)
		return a.recordOf(run), err
	case code == http.StatusConflict:
		return record{}, fault.WithHint(fault.New(fault.Conflict, "%s: one of that name exists", doing), "the next pass finds out whether it is its own, and goes on")
	case code == http.StatusNotFound:
		return record{}, fault.WithHint(fault.New(fault.Invalid, "%s: Airflow has no DAG %s that this token may use", doing, a.dag),
			"put it into its folder of DAGs, and wait until it is listed; vishwa export airflow --dag %s writes the one that carries out runs", a.dag)
	case code == http.StatusBadRequest:
		return record{}, fault.WithHint(a.refused(doing, code), "see in Airflow whether DAG %s has import errors, and write its file anew with vishwa export airflow --dag %s", a.dag, a.dag)
	}
	return record{}, a.refused(doing, code)
}

// find asks for a few one by one, and reads for several the runs of the DAG, the newest first.
func (a *airflow) find(ctx context.Context, names []string) (map[string]record, error) {
	found, left := map[string]record{}, map[string]bool{}
	for _, name := range names {
		left[name] = true
	}
	take := func(run airflowRun) error {
		if !left[run.ID] {
			return nil
		}
		delete(left, run.ID)
		r, err := a.whole(ctx, run)
		found[run.ID] = r
		return err
	}
	for page := 0; len(left) > airflowFew && page < airflowMost; page++ {
		var list struct {
			Runs []airflowRun `json:"dag_runs"`
		}
		query := url.Values{"limit": {strconv.Itoa(airflowPage)}, "offset": {strconv.Itoa(page * airflowPage)}, "order_by": {"-id"}}
		there, err := a.get(ctx, "list runs of DAG "+a.dag, a.runs("")+"?"+query.Encode(), &list)
		if err != nil {
			return nil, err
		}
		if !there { // the DAG is not listed now, which says nothing of its runs
			break
		}
		for _, run := range list.Runs {
			if err := take(run); err != nil {
				return nil, err
			}
		}
		if len(list.Runs) < airflowPage {
			return a.queued(ctx, found)
		}
	}
	for name := range left {
		var run airflowRun
		there, err := a.get(ctx, "look for run "+name, a.runs(name), &run)
		if there && err == nil {
			err = take(run)
		}
		if err != nil {
			return nil, err
		}
	}
	return a.queued(ctx, found)
}

// whole adds to what has ended how it did: only then is more asked about it.
func (a *airflow) whole(ctx context.Context, run airflowRun) (record, error) {
	r := a.recordOf(run)
	if r.status.Phase != port.TaskEnded || r.uid == "" {
		return r, nil
	}
	var try struct {
		Number int `json:"try_number"`
	}
	task := a.runs(run.ID) + "/taskInstances/" + airflowTask
	if _, err := a.get(ctx, "look at the task of "+run.ID, task, &try); err != nil {
		return r, err
	}
	if try.Number > 1 { // the DAG has no retries: somebody cleared it, and it was another's work
		r.uid += "-" + strconv.Itoa(try.Number)
	}
	if r.status.Cause == "" {
		return r, nil
	}
	var pushed struct {
		Value any `json:"value"` // a number, or its text, by the version
	}
	if _, err := a.get(ctx, "look at the exit code of "+run.ID, task+"/xcomEntries/"+airflowExit, &pushed); err != nil {
		return r, err
	}
	if code, err := strconv.Atoi(strings.Trim(fmt.Sprint(pushed.Value), `"`)); err == nil && code != 0 {
		r.status = port.TaskStatus{Phase: port.TaskEnded, Cause: port.Exit, ExitCode: code, Reason: "it ended with exit code " + strconv.Itoa(code)}
		pushed.Value = nil // a DAG file of an older vishwa pushes none
		if _, err := a.get(ctx, "look at the words of "+run.ID, task+"/xcomEntries/"+airflowSaid, &pushed); err != nil {
			return r, err
		}
		words, _ := pushed.Value.(string)
		var plain string
		if json.Unmarshal([]byte(words), &plain) == nil { // the text of the value
			words = plain
		}
		r.status = withWords(r.status, words)
	}
	return r, nil
}

// queued says why what is queued is: asked once for all of them.
func (a *airflow) queued(ctx context.Context, found map[string]record) (map[string]record, error) {
	reason := ""
	for name, r := range found {
		if r.status.Phase != port.TaskWaiting {
			continue
		}
		if reason == "" {
			var dag struct {
				Paused bool `json:"is_paused"`
				Most   int  `json:"max_active_runs"`
			}
			there, err := a.get(ctx, "look at DAG "+a.dag, "/dags/"+url.PathEscape(a.dag), &dag)
			switch {
			case err != nil:
				return nil, err
			case !there:
				reason = "Airflow has no DAG " + a.dag + " now: put its file back"
			case dag.Paused:
				reason = "DAG " + a.dag + " is paused: unpause it in Airflow"
			case dag.Most > 0:
				reason = "Airflow has it queued: DAG " + a.dag + " has at most " + strconv.Itoa(dag.Most) + " active runs"
			default:
				reason = "Airflow has it queued"
			}
		}
		r.status.Reason = reason
		found[name] = r
	}
	return found, nil
}

// cancel marks a run as failed: Airflow ends its processes at the next heartbeat of the task.
func (a *airflow) cancel(ctx context.Context, r record) error {
	return a.end(ctx, http.MethodPatch, "end "+r.name, a.runs(r.name), map[string]string{"state": "failed"})
}

func (a *airflow) drop(ctx context.Context, r record) error {
	return a.end(ctx, http.MethodDelete, "remove "+r.name, a.runs(r.name), nil)
}

// end asks for the end of what may be gone already.
func (a *airflow) end(ctx context.Context, method, doing, path string, body any) error {
	code, _, err := a.ask(ctx, method, path, body)
	return a.gone(doing, code, err)
}

// get reads what may not be there.
func (a *airflow) get(ctx context.Context, doing, path string, out any) (there bool, err error) {
	code, raw, err := a.ask(ctx, http.MethodGet, path, nil)
	return a.found(doing, code, raw, err, out)
}

// runs is the path of the DAG's runs, or of one of them.
func (a *airflow) runs(name string) string {
	path := "/dags/" + url.PathEscape(a.dag) + "/dagRuns"
	if name != "" {
		path += "/" + url.PathEscape(name)
	}
	return path
}

func (a *airflow) recordOf(run airflowRun) record {
	given := run.Conf.Vishwa
	r := record{name: run.ID, uid: given.UID, owner: given.Owner, job: given.Job, launch: given.Launch, begun: given.Begun}
	r.deadline, _ = time.ParseDuration(given.Deadline)
	if run.Start != nil && run.End != nil {
		r.lasted = run.End.Sub(*run.Start)
	}
	switch run.State {
	case "running":
		r.status = port.TaskStatus{Phase: port.TaskRunning}
	case "success":
		r.status = port.TaskStatus{Phase: port.TaskEnded}
	case "failed":
		r.status = port.TaskStatus{Phase: port.TaskEnded, Cause: port.Lost, Reason: "Airflow lost it, or somebody marked it as failed"}
		if given.External {
			r.status.Cause, r.status.ExitCode, r.status.Reason = port.Exit, 1, "the run of the DAG failed: Airflow has its logs"
		}
	default: // queued, and what is to come
		r.status = port.TaskStatus{Phase: port.TaskWaiting}
	}
	return r
}
