// Exit codes: beside the loop's back-off and fault.WayOut, the only reader of fault kinds.

package main

import (
	"errors"
	"fmt"
	"slices"

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

func isUsage(err error) bool {
	var u usageError
	return errors.As(err, &u)
}
