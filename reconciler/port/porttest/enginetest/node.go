// A node: a group of processes with a first one of their own, that see one another and end together.

package enginetest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// firstEnv tells this program that it is to be a node's first process.
const firstEnv = "VISHWA_ENGINETEST_FIRST"

// node runs programs in namespaces of processes and mounts of its own. What they mount nobody else sees, and all
// of it is gone when the node ends.
type node struct {
	dir    string // where its programs keep what they write
	groups string // the name of its control groups
	first  *exec.Cmd
	starts chan func()
}

// process is a program that a node runs.
type process struct {
	cmd  *exec.Cmd
	log  string
	over chan struct{} // closed when it has ended
}

// newNode begins a node without programs, for as long as this process lives.
func newNode(name string) (*node, error) {
	if err := sweep("vishwa-" + name + "-"); err != nil {
		return nil, err
	}
	n := &node{groups: fmt.Sprintf("vishwa-%s-%d", name, os.Getpid()), starts: make(chan func())}
	var err error
	if n.dir, err = os.MkdirTemp("", n.groups+"-"); err != nil {
		return nil, err
	}
	begun := make(chan error)
	go n.serve(begun)
	if err := errors.Join(<-begun, n.makeGroups()); err != nil {
		return nil, errors.Join(err, n.end())
	}
	return n, nil
}

// serve begins the node's programs, from one thread that is inside. The thread stays until the process ends,
// as the kernel ends the first process when the thread that began it ends.
func (n *node) serve(begun chan<- error) {
	runtime.LockOSThread()
	begun <- n.begin()
	for start := range n.starts {
		start()
	}
}

// start begins a program in the node; what it says goes to a file of its name.
func (n *node) start(name, program string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(program, args...), log: filepath.Join(n.dir, name+".log"), over: make(chan struct{})}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = n.dir, log, log
	begun := make(chan error)
	n.starts <- func() { begun <- p.cmd.Start() }
	if err := <-begun; err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait() // how it ended stands in its log
		close(p.over)
	}()
	return p, nil
}

// await waits until a program answers, for as long as it runs.
func (p *process) await(limit time.Duration, answers func() error) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	late := time.After(limit)
	for {
		err := answers()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
			continue
		case <-p.over:
			err = fmt.Errorf("%s has ended: %w", filepath.Base(p.cmd.Path), err)
		case <-late:
			err = fmt.Errorf("%s does not answer within %s: %w", filepath.Base(p.cmd.Path), limit, err)
		}
		return fmt.Errorf("%w; its last words:\n%s", err, p.tail())
	}
}

// tail is the end of what a program said.
func (p *process) tail() string {
	raw, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	return strings.Join(lines[max(0, len(lines)-12):], "\n")
}

// kill ends a program at once.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.over
}

// end ends everything that runs in the node, and removes what it wrote. The kernel does the first: nothing outlives the first process.
func (n *node) end() error {
	if n.first != nil && n.first.Process != nil {
		_ = n.first.Process.Kill()
		_ = n.first.Wait()
	}
	return errors.Join(n.removeGroups(), os.RemoveAll(n.dir))
}

// sweep removes what a test left that was killed: folders and control groups, named by a process that is no more.
func sweep(prefix string) error {
	dirs, err := filepath.Glob(filepath.Join(os.TempDir(), prefix+"*"))
	groups, no := filepath.Glob(filepath.Join(hierarchies, "*", prefix+"*"))
	one, none := filepath.Glob(filepath.Join(hierarchies, prefix+"*"))
	err = errors.Join(err, no, none)
	for _, left := range slices.Concat(dirs, groups, one) {
		of, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(left), prefix), "-")
		if _, alive := os.Stat("/proc/" + of); alive == nil {
			continue
		}
		if slices.Contains(dirs, left) {
			err = errors.Join(err, os.RemoveAll(left))
		} else {
			err = errors.Join(err, (&node{groups: filepath.Base(left)}).removeGroups())
		}
	}
	return err
}
