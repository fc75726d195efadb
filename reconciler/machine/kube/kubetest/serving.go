// The kubelet of pods that go on for ever: containers that run before the others, that are begun again when
// they end, and that are ready once they answer. Each listens at a port of its own of this machine.

package kubetest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/vishwaops/vishwa/reconciler/freeport"
)

// again is how long a container waits that ended, until it is begun again.
const again = 400 * time.Millisecond

// ready is how often a container is asked that answers well; one that does not yet is asked whenever its pod is looked at.
const ready = 100 * time.Millisecond

// lasting is a pod that goes on for ever.
type lasting struct {
	mu      sync.Mutex
	stage   int // the container that runs: those before first
	cmd     *exec.Cmd
	out     bytes.Buffer
	ended   bool
	code    int
	at      time.Time // when it ended
	last    *corev1.ContainerStateTerminated
	count   []int32
	told    time.Time
	port    int
	ready   bool
	changed time.Time
	asked   bool // a probe is under way
	begun   time.Time
	probed  *corev1.Container
}

func (l *lasting) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(p)
}

func (c *Cluster) lastingOf(p *corev1.Pod) *lasting {
	c.nodes.mu.Lock()
	defer c.nodes.mu.Unlock()
	l := c.nodes.lasting[string(p.UID)]
	if l == nil {
		l = &lasting{count: make([]int32, len(p.Spec.InitContainers)+len(p.Spec.Containers))}
		c.nodes.lasting[string(p.UID)] = l
	}
	return l
}

// signal is sent to what runs, if anything does.
func (l *lasting) signal(s syscall.Signal) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cmd != nil && !l.ended {
		_ = syscall.Kill(-l.cmd.Process.Pid, s)
	}
}

// preStop is how long a container that sleeps before it is stopped goes on to answer what is on its way to it: less than it declares, as
// those who ask are in the same process.
func preStop(k corev1.Container) time.Duration {
	if k.Lifecycle == nil || k.Lifecycle.PreStop == nil || k.Lifecycle.PreStop.Sleep == nil {
		return 0
	}
	return min(time.Duration(k.Lifecycle.PreStop.Sleep.Seconds)*time.Second, 500*time.Millisecond)
}

func (k *kubelet) endLasting() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, l := range k.lasting {
		l.signal(syscall.SIGKILL)
	}
}

// last has one look at such a pod.
func (c *Cluster) lasts(p *corev1.Pod) {
	l := c.lastingOf(p)
	all := slices.Concat(p.Spec.InitContainers, p.Spec.Containers)
	l.mu.Lock()
	running, runs := l.cmd != nil && !l.ended, all[l.stage]
	l.mu.Unlock()
	switch {
	case p.DeletionTimestamp != nil && !running:
		p.Status.Phase = corev1.PodSucceeded
		return
	case p.DeletionTimestamp != nil:
		if l.told.IsZero() {
			l.told = time.Now()
			time.AfterFunc(preStop(runs), func() { l.signal(syscall.SIGTERM) })
		} else if time.Since(l.told) > 2*time.Second {
			l.signal(syscall.SIGKILL)
		}
		return
	}
	if l.due(len(p.Spec.InitContainers)) {
		if why, said := c.beginLasting(p, l, all[l.stage]); why != "" {
			c.tellContainers(p, l, &corev1.ContainerStateWaiting{Reason: why, Message: said})
			return
		}
	}
	if k := all[l.stage]; l.stage == len(all)-1 {
		l.mu.Lock()
		l.probed = &k
		l.mu.Unlock()
		c.probe(l, k)
	}
	c.tellContainers(p, l, nil)
}

// due says whether a container is to be begun, the one at l.stage; the first n run one after another.
func (l *lasting) due(n int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.cmd == nil:
		return true
	case !l.ended || time.Since(l.at) <= again:
		return false
	case l.code == 0 && l.stage < n:
		l.stage++
		l.last = nil
	default:
		l.count[l.stage]++
	}
	return true
}

// beginLasting begins a container, or says why not.
func (c *Cluster) beginLasting(p *corev1.Pod, l *lasting, k corev1.Container) (why, said string) {
	if !slices.Contains(c.o.Images, k.Image) {
		return "ErrImagePull", fmt.Sprintf("rpc error: code = NotFound desc = failed to pull and unpack image %q: not found", k.Image)
	}
	root := c.Root(p.Name)
	for _, v := range p.Spec.Volumes {
		dir := filepath.Join(root, "volumes", v.Name)
		if v.Image != nil {
			folder, there := c.o.Packages[v.Image.Reference]
			if !there {
				return "ErrImagePull", fmt.Sprintf("rpc error: code = NotFound desc = failed to pull and unpack image %q: not found", v.Image.Reference)
			}
			err := os.MkdirAll(filepath.Dir(dir), 0o700)
			if err == nil {
				err = os.Symlink(folder, dir)
			}
			if err != nil && !errors.Is(err, fs.ErrExist) {
				c.fail(err, "mount an image")
			}
			continue
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			c.fail(err, "make a volume")
		}
		if v.Secret != nil && !c.mount(v.Secret.SecretName, dir) {
			return "ContainerCreating", ""
		}
	}
	words, env, place := c.wordsOf(l, k, root)
	cmd := program(words)
	cmd.Env, cmd.Dir = env, root
	if k.WorkingDir != "" {
		cmd.Dir = place(k.WorkingDir)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stdout, cmd.Stderr = l, l
	l.mu.Lock()
	l.out.Reset()
	l.cmd, l.ended, l.ready, l.changed = cmd, false, false, time.Now()
	l.mu.Unlock()
	if err := cmd.Start(); err != nil {
		l.mu.Lock()
		l.ended, l.code, l.at = true, 128, time.Now()
		l.last = &corev1.ContainerStateTerminated{ExitCode: 128, Reason: "StartError", Message: err.Error()}
		l.mu.Unlock()
		return "", ""
	}
	c.nodes.wg.Add(1)
	go c.awaitLasting(l, cmd, k.TerminationMessagePolicy)
	return "", ""
}

// program is what a container runs. It is called by its whole path: Python looks its libraries up next to what PATH, which is not
// the test's own here, has under the name that it is called by.
func program(words []string) *exec.Cmd {
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Args[0] = cmd.Path
	return cmd
}

// basics is what every container's environment has. A program under the race detector waits a second before it ends, where the
// tests are not told otherwise.
func basics(root string) []string {
	env := []string{"PATH=/usr/local/bin:/usr/bin:/bin", "KUBETEST_ROOT=" + root}
	if detector, told := os.LookupEnv("GORACE"); told {
		env = append(env, "GORACE="+detector)
	}
	return env
}

// wordsOf are the command and the variables of a container, with paths of its mounts as this machine has them.
func (c *Cluster) wordsOf(l *lasting, k corev1.Container, root string) (words, env []string, place func(string) string) {
	env = basics(root)
	place = func(s string) string { // paths of mounts, as this machine has them
		for _, m := range k.VolumeMounts {
			if rest, in := strings.CutPrefix(s, m.MountPath); in && (rest == "" || rest[0] == '/') {
				return filepath.Join(root, "volumes", m.Name, m.SubPath) + rest
			}
		}
		return s
	}
	for _, m := range k.VolumeMounts {
		env = append(env, "MOUNT_"+strings.ToUpper(strings.ReplaceAll(m.Name, "-", "_"))+"="+filepath.Join(root, "volumes", m.Name))
	}
	for _, e := range k.Env {
		value := place(Expanded(e.Value, env))
		if s := e.ValueFrom; s != nil && s.SecretKeyRef != nil {
			data := as[corev1.Secret](c.store.objects["secrets/"+s.SecretKeyRef.Name]).Data
			if _, there := data[s.SecretKeyRef.Key]; !there {
				continue
			}
			value = string(data[s.SecretKeyRef.Key])
		}
		if e.Name == "VISHWA_PORT" {
			port, err := freeport.Find("127.0.0.1")
			if err != nil {
				c.fail(err, "find a port")
			}
			l.mu.Lock()
			l.port = port
			l.mu.Unlock()
			value = fmt.Sprint(port)
		}
		env = append(env, e.Name+"="+value)
	}
	for _, w := range slices.Concat(k.Command, k.Args) {
		words = append(words, place(w))
	}
	if program := c.o.Programs[words[0]]; len(program) > 0 {
		words = slices.Concat(program, words[1:])
	}
	return words, env, place
}

func (c *Cluster) awaitLasting(l *lasting, cmd *exec.Cmd, says corev1.TerminationMessagePolicy) {
	defer c.nodes.wg.Done()
	defer c.nodes.news.Store(true)
	err := cmd.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.code = 0
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		l.code = exit.ExitCode()
		if s := exit.Sys().(syscall.WaitStatus); s.Signaled() {
			l.code = 128 + int(s.Signal())
		}
	}
	l.ended, l.at, l.ready = true, time.Now(), false
	l.last = &corev1.ContainerStateTerminated{ExitCode: int32(l.code), Reason: "Completed"}
	if l.code != 0 {
		l.last.Reason = "Error"
	}
	if l.code != 0 && says == corev1.TerminationMessageFallbackToLogsOnError {
		l.last.Message = strings.TrimSpace(l.out.String())
	}
}

// probe asks a container whether it is ready, beside everything else.
func (c *Cluster) probe(l *lasting, k corev1.Container) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended || l.asked || k.ReadinessProbe == nil || l.ready && time.Since(l.begun) < ready {
		return
	}
	l.asked, l.begun = true, time.Now()
	url := fmt.Sprintf("http://127.0.0.1:%d%s", l.port, k.ReadinessProbe.HTTPGet.Path)
	c.nodes.wg.Add(1)
	go func() {
		defer c.nodes.wg.Done()
		client := http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
		answer, err := client.Get(url)
		if err == nil {
			answer.Body.Close()
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.asked = false
		if ready := err == nil && answer.StatusCode == http.StatusOK && !l.ended; ready != l.ready {
			l.ready, l.changed = ready, time.Now()
			c.nodes.news.Store(true)
		}
	}()
}

// probes asks every container that was asked before.
func (c *Cluster) probes() {
	c.nodes.mu.Lock()
	defer c.nodes.mu.Unlock()
	for _, l := range c.nodes.lasting {
		if l.probed != nil {
			c.probe(l, *l.probed)
		}
	}
}

// tellContainers writes how a pod's containers stand.
func (c *Cluster) tellContainers(p *corev1.Pod, l *lasting, waits *corev1.ContainerStateWaiting) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p.Status.InitContainerStatuses, p.Status.ContainerStatuses = nil, nil
	p.Status.Phase = corev1.PodPending
	before := len(p.Spec.InitContainers)
	if l.stage >= before {
		p.Status.Phase = corev1.PodRunning
	}
	for i, k := range slices.Concat(p.Spec.InitContainers, p.Spec.Containers) {
		s := corev1.ContainerStatus{Name: k.Name, Image: k.Image, RestartCount: l.count[i]}
		switch {
		case i < l.stage:
			s.State.Terminated = &corev1.ContainerStateTerminated{Reason: "Completed"}
		case i > l.stage:
			s.State.Waiting = &corev1.ContainerStateWaiting{Reason: "PodInitializing"}
		case waits != nil:
			s.State.Waiting = waits
		case l.ended && l.count[i] > 0:
			s.State.Waiting = &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: "back-off restarting failed container"}
		case l.ended:
			s.State.Terminated = l.last
		default:
			s.State.Running, s.Ready = &corev1.ContainerStateRunning{}, l.ready
		}
		if i == l.stage && l.count[i] > 0 {
			s.LastTerminationState.Terminated = l.last
		}
		if i < before {
			p.Status.InitContainerStatuses = append(p.Status.InitContainerStatuses, s)
		} else {
			p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, s)
		}
	}
	ready := corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionFalse, LastTransitionTime: now()}
	ready.LastTransitionTime.Time = l.changed.UTC().Truncate(time.Second)
	if l.ready {
		ready.Status = corev1.ConditionTrue
	}
	p.Status.Conditions = append(slices.DeleteFunc(p.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == corev1.PodReady }), ready)
}
