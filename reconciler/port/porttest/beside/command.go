package beside

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// install tells how each program that others may lack comes about.
var install = map[string]string{
	"git": "apt-get install git", "openssl": "apt-get install openssl", "terraform": "see developer.hashicorp.com, or make .tools/bin/tofu",
	"md5sum": "apt-get install coreutils", "cp": "apt-get install coreutils",
}

// Program is the file of a program: of the project's own tools, or of this machine. The benchmark fails where there is none, and
// says how to install it.
func Program(b testing.TB, name string) string {
	b.Helper()
	for _, dir := range append(filepath.SplitList(os.Getenv("VISHWA_TOOLS")), filepath.SplitList(os.Getenv("PATH"))...) {
		if file, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return file
		}
	}
	how, ok := install[name]
	if !ok {
		how = "make .tools/bin/" + name
	}
	b.Fatalf("%s is not installed: %s", name, how)
	return ""
}

// Command is a program that is run, with its arguments.
type Command struct {
	B    testing.TB
	Dir  string
	Env  []string
	Args []string
	Fail bool // it may end otherwise than with 0, as what finds something does
}

// Side is the command as one.
func (c Command) Side(name string) Side {
	return Side{Name: name, Run: func() Cost { _, cost := c.Run(); return cost }}
}

// Run runs it to its end, and returns what it printed and what it took.
func (c Command) Run() (printed string, cost Cost) {
	c.B.Helper()
	cmd := exec.Command(c.Args[0], c.Args[1:]...)
	cmd.Dir, cmd.Env = c.Dir, c.Env
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	began, ended := time.Now(), time.Time{}
	err := cmd.Start()
	if err == nil {
		cost.Peak = follow(cmd.Process.Pid, func() { err, ended = cmd.Wait(), time.Now() })
		cost.Wall, cost.CPU = ended.Sub(began), cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime()
		if use, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok && int64(use.Maxrss)<<10 > largest("self") {
			cost.Peak = int64(use.Maxrss) << 10
		} else if cost.CPU < 10*time.Millisecond {
			cost.Peak = 0 // it ended before it was looked at often enough
		}
	}
	if err != nil && !(c.Fail && cmd.ProcessState != nil && cmd.ProcessState.Exited()) {
		c.B.Fatalf("%s %s: %v\n%s", filepath.Base(c.Args[0]), strings.Join(c.Args[1:], " "), err, out.String())
	}
	return out.String(), cost
}

// Self is what this process takes for work: processor time of all that it does meanwhile, and its largest resident set since the work began, where the
// kernel takes the count anew.
func Self(work func()) Cost {
	spent := func() time.Duration {
		var u syscall.Rusage
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // of oneself, it cannot fail
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0)
	began, before := time.Now(), spent()
	work()
	return Cost{Wall: time.Since(began), CPU: spent() - before, Peak: largest("self")}
}

// follow is the largest resident set of a process, in bytes, that is seen while wait waits for it. What wait4 tells is it only where
// it is more than this process's own: a child's count begins with its parent's memory.
func follow(pid int, wait func()) (peak int64) {
	done := make(chan struct{})
	go func() { wait(); close(done) }()
	for every := time.Millisecond; ; every = min(every+every/8, 20*time.Millisecond) {
		peak = max(peak, largest(strconv.Itoa(pid)))
		select {
		case <-done:
			return peak
		case <-time.After(every):
		}
	}
}

// largest is the largest resident set that a process had, in bytes; 0 where it is gone, and where there is no /proc.
func largest(pid string) int64 {
	status, _ := os.ReadFile("/proc/" + pid + "/status")
	if _, after, ok := strings.Cut(string(status), "VmHWM:"); ok {
		if n, err := strconv.ParseInt(strings.Fields(after)[0], 10, 64); err == nil {
			return n << 10
		}
	}
	return 0
}
