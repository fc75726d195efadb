// What this machine gives: each rung is tried with a real command behind it, and held
// against the five guarantees. Nothing is told from versions or settings alone.

package wall

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Rung is what one level gives on this machine, to this user.
type Rung struct {
	Level  Level     `json:"level"`
	Report *Report   `json:"report,omitempty"` // of the command that was begun; nil: none could be
	Reason string    `json:"reason,omitempty"` // why none could be
	Hint   string    `json:"hint,omitempty"`   // what to do about it, with the kernel's switch
	Gives  []Promise `json:"gives"`
}

// Promise is one guarantee of a rung.
type Promise struct {
	Guarantee Guarantee `json:"guarantee"`
	Held      bool      `json:"held"`
	Reason    string    `json:"reason,omitempty"` // why it is not
	Hint      string    `json:"hint,omitempty"`
}

// LandlockVersion is that of the running kernel's interface; 0 is none.
func LandlockVersion() int { return landlockVersion() }

// Works tells whether a command can be begun on the rung.
func (r Rung) Works() bool { return r.Report != nil }

// Whole tells whether the rung gives all five.
func (r Rung) Whole() bool { return r.Works() && len(Lacks(*r.Report)) == 0 }

// Probe begins a command that does nothing on each rung, strongest first, as the policy
// asks for it and without network, and tells what stood around it. The level of the
// policy does not count: see Stand for that.
func Probe(p Policy) []Rung {
	rungs := []Rung{{Level: Namespaces}, {Level: Landlock}}
	for i := range rungs {
		report, err := try(p, rungs[i].Level)
		rungs[i].fill(report, err, os.DirFS("/"))
	}
	return rungs
}

// Stand is the rung that commands stand on under the policy: the strongest that it asks
// for and the machine gives. There may be none.
func (p Policy) Stand(rungs []Rung) (Rung, bool) {
	for _, r := range rungs {
		if r.Works() && p.Level != None && (p.Level != Landlock || r.Level != Namespaces) {
			return r, true
		}
	}
	return Rung{}, false
}

// try begins the program true at one level and no other, and waits for its end.
func try(p Policy, level Level) (*Report, error) {
	program, err := exec.LookPath("true")
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Missing, "there is no program true to try it with"), "put one on PATH")
	}
	dir, err := os.MkdirTemp("", "vishwa-probe-")
	if err != nil {
		return nil, fault.New(fault.Internal, "make a temporary folder: %w", err)
	}
	defer os.RemoveAll(dir)
	work, tmp := filepath.Join(dir, "work"), filepath.Join(dir, "tmp")
	if err := errors.Join(os.Mkdir(work, 0o700), os.Mkdir(tmp, 0o700)); err != nil {
		return nil, fault.New(fault.Internal, "make a temporary folder: %w", err)
	}
	p.Level, p.Strict = level, false
	spec := p.Spec()
	spec.Least, spec.Write, spec.Tmp = level, []string{work}, tmp
	spec.Read = append(spec.Read, Programs("", program, spec.Hidden)...)
	cmd := &exec.Cmd{Path: program, Args: []string{"true"}, Dir: work, Env: []string{"PATH=/usr/bin:/bin"}}
	type tried struct {
		report *Report
		err    error
	}
	answer := make(chan tried, 1)
	fault.Go(func() {
		runtime.LockOSThread() // the command ends with the thread that began it
		defer runtime.UnlockOSThread()
		in, err := Start(cmd, *spec)
		if err != nil {
			answer <- tried{nil, err}
			return
		}
		end := in.Wait()
		if err = in.Close(); err == nil && !end.Success() {
			err = fault.New(fault.Internal, "the program true did not end well: %s", end)
		}
		answer <- tried{&in.Report, err}
	}, func(err error) { answer <- tried{nil, err} })
	a := <-answer
	if a.err != nil {
		return nil, a.err
	}
	return a.report, nil
}

// fill says of each guarantee whether the rung holds it, and why not. root is the
// machine's file system, for the kernel's switches.
func (r *Rung) fill(report *Report, err error, root fs.FS) {
	r.Report = report
	var missing []Guarantee
	if report == nil {
		r.Reason, r.Hint = plainly(err, r.Level), strings.TrimSuffix(fault.HintOf(err), seeDoctor)
		if way := switches(r.Level, root); way != "" {
			r.Hint = way
		}
		missing = Guarantees
	} else {
		missing = Lacks(*report)
	}
	for _, g := range Guarantees {
		promise := Promise{Guarantee: g, Held: true}
		for _, m := range missing {
			if m == g {
				promise.Held, promise.Reason, promise.Hint = false, r.Reason, r.Hint
			}
		}
		if report != nil && !promise.Held {
			promise.Reason, promise.Hint = r.short(g)
		}
		r.Gives = append(r.Gives, promise)
	}
}

// short says why a rung that works does not hold one guarantee.
func (r *Rung) short(g Guarantee) (reason, way string) {
	if g == Signals {
		return fmt.Sprintf("this kernel's Landlock is version %d, and signals are kept in from version %d on", r.Report.Landlock, scopedSignals),
			"use Linux 6.12 or newer; or the level namespaces"
	}
	return "it does not hold here", strings.TrimSuffix(hintFor(Namespaces), seeDoctor)
}

// seeDoctor ends the way out of an error; the doctor, who uses this, needs not send anybody to itself.
const seeDoctor = "; vishwa doctor tells what this machine allows"

// plainly is the error of a rung without what every such error begins with.
func plainly(err error, level Level) string {
	text := err.Error()
	for _, prefix := range []string{ErrUnavailable.Error() + ": ", fmt.Sprintf("isolate command (%s): ", level), "isolate command: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	return text
}

// closed are the kernel's switches that forbid namespaces, and the value that does.
// https://docs.kernel.org/admin-guide/sysctl/user.html;
// https://discourse.ubuntu.com/t/understanding-apparmor-user-namespace-restriction
var closed = []struct{ file, value, set string }{
	{"proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1", "kernel.apparmor_restrict_unprivileged_userns=0"},
	{"proc/sys/kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=1"},
	{"proc/sys/user/max_user_namespaces", "0", "user.max_user_namespaces=1024"},
	{"proc/sys/user/max_mnt_namespaces", "0", "user.max_mnt_namespaces=1024"},
	{"proc/sys/user/max_pid_namespaces", "0", "user.max_pid_namespaces=1024"},
	{"proc/sys/user/max_net_namespaces", "0", "user.max_net_namespaces=1024"},
	{"proc/sys/user/max_ipc_namespaces", "0", "user.max_ipc_namespaces=1024"},
	{"proc/sys/user/max_uts_namespaces", "0", "user.max_uts_namespaces=1024"},
}

// switches names those of this kernel that stand against a rung; "" where none does, so
// that a container, or a kernel without it, is the reason.
func switches(level Level, root fs.FS) string {
	if level != Namespaces {
		return ""
	}
	var sets []string
	for _, c := range closed {
		if raw, err := fs.ReadFile(root, c.file); err == nil && strings.TrimSpace(string(raw)) == c.value {
			sets = append(sets, "sysctl "+c.set)
		}
	}
	if len(sets) == 0 {
		return ""
	}
	return "set, as root: " + strings.Join(sets, " and ")
}

// Groups says which control groups this user can use, and else what to do about it.
func Groups(rungs []Rung) (usable, way string) {
	for _, r := range rungs {
		if r.Works() && strings.HasPrefix(r.Report.Limits, "cgroup") {
			return r.Report.Limits, ""
		}
	}
	if _, err := os.Stat(cgroupTree + "/cgroup.controllers"); err == nil {
		return "", "let this user make control groups below its own: systemd does with Delegate=yes and DelegateSubgroup= in the unit"
	}
	if _, err := os.Stat(cgroupTree + "/memory"); err == nil {
		return "", "let this user make control groups in the trees memory, pids and cpu of " + cgroupTree
	}
	return "", "mount control groups at " + cgroupTree
}

const cgroupTree = "/sys/fs/cgroup"
