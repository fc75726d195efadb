// What Jenkins tells of the queue and of builds, and what becomes of a task by that.

package service

import (
	"strconv"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// What a build's parameters are called; vishwa export jenkins has the same.
const (
	jenkinsTask, jenkinsOwner, jenkinsDigest, jenkinsLaunch = "VISHWA_TASK", "VISHWA_OWNER", "VISHWA_JOB", "VISHWA_LAUNCH"
	jenkinsOf, jenkinsBegun, jenkinsDeadline                = "VISHWA_OF", "VISHWA_BEGUN", "VISHWA_DEADLINE"
	jenkinsCommand                                          = "VISHWA_COMMAND"
)

// What the pipeline says in a build's description.
const (
	jenkinsWaits = "vishwa: waits for a machine"
	jenkinsExit  = "vishwa: exit code "
)

// jenkinsMost is how many builds are read, the newest; Vishwa's are removed as they end.
const jenkinsMost = 1000

type jenkinsActions []struct {
	Parameters []struct {
		Name  string `json:"name"`
		Value any    `json:"value"`
	} `json:"parameters"`
}

type jenkinsItem struct {
	ID        int64          `json:"id"`
	Why       string         `json:"why"`
	Cancelled bool           `json:"cancelled"`
	Actions   jenkinsActions `json:"actions"`
	Task      struct {
		URL string `json:"url"`
	} `json:"task"`
	Executable *struct {
		Number int64 `json:"number"`
	} `json:"executable"`
}

type jenkinsBuild struct {
	Number      int64          `json:"number"`
	Queue       int64          `json:"queueId"`
	Building    bool           `json:"building"`
	Result      string         `json:"result"`
	Description string         `json:"description"`
	Duration    int64          `json:"duration"` // milliseconds
	Actions     jenkinsActions `json:"actions"`
}

const (
	jenkinsParameters = "actions[parameters[name,value]]"
	jenkinsBuildTree  = "number,queueId,building,result,description,duration," + jenkinsParameters
	jenkinsItemTree   = "id,why,cancelled,task[url],executable[number]," + jenkinsParameters
)

// number is a task's in the queue, which is its build's too, and never given twice.
func number(r record) int64 {
	n, _ := strconv.ParseInt(strings.TrimPrefix(r.uid, "q"), 10, 64)
	return n
}

func (a jenkinsActions) record(queue int64) record {
	has := map[string]string{}
	for _, action := range a {
		for _, p := range action.Parameters {
			if text, is := p.Value.(string); is {
				has[p.Name] = text
			}
		}
	}
	r := record{name: has[jenkinsTask], uid: "q" + strconv.FormatInt(queue, 10), owner: has[jenkinsOwner], job: has[jenkinsDigest], launch: has[jenkinsLaunch]}
	r.begun, _ = time.Parse(time.RFC3339Nano, has[jenkinsBegun])
	r.deadline, _ = time.ParseDuration(has[jenkinsDeadline])
	return r
}

func (i jenkinsItem) record() record {
	r := i.Actions.record(i.ID)
	r.status = port.TaskStatus{Phase: port.TaskWaiting, Reason: "Jenkins has it queued"}
	if i.Why != "" {
		r.status.Reason = harmless.Line(i.Why)
	}
	return r
}

func (b jenkinsBuild) record() record {
	r := b.Actions.record(b.Queue)
	r.handle = strconv.FormatInt(b.Number, 10)
	code, told := strings.CutPrefix(b.Description, jenkinsExit)
	n, err := strconv.Atoi(code)
	switch {
	case b.Building && b.Description == jenkinsWaits:
		r.status = port.TaskStatus{Phase: port.TaskWaiting, Reason: "no machine of Jenkins is free for it"}
		return r
	case b.Building:
		r.status = port.TaskStatus{Phase: port.TaskRunning}
		return r
	case b.Result == "SUCCESS":
		r.status = port.TaskStatus{Phase: port.TaskEnded}
	case b.Result == "ABORTED":
		r.status = port.TaskStatus{Phase: port.TaskEnded, Cause: port.Stopped, Reason: "somebody aborted it"}
	case told && err == nil && n != 0:
		r.status = port.TaskStatus{Phase: port.TaskEnded, Cause: port.Exit, ExitCode: n, Reason: "it ended with exit code " + strconv.Itoa(n)}
	default:
		r.status = port.TaskStatus{Phase: port.TaskEnded, Cause: port.Lost, Reason: "Jenkins lost it: its build ended without an exit code"}
	}
	r.lasted = time.Duration(b.Duration) * time.Millisecond
	return r
}
