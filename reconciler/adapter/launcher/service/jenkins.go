// Jenkins: a task is a build of the one parameterised job that vishwa export jenkins writes. It
// gives builds no names, so a task is found by its parameters, in the queue and among the
// builds, and is looked for before and after it is triggered.

package service

import (
	"context"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// JenkinsTokenVariable has user:token, where the runner names no file.
const JenkinsTokenVariable = "VISHWA_JENKINS_TOKEN"

// Jenkins launches tasks as builds of a job. Nothing is asked of it yet.
func Jenkins(r schemas.JenkinsRunner, o Options) port.Launcher {
	path := ""
	for _, part := range strings.Split(strings.Trim(r.Job, "/"), "/") {
		path += "/job/" + url.PathEscape(part)
	}
	j := &jenkins{client: newClient("Jenkins", r.URL, r.Token, JenkinsTokenVariable, o), job: path, known: map[string]int64{}}
	j.signed = func(req *http.Request, token string) {
		user, secret, _ := strings.Cut(token, ":")
		req.SetBasicAuth(user, secret)
	}
	j.more = func(req *http.Request) {
		j.mu.Lock()
		defer j.mu.Unlock()
		if j.crumb.Field != "" && req.Method == http.MethodPost {
			req.Header.Set(j.crumb.Field, j.crumb.Value)
		}
	}
	j.http.Jar, _ = cookiejar.New(nil) // a crumb holds for a session; New never fails
	return newLauncher(j, "Jenkins", strings.TrimRight(r.URL, "/")+path, o)
}

type jenkins struct {
	*client
	job string // its path

	mu    sync.Mutex
	crumb jenkinsCrumb
	known map[string]int64 // tasks' numbers in the queue, as they were seen last
}

// jenkinsCrumb is what a POST has to bring where the token is a password.
type jenkinsCrumb struct {
	Field string `json:"crumbRequestField"`
	Value string `json:"crumb"`
}

func (j *jenkins) fits(task port.Task) error {
	if task.Resources != (schemas.Resources{}) {
		return fault.WithHint(fault.New(fault.Invalid, "launch %s: Jenkins gives a build no resources of its own", task.Name), "remove resources, or name another runner")
	}
	return nil
}

func (j *jenkins) submit(ctx context.Context, task port.Task, at time.Time) (record, error) {
	doing := "build " + task.Name
	code, err := j.post(ctx, j.job+"/buildWithParameters", url.Values{
		jenkinsTask: {task.Name}, jenkinsOwner: {task.Owner}, jenkinsDigest: {string(task.Job)}, jenkinsLaunch: {task.Launch}, jenkinsOf: {task.Ref.String()},
		jenkinsBegun: {at.UTC().Format(time.RFC3339Nano)}, jenkinsDeadline: {task.Deadline.String()},
		jenkinsCommand: {shellQuoted(task.Command)}, port.TicketVariable: {string(task.Ticket)},
	})
	switch {
	case err != nil:
		return record{}, fmt.Errorf("%s: %w", doing, err)
	case code == http.StatusNotFound:
		return record{}, fault.WithHint(fault.New(fault.Invalid, "%s: Jenkins has no job %s that this token may build", doing, j.job), "make it of what vishwa export jenkins prints")
	case code == http.StatusBadRequest || code == http.StatusMethodNotAllowed:
		return record{}, fault.WithHint(fault.New(fault.Invalid, "%s: Jenkins answered %d", doing, code), "build the job once by hand, so that Jenkins knows its parameters")
	case code >= 300:
		return record{}, j.refused(doing, code)
	}
	// Another process may have triggered one of the same name: the first in the queue counts.
	found, err := j.find(ctx, []string{task.Name})
	if err != nil {
		return record{}, err
	}
	r, there := found[task.Name]
	if !there {
		return r, fault.WithHint(fault.New(fault.Invalid, "%s: Jenkins took it without its parameters", doing), "build the job once by hand, so that Jenkins knows its parameters; write it anew with vishwa export jenkins")
	}
	return r, nil
}

// find reads the queue first and the builds after it: what leaves the one has come to the other.
func (j *jenkins) find(ctx context.Context, names []string) (map[string]record, error) {
	found := map[string]record{}
	var queue struct {
		Items []jenkinsItem `json:"items"`
	}
	var builds struct {
		Builds []jenkinsBuild `json:"allBuilds"`
	}
	if _, err := j.get(ctx, "read the queue", "/queue", "items["+jenkinsItemTree+"]", &queue); err != nil {
		return nil, err
	}
	there, err := j.get(ctx, "read the builds", j.job, "allBuilds["+jenkinsBuildTree+"]{0,"+strconv.Itoa(jenkinsMost)+"}", &builds)
	if err != nil {
		return nil, err
	}
	if !there {
		return nil, fault.WithHint(fault.New(fault.Invalid, "look for tasks: Jenkins has no job %s that this token may read", j.job), "make it of what vishwa export jenkins prints")
	}
	extra := []record{}
	add := func(r record) {
		switch old, twice := found[r.name]; {
		case !twice:
			found[r.name] = r
		case number(old) > number(r):
			found[r.name] = r
			extra = append(extra, old)
		case number(old) < number(r):
			extra = append(extra, r)
		}
	}
	for _, b := range builds.Builds {
		add(b.record())
	}
	for _, i := range queue.Items {
		if strings.HasSuffix(strings.TrimRight(i.Task.URL, "/"), j.job) {
			add(i.record())
		}
	}
	for _, r := range extra { // what two processes triggered at once is one task
		if r.launch != "" && r.launch == found[r.name].launch && r.owner == found[r.name].owner && r.status.Phase != port.TaskEnded {
			if err := j.cancel(ctx, r); err != nil {
				return nil, err
			}
		}
	}
	return found, j.between(ctx, names, found)
}

// between finds what has left the queue and is not among the builds yet.
func (j *jenkins) between(ctx context.Context, names []string, found map[string]record) error {
	for _, name := range names {
		j.mu.Lock()
		id := j.known[name]
		if r, there := found[name]; there {
			j.known[name] = number(r)
		} else {
			delete(j.known, name)
		}
		j.mu.Unlock()
		if _, there := found[name]; there || id == 0 {
			continue
		}
		var item jenkinsItem
		there, err := j.get(ctx, "look for "+name, "/queue/item/"+strconv.FormatInt(id, 10), jenkinsItemTree, &item)
		if err != nil {
			return err
		}
		if !there || item.Cancelled {
			continue
		}
		r := item.record()
		if item.Executable != nil {
			var b jenkinsBuild
			there, err := j.get(ctx, "look for "+name, j.job+"/"+strconv.FormatInt(item.Executable.Number, 10), jenkinsBuildTree, &b)
			if err != nil {
				return err
			}
			if !there {
				continue
			}
			r = b.record()
		}
		if r.name == name {
			found[name] = r
			j.mu.Lock()
			j.known[name] = id
			j.mu.Unlock()
		}
	}
	return nil
}

func (j *jenkins) cancel(ctx context.Context, r record) error {
	path := j.job + "/" + r.handle + "/stop"
	if r.handle == "" {
		path = "/queue/cancelItem?id=" + strconv.FormatInt(number(r), 10)
	}
	return j.end(ctx, "stop "+r.name, path)
}

func (j *jenkins) drop(ctx context.Context, r record) error {
	return j.end(ctx, "remove "+r.name, j.job+"/"+r.handle+"/doDelete")
}

// end asks for the end of what may be gone already. Jenkins answers such a POST by leading to a page.
func (j *jenkins) end(ctx context.Context, doing, path string) error {
	code, err := j.post(ctx, path, url.Values{})
	return j.gone(doing, code, err)
}

// post brings a crumb where Jenkins asks for one: it does, where the token is a password.
func (j *jenkins) post(ctx context.Context, path string, form url.Values) (int, error) {
	code, raw, err := j.do(ctx, http.MethodPost, path, form)
	if err != nil || code != http.StatusForbidden || !strings.Contains(string(raw), "crumb") {
		return code, err
	}
	var crumb jenkinsCrumb
	if there, err := j.get(ctx, "ask for a crumb", "/crumbIssuer", "crumb,crumbRequestField", &crumb); err != nil || !there {
		return code, err
	}
	j.mu.Lock()
	j.crumb = crumb
	j.mu.Unlock()
	code, _, err = j.do(ctx, http.MethodPost, path, form)
	return code, err
}

// get reads those fields of what may not be there.
func (j *jenkins) get(ctx context.Context, doing, path, tree string, out any) (there bool, err error) {
	code, raw, err := j.do(ctx, http.MethodGet, path+"/api/json?tree="+url.QueryEscape(tree), nil)
	return j.found(doing, code, raw, err, out)
}
