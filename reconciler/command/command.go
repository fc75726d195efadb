// Package command reads what people tell Vishwa in comments, and the hidden markers
// by which Vishwa finds its own. It is pure.
package command

import "github.com/vishwaops/vishwa/schemas"

// Verb is what a comment asks for.
type Verb string

const (
	Plan    Verb = "plan"    // look again
	Train   Verb = "train"   // run what the pull request changes
	Apply   Verb = "apply"   // carry out the tracked branch again, after a merge
	Approve Verb = "approve" // count as the writer's approval of the plan that is shown
	Retry   Verb = "retry"   // let a key that failed be tried again
	Cancel  Verb = "cancel"  // stop the pull request's runs
	Explain Verb = "explain" // say why a step is done, or why not
	Help    Verb = "help"
)

// Command is one line that begins with /vishwa, outside of code.
type Command struct {
	Verb Verb
	Ref  schemas.Ref // of retry and explain; zero: all
	Line int         // in the comment, from 1
	Err  error       // why the line is not understood, of the kind Invalid with its way out; Verb is then empty
}
