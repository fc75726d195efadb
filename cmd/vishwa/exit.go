// Exit codes and the way out: beside the loop's back-off, the only reader of
// fault kinds.

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

// The exit codes are a contract with scripts: see docs/guide.md.
const (
	exitError    = 1
	exitUsage    = 2
	exitRefused  = 3
	exitConflict = 4
	exitHeld     = 5

	exitChanges = 2 // of vishwa plan --detailed-exitcode alone, where exitError tells wrong usage

	exitInterrupted = 130 // as shells have it: 128 and SIGINT
)

// exitCode ends the program without a message: all was said.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// usageError is a command line that cannot be understood.
type usageError struct{ err error }

func (u usageError) Error() string { return u.err.Error() }

func usage(cmd *cobra.Command, err error) error {
	if way := fault.HintOf(err); way != "" {
		return fault.WithHint(usageError{err}, "%s", way)
	}
	return fault.WithHint(usageError{err}, "see %s --help", cmd.CommandPath())
}

const detailedFlag = "detailed-exitcode"

// detailed tells whether args ask for the exit codes of --detailed-exitcode: also where
// the command line could not be read to its end.
func detailed(args []string) bool {
	for _, a := range args {
		switch a {
		case "--":
			return false
		case "--" + detailedFlag, "--" + detailedFlag + "=true":
			return true
		}
	}
	return false
}

// holds tells by the exit code what there is to do in p.
func holds(p plan.Plan) error {
	work := p.Work()
	switch {
	case len(work) == 0:
		return nil
	case slices.ContainsFunc(work, func(s plan.Step) bool { return s.Held != "" }):
		return exitCode(exitHeld)
	}
	return exitCode(exitChanges)
}

func codeOf(err error) int {
	if isUsage(err) {
		return exitUsage
	}
	switch fault.Of(err) {
	case fault.Refused:
		return exitRefused
	case fault.Conflict:
		return exitConflict
	case fault.Held:
		return exitHeld
	default:
		return exitError
	}
}

// wayOut is what to do about err; where nobody said, its kind does.
func wayOut(err error) string {
	if way := fault.HintOf(err); way != "" {
		return way
	}
	if way := ofTheSystem(err); way != "" {
		return way
	}
	switch fault.Of(err) {
	case fault.Invalid:
		return "correct the input and run the command again"
	case fault.Missing:
		return "make sure that it is there, and run the command again"
	case fault.Denied:
		return "check the keys, the password and trust.yaml"
	case fault.Refused:
		return "vishwa policy list explains the rules"
	case fault.Conflict:
		return "run vishwa plan to see the present state"
	case fault.Held:
		return "run vishwa plan to see what it waits for"
	case fault.Corrupt:
		return "restore it from a copy; vishwa ledger verify and vishwa verify say what else is hurt"
	case fault.Transient:
		return "try again in a while"
	case fault.Newer:
		return "upgrade vishwa to the version that wrote it, or a later one"
	case fault.Cancelled:
		return "run the command again: it goes on from where it was"
	default:
		return "this should not happen: check the disk and the machine, run again with -v, and report it with the output of vishwa version"
	}
}

// ofTheSystem is what to do where the operating system refused; "" where it did not. It says more
// than the kind of the error, which is about keys, say, where a file was only not readable.
func ofTheSystem(err error) string {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "the disk is full: make room where the message says, and run the command again"
	case errors.Is(err, syscall.EROFS):
		return "that file system is read-only: mount it for writing, or use another folder"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return "too many files are open: raise the limit (ulimit -n), and run the command again"
	case errors.Is(err, fs.ErrPermission):
		return "let this user read and write what the message names, or run the command as its owner"
	}
	return ""
}

func isUsage(err error) bool {
	var u usageError
	return errors.As(err, &u)
}
