// What Linux tells of processes, by /proc, and the two process attributes that
// keep a run together and Vishwa's secrets apart from it.

package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
}

// SetSubreaper makes this process the parent of every descendant whose own parent
// dies, so that a daemon cannot get away from SweepBelow.
func SetSubreaper() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("adopt orphans: %w", err)
	}
	return nil
}

// SetNonDumpable keeps other processes of the same user from reading this one's
// environment and memory, where passwords and registry tokens are.
func SetNonDumpable() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("conceal process: %w", err)
	}
	return nil
}

// members are the living processes of a group: those that carry its name, those
// in its leader's session or process group, and their descendants.
func members(id string, leader int) []process {
	all, want := processes(), []byte(mark+"="+id)
	chosen := map[int]bool{}
	for _, p := range all {
		if leader > 0 && (p.session == leader || p.group == leader) || carries(p.pid, want) {
			chosen[p.pid] = true
		}
	}
	return withDescendants(all, chosen)
}

func below() []process {
	return withDescendants(processes(), map[int]bool{os.Getpid(): true})
}

func carries(pid int, want []byte) bool {
	env, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return false // gone, or another user's
	}
	for v := range bytes.SplitSeq(env, []byte{0}) {
		if bytes.Equal(v, want) {
			return true
		}
	}
	return false
}

// processes lists what runs; a zombie has ended and is not listed.
func processes() []process {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	var all []process
	for _, name := range names {
		if name[0] < '0' || name[0] > '9' {
			continue
		}
		stat, err := os.ReadFile("/proc/" + name + "/stat")
		if err != nil {
			continue
		}
		if p, ok := parseStat(string(stat)); ok {
			all = append(all, p)
		}
	}
	return all
}

// parseStat reads proc(5)'s stat: pid (comm) state ppid pgrp session ... The
// command's name may hold spaces and parentheses, so the fields count from the last one.
func parseStat(s string) (process, bool) {
	open, end := strings.IndexByte(s, '('), strings.LastIndexByte(s, ')')
	if open < 1 || end < open {
		return process{}, false
	}
	f := strings.Fields(s[end+1:])
	if len(f) < 4 || f[0] == "Z" || f[0] == "X" {
		return process{}, false
	}
	var n [4]int
	for i, field := range []string{strings.TrimSpace(s[:open]), f[1], f[2], f[3]} {
		v, err := strconv.Atoi(field)
		if err != nil {
			return process{}, false
		}
		n[i] = v
	}
	return process{pid: n[0], parent: n[1], group: n[2], session: n[3]}, true
}

// reap collects adopted children that have ended, and tells whether none is left.
func reap() bool {
	for {
		pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
		if errors.Is(err, unix.ECHILD) {
			return true
		}
		if pid <= 0 && !errors.Is(err, unix.EINTR) {
			return false
		}
	}
}
