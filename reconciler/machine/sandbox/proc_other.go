//go:build !linux

// Where there is no /proc, a group is its leader's process group: a daemon that
// leaves it is not found.

package sandbox

import (
	"os"
	"syscall"
)

func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// SetSubreaper does nothing here: only Linux lets a process adopt.
func SetSubreaper() error { return nil }

// SetNonDumpable does nothing here: other users cannot read a process's environment, and
// there is no way to keep the same user from it.
func SetNonDumpable() error { return nil }

// members is the leader's process group as one process with a negative number,
// which is how kill(2) names a group.
func members(_ string, leader int) []process {
	if leader <= 0 || syscall.Kill(-leader, 0) != nil {
		return nil
	}
	return []process{{pid: -leader, parent: os.Getpid(), group: leader, session: leader}}
}

func below() []process { return nil }

func reap() bool { return true }
