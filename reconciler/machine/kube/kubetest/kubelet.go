// The kubelet: pods are processes of this machine, in a group of their own.

package kubetest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
)

// kubelet knows the processes.
type kubelet struct {
	mu      sync.Mutex
	procs   map[string]*process // by uid of the pod
	lasting map[string]*lasting // by uid of the pod
	news    atomic.Bool         // a container ended, or answers otherwise than before
	wg      sync.WaitGroup
}

// process is a pod's container.
type process struct {
	job    string // uid of the pod's Job
	cmd    *exec.Cmd
	begun  time.Time
	told   time.Time // to end
	killed string    // why it was, by the kubelet
	done   bool
	code   int
}

// dollar is what Kubernetes looks for in a variable's value: $$ is one, and $(NAME) a variable before it.
var dollar = regexp.MustCompile(`\$\$|\$\([^)]*\)`)

// Expanded is value as Kubernetes passes it on to a container of these variables.
func Expanded(value string, env []string) string {
	return dollar.ReplaceAllStringFunc(value, func(found string) string {
		if found == "$$" {
			return "$"
		}
		for _, e := range slices.Backward(env) {
			if rest, is := strings.CutPrefix(e, found[2:len(found)-1]+"="); is {
				return rest
			}
		}
		return found
	})
}

func (k *kubelet) init(*Cluster) {
	k.procs, k.lasting = map[string]*process{}, map[string]*lasting{}
}

func (k *kubelet) close() {
	k.mu.Lock()
	for _, p := range k.procs {
		if !p.done && p.cmd.Process != nil {
			_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		}
	}
	k.mu.Unlock()
	k.endLasting()
	k.wg.Wait()
}

// Alive counts the processes that were begun for a Job's pods and live, whatever is left of the pods.
func (c *Cluster) Alive(jobUID string) int {
	c.nodes.mu.Lock()
	defer c.nodes.mu.Unlock()
	n := 0
	for _, p := range c.nodes.procs {
		if p.job == jobUID && !p.done {
			n++
		}
	}
	return n
}

func (k *kubelet) of(pod string) *process {
	k.mu.Lock()
	defer k.mu.Unlock()
	if p := k.procs[pod]; p != nil {
		q := *p
		return &q
	}
	return nil
}

// Root is where a pod's mounts lie on this machine.
func (c *Cluster) Root(pod string) string { return filepath.Join(c.dir, pod) }

// runPods has the kubelet look at every pod of its node.
func (c *Cluster) runPods() {
	for _, key := range c.store.keys("pods") {
		p := c.pod(key)
		if p.Spec.NodeName != "" && p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed {
			if p.Spec.RestartPolicy == corev1.RestartPolicyAlways {
				c.lasts(&p)
			} else {
				c.runPod(&p)
			}
			if !equality.Semantic.DeepEqual(p.Status, known[corev1.Pod](c, key).Status) { // of which times are the same in any zone
				c.store.putObject("pods", p)
				p = c.pod(key)
			}
		}
		over := p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
		if p.DeletionTimestamp != nil && over && len(p.Finalizers) == 0 {
			c.store.drop(key)
		}
	}
}

func (c *Cluster) runPod(p *corev1.Pod) {
	pr := c.nodes.of(string(p.UID))
	switch {
	case pr == nil && p.DeletionTimestamp != nil:
		p.Status.Phase = corev1.PodFailed
	case pr == nil:
		c.begin(p)
	case pr.done:
		c.end(p, pr)
	default:
		c.watchOver(p, pr)
	}
}

// state sets how the pod's container stands.
func state(p *corev1.Pod, s corev1.ContainerState) {
	k := p.Spec.Containers[0]
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: k.Name, Image: k.Image, State: s}}
}

func waits(p *corev1.Pod, reason, message string) {
	state(p, corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}})
}

// begin begins a pod's container, or says what it waits for.
func (c *Cluster) begin(p *corev1.Pod) {
	k := p.Spec.Containers[0]
	if !slices.Contains(c.o.Images, k.Image) {
		said := fmt.Sprintf("failed to pull and unpack image %q: failed to resolve reference %q: not found", k.Image, k.Image)
		if s := p.Status.ContainerStatuses; len(s) == 0 {
			waits(p, "ErrImagePull", "rpc error: code = NotFound desc = "+said)
		} else {
			waits(p, "ImagePullBackOff", fmt.Sprintf("Back-off pulling image %q: ErrImagePull: rpc error: code = NotFound desc = %s", k.Image, said))
		}
		return
	}
	root := c.Root(p.Name)
	for _, m := range k.VolumeMounts {
		if err := os.MkdirAll(filepath.Join(root, m.MountPath), 0o700); err != nil {
			c.fail(err, "mount")
		}
		for _, v := range p.Spec.Volumes {
			if v.Name == m.Name && v.Secret != nil && !c.mount(v.Secret.SecretName, filepath.Join(root, m.MountPath)) {
				waits(p, "ContainerCreating", "")
				return
			}
		}
	}
	if err := os.MkdirAll(filepath.Join(root, k.WorkingDir), 0o700); err != nil {
		c.fail(err, "make the working directory")
	}
	word := filepath.Join(root, terminationFile)
	if err := errors.Join(os.MkdirAll(filepath.Dir(word), 0o700), os.WriteFile(word, nil, 0o600)); err != nil {
		c.fail(err, "make the termination file")
	}
	cmd := program(slices.Concat(k.Command, k.Args))
	cmd.Dir = filepath.Join(root, k.WorkingDir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Env = basics(root)
	for _, e := range k.Env {
		if e.ValueFrom != nil && e.ValueFrom.FieldRef != nil {
			e.Value = p.Annotations[indexNote]
		}
		e.Value = Expanded(e.Value, cmd.Env)
		cmd.Env = append(cmd.Env, e.Name+"="+e.Value)
	}
	said, err := os.Create(filepath.Join(root, ownOutput))
	if err != nil {
		c.fail(err, "keep a container's output")
		return
	}
	defer said.Close()
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		p.Status.Phase = corev1.PodFailed
		state(p, corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 128, Reason: "StartError", Message: err.Error()}})
		return
	}
	pr := &process{job: p.Labels[jobUID], cmd: cmd, begun: time.Now()}
	c.nodes.mu.Lock()
	c.nodes.procs[string(p.UID)] = pr
	c.nodes.mu.Unlock()
	c.nodes.wg.Add(1)
	go func() {
		defer c.nodes.wg.Done()
		defer c.nodes.news.Store(true)
		err := cmd.Wait()
		c.nodes.mu.Lock()
		defer c.nodes.mu.Unlock()
		pr.done = true
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
			pr.code = exit.ExitCode()
			if s := exit.Sys().(syscall.WaitStatus); s.Signaled() {
				pr.code = 128 + int(s.Signal())
			}
		}
	}()
	p.Status.Phase = corev1.PodRunning
	at := now()
	p.Status.StartTime = &at
	state(p, corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: at}})
}

// mount writes a Secret's files, and tells whether there is one.
func (c *Cluster) mount(secret, dir string) bool {
	o, there := c.store.objects["secrets/"+secret]
	if !there {
		return false
	}
	for file, text := range as[corev1.Secret](o).Data {
		if err := os.WriteFile(filepath.Join(dir, file), text, 0o440); err != nil && !errors.Is(err, os.ErrPermission) {
			c.fail(err, "mount %s", secret)
		}
	}
	return true
}

// watchOver keeps a running container within its limits, and ends it when its pod goes.
func (c *Cluster) watchOver(p *corev1.Pod, pr *process) {
	pid := pr.cmd.Process.Pid
	why := ""
	if limit, ok := p.Spec.Containers[0].Resources.Limits[corev1.ResourceMemory]; ok && resident(pid) > limit.Value() {
		why = "OOMKilled"
	}
	grace := 30 * time.Second // what an API server fills in
	if s := p.Spec.TerminationGracePeriodSeconds; s != nil {
		grace = time.Duration(*s) * time.Second
	}
	switch {
	case why != "":
		_ = syscall.Kill(-pid, syscall.SIGKILL)
	case p.DeletionTimestamp == nil:
		return
	case pr.told.IsZero():
		_ = syscall.Kill(-pid, syscall.SIGTERM)
	case time.Since(pr.told) > grace:
		_ = syscall.Kill(-pid, syscall.SIGKILL)
	}
	c.nodes.mu.Lock()
	defer c.nodes.mu.Unlock()
	at := c.nodes.procs[string(p.UID)]
	if at.told.IsZero() {
		at.told = time.Now()
	}
	if why != "" {
		at.killed = why
	}
}

// resident is how much memory a process and its children have.
func resident(pid int) int64 {
	total := int64(0)
	for _, p := range append(children(pid), pid) {
		raw, _ := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p))
		if f := strings.Fields(string(raw)); len(f) > 1 {
			n, _ := strconv.ParseInt(f[1], 10, 64)
			total += n * int64(os.Getpagesize())
		}
	}
	return total
}

func children(pid int) []int {
	raw, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	var out []int
	for _, f := range strings.Fields(string(raw)) {
		if n, err := strconv.Atoi(f); err == nil {
			out = append(out, n)
			out = append(out, children(n)...)
		}
	}
	return out
}

// end has a pod tell how its container ended.
func (c *Cluster) end(p *corev1.Pod, pr *process) {
	p.Status.Phase = corev1.PodSucceeded
	reason := "Completed"
	if pr.killed != "" {
		pr.code = 137
	}
	if pr.code != 0 {
		p.Status.Phase, reason = corev1.PodFailed, "Error"
	}
	if pr.killed != "" {
		reason = pr.killed
	}
	state(p, corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: int32(pr.code), Reason: reason, Message: c.word(p, pr.code)}})
}

// Where a container says why it ended, and what it printed, below its root.
const (
	terminationFile = "dev/termination-log"
	ownOutput       = "output"
)

// word is what a kubelet keeps of a container's word: its termination file or, where that is empty,
// its container failed and the policy says so, the end of what it printed, of 80 lines and 2 KiB.
func (c *Cluster) word(p *corev1.Pod, code int) string {
	root := c.Root(p.Name)
	raw, _ := os.ReadFile(filepath.Join(root, terminationFile))
	if len(raw) == 0 && code != 0 && p.Spec.Containers[0].TerminationMessagePolicy == corev1.TerminationMessageFallbackToLogsOnError {
		raw, _ = os.ReadFile(filepath.Join(root, ownOutput))
		raw = raw[max(0, len(raw)-2<<10):]
	}
	return string(raw[:min(len(raw), 4<<10)])
}

// Evict takes a Job's pods away as the owner of their node does.
func (c *Cluster) Evict(job, reason string) {
	c.locked(func() {
		for _, p := range c.podsOf(job) {
			p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: reason})
			c.store.putObject("pods", p)
			c.remove("pods", p.Name)
		}
	})
}

// Kill deletes a Job's pods as somebody does who should not.
func (c *Cluster) Kill(job string) {
	c.locked(func() {
		for _, p := range c.podsOf(job) {
			c.remove("pods", p.Name)
		}
	})
}
