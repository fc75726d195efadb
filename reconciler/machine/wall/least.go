// A least level: what is asked for in a project, and the owner of the machine, or the
// machine itself, does not give.

package wall

import (
	"errors"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Under is the wall of a command that may not begin at a weaker level than least. It
// refuses where the policy asks for no wall.
func (p Policy) Under(least Level) (*Spec, error) {
	s := p.Spec()
	if least == "" || least == None {
		return s, nil
	}
	if s == nil {
		return nil, tooWeak(None, least)
	}
	s.Least = least
	return s, nil
}

// tooWeak is the error where the owner's level is weaker than the least that is asked for.
func tooWeak(level, least Level) error {
	return fault.WithHint(fault.New(fault.Denied, "isolate command: the level of isolation %s is asked for, and the settings of this machine allow %s at most", least, level),
		"raise %s, or spec.isolation.level in the controller's file; or lower spec.environments.<name>.isolation in vishwa.yaml", LevelVariable)
}

// inOneLine joins why each level was refused for a message of one line.
func inOneLine(refusals []error) error {
	texts := make([]string, len(refusals))
	for i, err := range refusals {
		texts[i] = err.Error()
	}
	return errors.New(strings.Join(texts, "; "))
}
