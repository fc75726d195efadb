// How a task stands is told in plain words, and what looks alike is told apart.

package status

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/port"
)

// noon is when it is, and the others are so many seconds before.
var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func read[T any](t *testing.T, text string) T {
	t.Helper()
	var out T
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return out
}

// pods of one container that asks for two GPUs and has these states besides.
func podOf(t *testing.T, status string) Pod {
	return read[Pod](t, `{"metadata": {"name": "p", "uid": "p", "creationTimestamp": "2026-11-28T11:50:00Z"},
		"spec": {"containers": [{"name": "worker", "image": "reg/x@sha256:1", "resources": {"limits": {"nvidia.com/gpu": "2", "cpu": "4", "memory": "1Gi"}}}]}, "status": `+status+`}`)
}

const (
	let        = `"metadata": {"name": "t", "uid": "u", "creationTimestamp": "2026-11-28T11:50:00Z", "annotations": {"vishwa.dev/begun": "true"}}`
	going      = `{` + let + `, "spec": {"completions": 1}, "status": {"startTime": "2026-11-28T11:50:00Z"}}`
	held       = `{` + let + `, "spec": {"suspend": true}}`
	failedWith = `{` + let + `, "status": {"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "Job has reached the specified backoff limit"}]}}`
	disrupted  = `{` + let + `, "status": {"conditions": [{"type": "Failed", "status": "True", "reason": "PodFailurePolicy", "message": "Pod n/p has condition DisruptionTarget matching FailJob rule at index 0"}]}}`
	noPreempt  = " no new claims to deallocate, preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
	noVictims  = " no new claims to deallocate, preemption: 0/3 nodes are available: 1 No preemption victims found for incoming pod, 2 Preemption is not helpful for scheduling."
)

func unplaced(message string) string {
	return `{"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "` + message + `"}]}`
}

func waitingFor(reason, message string) string {
	return `{"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-11-28T11:59:30Z"}],
		"containerStatuses": [{"name": "worker", "state": {"waiting": {"reason": "` + reason + `", "message": "` + message + `"}}}]}`
}

func exited(code, reason string) string {
	return `{"phase": "Failed", "containerStatuses": [{"name": "worker", "state": {"terminated": {"exitCode": ` + code + `, "reason": "` + reason + `", "message": "no such file"}}}]}`
}

// unreached is a worker's own word, of which the shell of its image and its Python say more before.
const unreached = `vishwa-worker: read the job's document: the worker cannot reach the store at store.example.com:9000: dial tcp 10.0.0.7:9000: connect: connection refused: let what runs the job reach it`

func said(code, text string) string {
	return `{"phase": "Failed", "containerStatuses": [{"name": "worker", "state": {"terminated": {"exitCode": ` + code + `, "reason": "Error", "message": "` + text + `"}}}]}`
}

func TestHowATaskStandsIsTold(t *testing.T) {
	for name, c := range map[string]struct {
		unit, pod, refused string
		phase              port.TaskPhase
		cause              port.Cause
		words              string
	}{
		"done":                   {unit: `{` + let + `, "status": {"conditions": [{"type": "Complete", "status": "True"}]}}`, phase: port.TaskEnded},
		"done, and not counted":  {unit: going, pod: `{"phase": "Succeeded"}`, phase: port.TaskEnded},
		"one of two is done":     {unit: `{` + let + `, "spec": {"completions": 2}}`, pod: `{"phase": "Succeeded"}`, phase: port.TaskWaiting, words: "1 of its 2 nodes"},
		"no GPU, ever":           {unit: going, pod: unplaced("0/3 nodes are available: 3 Insufficient nvidia.com/gpu." + noPreempt), phase: port.TaskEnded, cause: port.Unschedulable, words: "no node has 2 GPUs (0/3 nodes"},
		"no GPU now":             {unit: going, pod: unplaced("0/3 nodes are available: 1 Insufficient nvidia.com/gpu, 2 node(s) didn't match Pod's node affinity/selector." + noVictims), phase: port.TaskWaiting, words: "no node has 2 GPUs free"},
		"no core and memory":     {unit: going, pod: unplaced("0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory." + noVictims), phase: port.TaskWaiting, words: "no node has 1Gi of memory and 4 cores free"},
		"a node that comes back": {unit: going, pod: unplaced("0/3 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }, 2 Insufficient cpu." + noPreempt), phase: port.TaskWaiting, words: "4 cores"},
		"a cordoned node":        {unit: going, pod: unplaced("0/1 nodes are available: 1 node(s) were unschedulable." + noPreempt), phase: port.TaskWaiting, words: "no node takes it"},
		"no such label":          {unit: going, pod: unplaced("0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector." + noPreempt), phase: port.TaskEnded, cause: port.Unschedulable, words: "the labels that it asks for"},
		"no scheduler":           {unit: going, pod: unplaced(""), phase: port.TaskWaiting, words: "waits for the scheduler"},
		"an image on its way":    {unit: going, pod: waitingFor("ContainerCreating", ""), phase: port.TaskWaiting, words: "image is being pulled"},
		"an image, at first":     {unit: going, pod: waitingFor("ErrImagePull", "rpc error: code = NotFound desc = not found"), phase: port.TaskWaiting, words: "reg/x@sha256:1 cannot be pulled: code = NotFound"},
		"an image's bad name":    {unit: going, pod: waitingFor("InvalidImageName", "couldn't parse"), phase: port.TaskEnded, cause: port.BadImage, words: "reg/x@sha256:1 cannot name an image"},
		"no Secret":              {unit: going, pod: waitingFor("CreateContainerConfigError", "secret x not found"), phase: port.TaskWaiting, words: "secret x not found"},
		"a full quota":           {unit: going, refused: "Error creating: pods \"t-x\" is forbidden: exceeded quota: q, requested: cpu=4", phase: port.TaskWaiting, words: "makes no pod for it: exceeded quota: q"},
		"a rule against it":      {unit: going, refused: "Error creating: pods \"t-x\" is forbidden: violates PodSecurity", phase: port.TaskEnded, cause: port.Unschedulable, words: "violates PodSecurity"},
		"no pod at all":          {unit: going, phase: port.TaskEnded, cause: port.Lost, words: "let go 10m0s ago"},
		"running":                {unit: going, pod: `{"phase": "Running"}`, phase: port.TaskRunning},
		"a node that is gone": {unit: going, pod: `{"phase": "Running", "conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager"}]}`,
			phase: port.TaskEnded, cause: port.Preempted, words: "does not answer"},
		"out of memory":        {unit: failedWith, pod: exited("137", "OOMKilled"), phase: port.TaskEnded, cause: port.OutOfMemory, words: "1Gi"},
		"no such command":      {unit: failedWith, pod: exited("128", "StartError"), phase: port.TaskEnded, cause: port.BadImage, words: "no such file"},
		"an exit code":         {unit: failedWith, pod: exited("3", "Error"), phase: port.TaskEnded, cause: port.Exit, words: "exit code 3"},
		"a store out of reach": {unit: failedWith, pod: said("1", unreached+`\n`), phase: port.TaskEnded, cause: port.Exit, words: "exit code 1: " + unreached},
		"a word with a key":    {unit: failedWith, pod: said("1", `curl https://me:pw@s3.example.com/b?X-Amz-Signature=abc`), phase: port.TaskEnded, cause: port.Exit, words: "exit code 1: curl https://s3.example.com/b"},
		"a word to a terminal": {unit: failedWith, pod: said("1", `\u001b[2J::error::x`), phase: port.TaskEnded, cause: port.Exit, words: "::error::x"},
		"done, with a word":    {unit: going, pod: `{"phase": "Succeeded", "containerStatuses": [{"name": "worker", "state": {"terminated": {"exitCode": 0, "message": "exec format error"}}}]}`, phase: port.TaskEnded},
		"a program of another kind of machine": {unit: failedWith, pod: said("255", `exec /usr/bin/python3: exec format error\n`),
			phase: port.TaskEnded, cause: port.BadImage, words: "its image reg/x@sha256:1 is for another kind of machine than its node: pin one"},
		"a program that crun does not begin": {unit: failedWith, pod: strings.Replace(exited("128", "StartError"), "no such file", "exec container process `/bin/sh`: Exec format error", 1),
			phase: port.TaskEnded, cause: port.BadImage, words: "another kind of machine"},
		"an image of another kind of machine": {unit: going, pod: waitingFor("ErrImagePull", "failed to pull and unpack image: no match for platform in manifest: not found"),
			phase: port.TaskWaiting, words: "its image reg/x@sha256:1 is for another kind of machine than node"},
		"a deleted pod":        {unit: failedWith, phase: port.TaskEnded, cause: port.Stopped, words: "somebody deleted"},
		"a machine taken back": {unit: disrupted, phase: port.TaskEnded, cause: port.Preempted},
		"a drained node, and its worker had time to say that it was told to end": {unit: disrupted, phase: port.TaskEnded, cause: port.Preempted, words: "drained",
			pod: `{"phase": "Failed", "conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}], "containerStatuses": [{"name": "worker", "state": {"terminated": {"exitCode": 143, "reason": "Error"}}}]}`},
		"a drained node": {unit: disrupted, pod: `{"phase": "Failed", "conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}]}`, phase: port.TaskEnded, cause: port.Preempted, words: "drained"},
		"a node short of memory, and it has a limit": {unit: disrupted, pod: `{"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory.",
			"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet"}]}`, phase: port.TaskEnded, cause: port.Preempted},
		"too much of its own disk": {unit: failedWith, pod: `{"phase": "Failed", "reason": "Evicted", "message": "Usage of EmptyDir volume \"vishwa-work\" exceeds the limit \"1Gi\". "}`,
			phase: port.TaskEnded, cause: port.OverLimit, words: "more disk"},
		"a deadline":            {unit: `{` + let + `, "status": {"conditions": [{"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}]}}`, phase: port.TaskEnded, cause: port.TimedOut},
		"somebody suspended it": {unit: held, phase: port.TaskWaiting, words: "somebody suspended it"},
		"it is not let go yet":  {unit: `{"metadata": {"name": "t"}, "spec": {"suspend": true}}`, phase: port.TaskWaiting, words: "being launched"},
		"orders to a terminal":  {unit: going, pod: waitingFor("CreateContainerError", "\\u001b[2J::error::x"), phase: port.TaskWaiting, words: "cannot be begun"},
	} {
		t.Run(name, func(t *testing.T) {
			f := Facts{Unit: read[Unit](t, c.unit), Refused: c.refused, Now: noon, Patience: Patience{Image: time.Minute, Room: 5 * time.Minute, Start: 5 * time.Minute}}
			if c.pod != "" {
				f.Pods = []Pod{podOf(t, c.pod)}
				if strings.Contains(name, "that is gone") {
					at := noon.Add(-2 * time.Minute)
					f.Pods[0].Deleted = &at
				}
			}
			s := f.Task()
			if s.Phase != c.phase || s.Cause != c.cause || !strings.Contains(s.Reason, c.words) || strings.ContainsRune(s.Reason, '\x1b') {
				t.Errorf("%+v, want %s, %s and %q", s, c.phase, c.cause, c.words)
			}
		})
	}
}

// A task that has a node run short of what it has no limit of spends its retries: else it
// could have itself begun again for ever.
func TestWhoHasNoLimitIsNotPreemptedByItself(t *testing.T) {
	for resource, want := range map[string]port.Cause{"memory": port.OutOfMemory, "ephemeral-storage": port.OverLimit} {
		p := read[Pod](t, `{"spec": {"containers": [{"name": "worker"}]}, "status": {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: `+resource+`.",
			"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet"}]}}`)
		f := Facts{Unit: read[Unit](t, disrupted), Pods: []Pod{p}, Now: noon}
		if s := f.Task(); s.Cause != want {
			t.Errorf("%s: %+v, want %s", resource, s, want)
		}
	}
}

// Of several nodes the one that failed by itself tells why, and not those that were ended for it.
func TestTheNodeThatFailedTells(t *testing.T) {
	ended, failed := podOf(t, exited("143", "Error")), podOf(t, exited("2", "Error"))
	for _, pods := range [][]Pod{{ended, failed}, {failed, ended}} {
		if s := (Facts{Unit: read[Unit](t, failedWith), Pods: pods, Now: noon}).Task(); s.ExitCode != 2 {
			t.Errorf("%+v", s)
		}
	}
}

func TestWhatAQueueDoesIsTold(t *testing.T) {
	for name, c := range map[string]struct {
		load  string
		ahead int
		phase port.TaskPhase
		cause port.Cause
		words string
	}{
		"its position":     {`{"spec": {"queueName": "q"}, "status": {"conditions": [{"type": "QuotaReserved", "status": "False", "message": "insufficient unused quota for cpu"}]}}`, 2, port.TaskWaiting, "", "position 3 in queue q: insufficient unused quota for cpu"},
		"nobody counts":    {`{"spec": {"queueName": "q"}}`, -1, port.TaskWaiting, "", "it waits in queue q"},
		"more than it has": {`{"spec": {"queueName": "q"}, "status": {"conditions": [{"type": "QuotaReserved", "status": "False", "message": "insufficient quota: 9 > maximum capacity (2)", "lastTransitionTime": "2026-11-28T11:50:00Z"}]}}`, 0, port.TaskEnded, port.Unschedulable, "never have room"},
		"taken back":       {`{"spec": {"queueName": "q"}, "status": {"conditions": [{"type": "Evicted", "status": "True", "reason": "Preempted", "message": "Preempted to accommodate a workload"}, {"type": "QuotaReserved", "status": "False"}]}}`, 0, port.TaskEnded, port.Preempted, "took it back"},
		"stopped there":    {`{"spec": {"queueName": "q", "active": false}}`, 0, port.TaskEnded, port.Stopped, "somebody stopped it"},
		"a check":          {`{"spec": {"queueName": "q"}, "status": {"conditions": [{"type": "QuotaReserved", "status": "True"}]}}`, 0, port.TaskWaiting, "", "checks whether"},
		"let go, no pod":   {`{"spec": {"queueName": "q"}, "status": {"conditions": [{"type": "Admitted", "status": "True", "lastTransitionTime": "2026-11-28T11:50:00Z"}]}}`, 0, port.TaskEnded, port.Lost, "has no pod"},
	} {
		t.Run(name, func(t *testing.T) {
			w := read[Workload](t, c.load)
			f := Facts{Unit: read[Unit](t, held), Queue: "q", Load: &w, Ahead: c.ahead, Now: noon, Patience: Patience{Room: 5 * time.Minute, Start: 5 * time.Minute}}
			if s := f.Task(); s.Phase != c.phase || s.Cause != c.cause || !strings.Contains(s.Reason, c.words) {
				t.Errorf("%+v, want %s, %s and %q", s, c.phase, c.cause, c.words)
			}
		})
	}
}

// TestWhatAQueueLetGoIsGivenTimeToBegin: it was made hours ago, and let go a moment ago; what
// says so comes in any order.
func TestWhatAQueueLetGoIsGivenTimeToBegin(t *testing.T) {
	const old, now, long = "2026-11-28T06:00:00Z", "2026-11-28T11:59:59Z", "2026-11-28T11:50:00Z"
	unit := func(status string) string {
		return `{"metadata": {"name": "t", "creationTimestamp": "` + old + `", "annotations": {"vishwa.dev/begun": "true"}}, "spec": {"completions": 1}, "status": {` + status + `}}`
	}
	suspended := func(is, since string) string {
		return `"conditions": [{"type": "Suspended", "status": "` + is + `", "lastTransitionTime": "` + since + `"}]`
	}
	admitted := func(since string) string {
		return `{"spec": {"queueName": "q"}, "status": {"conditions": [{"type": "Admitted", "status": "True", "lastTransitionTime": "` + since + `"}]}}`
	}
	for name, c := range map[string]struct {
		unit, load string
		ended      bool
	}{
		"admitted a moment ago":                     {unit(suspended("True", old)), admitted(now), false},
		"the queue's word has not come":             {unit(suspended("True", old)), `{"spec": {"queueName": "q"}}`, false},
		"nothing of the queue has come":             {unit(suspended("True", old)), "", false},
		"resumed a moment ago":                      {unit(suspended("False", now)), admitted(long), false},
		"begun a moment ago":                        {unit(`"startTime": "` + now + `"`), "", false},
		"admitted long ago, and nobody makes a pod": {unit(suspended("True", old)), admitted(long), true},
		"begun long ago, and nobody makes a pod":    {unit(`"startTime": "` + long + `"`), admitted(long), true},
	} {
		f := Facts{Unit: read[Unit](t, c.unit), Queue: "q", Now: noon, Patience: Patience{Start: 5 * time.Minute}}
		if c.load != "" {
			w := read[Workload](t, c.load)
			f.Load = &w
		}
		if s := f.Task(); (s.Phase == port.TaskEnded) != c.ended {
			t.Errorf("%s: %+v", name, s)
		}
	}
}
