// A Jenkins in this process, as far as the launcher asks one. Its builds run the shell script of
// the pipeline that vishwa export jenkins writes; of the pipeline's Groovy only what it says in
// a build's description is imitated.

package service

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/templates"
)

// jenkinsDouble is one Jenkins; its fields are guarded by the double's lock.
type jenkinsDouble struct {
	*double
	script string
	id     int64 // of the last item in the queue
	queue  []*jenkinsProcess
	builds []*jenkinsProcess // the newest last
	crumb  bool              // is asked for
	hidden bool              // builds are not listed
}

type jenkinsProcess struct {
	*process
	id, number int64
	parameters map[string]string
}

func newJenkinsDouble(t *testing.T) *jenkinsDouble {
	t.Helper()
	text, err := templates.JenkinsPipeline("")
	if err != nil {
		t.Fatal(err)
	}
	part := strings.Split(string(text), "'''")
	if len(part) != 3 {
		t.Fatalf("the pipeline has another number of scripts than one")
	}
	j := &jenkinsDouble{script: part[1]}
	j.double = idleDouble(t)
	j.serveBy(t, j.serve)
	return j
}

const jenkinsPath = "/job/team/job/vishwa"

func (j *jenkinsDouble) serve(_ *double, w http.ResponseWriter, r *http.Request) {
	j.advance()
	if r.URL.Path == "/crumbIssuer/api/json" {
		http.SetCookie(w, &http.Cookie{Name: "JSESSIONID", Value: "s", Path: "/"})
		reply(w, 200, object{"crumb": "c", "crumbRequestField": "Jenkins-Crumb"})
		return
	}
	if cookie, err := r.Cookie("JSESSIONID"); r.Method == http.MethodPost && j.crumb && (err != nil || cookie.Value != "s" || r.Header.Get("Jenkins-Crumb") != "c") {
		reply(w, 403, "<h1>HTTP ERROR 403 No valid crumb was included in the request</h1>")
		return
	}
	path, ours := strings.CutPrefix(r.URL.Path, jenkinsPath)
	part := strings.Split(strings.Trim(path, "/"), "/")
	number, _ := strconv.ParseInt(part[0], 10, 64)
	at := slices.IndexFunc(j.builds, func(b *jenkinsProcess) bool { return b.number == number })
	switch {
	case strings.HasPrefix(r.URL.Path, "/queue/"):
		j.queued(w, r)
	case !ours:
		reply(w, 404, "<html>nothing here</html>")
	case path == "/buildWithParameters":
		j.build(w, r)
	case path == "/api/json":
		builds := []object{}
		for i := len(j.builds) - 1; i >= 0 && !j.hidden; i-- {
			builds = append(builds, j.builds[i].details())
		}
		reply(w, 200, object{"allBuilds": builds})
	case at < 0:
		reply(w, 404, "<html>no such build</html>")
	case part[1] == "stop":
		j.builds[at].stop()
		w.Header().Set("Location", "/")
		reply(w, 302, "")
	case part[1] == "doDelete":
		delete(j.tasks, j.builds[at].name)
		j.builds = slices.Delete(j.builds, at, at+1)
		w.Header().Set("Location", "/")
		reply(w, 302, "")
	default:
		reply(w, 200, j.builds[at].details())
	}
}

// advance has what is queued begin, unless there is no room.
func (j *jenkinsDouble) advance() {
	if j.busy {
		return
	}
	for _, p := range j.queue {
		p.number = p.id + 1000
		j.builds = append(j.builds, p)
		p.command = words("/bin/sh", "-c", j.script)
		for k, v := range p.parameters {
			p.env = append(p.env, k+"="+v)
		}
		j.begin(p.process)
	}
	j.queue = nil
}

func (j *jenkinsDouble) build(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		reply(w, 400, "no form")
		return
	}
	j.id++
	p := &jenkinsProcess{id: j.id, parameters: map[string]string{}, process: &process{}}
	for k := range r.PostForm {
		p.parameters[k] = r.PostForm.Get(k)
	}
	p.name = p.parameters["VISHWA_TASK"]
	j.queue = append(j.queue, p)
	w.Header().Set("Location", j.URL+"/queue/item/"+strconv.FormatInt(p.id, 10)+"/")
	reply(w, 201, "")
}

func (j *jenkinsDouble) queued(w http.ResponseWriter, r *http.Request) {
	part := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case part[1] == "cancelItem":
		id, _ := strconv.ParseInt(r.URL.Query().Get("id"), 10, 64)
		j.queue = slices.DeleteFunc(j.queue, func(p *jenkinsProcess) bool { return p.id == id })
		w.WriteHeader(204)
	case part[1] == "api":
		items := []object{{"id": 7, "task": object{"url": j.URL + "/job/another/"}, "actions": []object{{}}}}
		for _, p := range j.queue {
			items = append(items, object{"id": p.id, "why": "Waiting for next available executor", "task": object{"url": j.URL + jenkinsPath + "/"}, "actions": p.actions()})
		}
		reply(w, 200, object{"items": items})
	default:
		for _, p := range j.builds {
			if strconv.FormatInt(p.id, 10) == part[2] {
				reply(w, 200, object{"id": p.id, "executable": object{"number": p.number}, "actions": p.actions()})
				return
			}
		}
		reply(w, 404, "<html>no such item</html>")
	}
}

// actions are a build's parameters: of a password only the name is shown.
func (p *jenkinsProcess) actions() []object {
	shown := []object{}
	for k, v := range p.parameters {
		if k == "VISHWA_TICKET" || k == "VISHWA_COMMAND" {
			shown = append(shown, object{"name": k})
			continue
		}
		shown = append(shown, object{"name": k, "value": v})
	}
	return []object{{"_class": "hudson.model.ParametersAction", "parameters": shown}, {}}
}

func (p *jenkinsProcess) details() object {
	out := object{"number": p.number, "queueId": p.id, "building": p.phase != "ended", "result": nil, "description": "vishwa: runs", "duration": 0, "actions": p.actions()}
	if p.phase != "ended" {
		return out
	}
	out["duration"] = p.end.Sub(p.start).Milliseconds()
	switch {
	case p.stopped:
		out["result"] = "ABORTED"
	case p.code == 0:
		out["result"], out["description"] = "SUCCESS", "vishwa: exit code 0"
	default:
		out["result"], out["description"] = "FAILURE", "vishwa: exit code "+strconv.Itoa(p.code)
	}
	return out
}
