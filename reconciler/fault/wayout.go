// What to do about an error that nobody gave a way out: the operating system's word says more than
// the kind does, and the kind is for the rest.

package fault

import (
	"errors"
	"io/fs"
	"strings"
	"syscall"
)

// WayOut is what to do about err: what it was given, else what the operating system's refusal calls
// for, else what its kind does. It is never "".
func WayOut(err error) string {
	if way := HintOf(err); way != "" {
		return way
	}
	if way := OfSystem(err); way != "" {
		return way
	}
	return Of(err).wayOut()
}

// wayOut is what to do about an error of which only the kind is known.
func (k Kind) wayOut() string {
	switch k {
	case Invalid:
		return "correct what the message names, then try again"
	case Missing:
		return "make sure that it is there, under that name, then try again"
	case Denied:
		return "check the credentials, the keys, their password, and trust.yaml"
	case Refused:
		return "vishwa policy list explains the rules"
	case Conflict:
		return "run vishwa plan to see the present state"
	case Held:
		return "run vishwa plan to see what it waits for"
	case Corrupt:
		return "restore it from a backup; vishwa ledger verify and vishwa verify tell what else is damaged"
	case Transient:
		return "try again in some minutes; if it stays, check the network and what the message names"
	case Newer:
		return "upgrade vishwa to the version that wrote it, or a later one"
	case Cancelled:
		return "start it again: it goes on from where it was"
	default:
		return "this should not happen: check the disk and the machine, run again with -v, and report it with the output of vishwa version"
	}
}

// refusals are what the operating system refuses with, and what to do about each.
var refusals = []struct {
	with []error
	way  string
}{
	{[]error{syscall.ENOSPC, syscall.EDQUOT}, "the disk is full: make room where the message says, then try again"},
	{[]error{syscall.EROFS}, "that file system is read-only: mount it for writing, or use another folder"},
	{[]error{syscall.EMFILE, syscall.ENFILE}, "too many files are open: raise the limit (ulimit -n), then try again"},
	{[]error{syscall.EIO}, "the disk cannot be read or written there: see dmesg, and restore the file from a backup"},
	{[]error{syscall.ENOMEM}, "the machine has no memory left: stop what uses it, then try again"},
	{[]error{syscall.ENOTDIR}, "a file is where a folder is needed: move it away, or correct the path that the message names"},
	{[]error{syscall.EISDIR}, "a folder is where a file is needed: move it away, or correct the path that the message names"},
	{[]error{syscall.ELOOP}, "a symbolic link is in the way: replace it with the file or folder itself"},
	{[]error{syscall.ENAMETOOLONG}, "the path is too long for this file system: use a shorter folder or name"},
	{[]error{syscall.ENOEXEC}, "the program is not one for this machine: install the one for its processor, or correct its first line"},
	{[]error{syscall.EADDRINUSE}, "another program uses that address: stop it, or give another port"},
	{[]error{syscall.ECONNREFUSED}, "nothing answers at that address: check the host and the port, and that the service runs"},
	{[]error{syscall.EHOSTUNREACH, syscall.ENETUNREACH}, "that host cannot be reached from here: check its name, the network and the firewall"},
	{[]error{fs.ErrPermission}, "let this user read and write what the message names, or run the command as its owner"},
	{[]error{fs.ErrNotExist}, "check that the path that the message names exists, then try again"},
}

// OfSystem is what to do where the operating system refused; "" where it did not. It says more
// than the kind of the error, which is about keys, say, where a file was only not readable.
func OfSystem(err error) string {
	if err != nil && strings.Contains(err.Error(), "executable file not found in $PATH") { // of os/exec, which is not for a pure package
		return "install the program that the message names, or put its folder on PATH"
	}
	for _, r := range refusals {
		for _, with := range r.with {
			if errors.Is(err, with) {
				return r.way
			}
		}
	}
	return ""
}
