// The arguments of a command, with what the run is given in place of its names.

package work

import (
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

func arguments(job port.Job, env []string) ([]string, error) {
	args := make([]string, len(job.Command))
	for i, arg := range job.Command {
		var err error
		args[i], err = schemas.Argument(arg, func(of, name string) (string, error) {
			text, has := "", false
			switch of {
			case schemas.NamedParam:
				text, has = schemas.ParamText(job.Params[name])
			case schemas.NamedInput:
				text = sandbox.Variable(env, "VISHWA_INPUT_"+sandbox.VarName(name))
				_, has = job.Inputs[name]
			default:
				text = sandbox.Variable(env, "VISHWA_OUTPUT_"+sandbox.VarName(name))
				_, has = job.Outputs[name]
			}
			if !has {
				return "", fault.WithHint(fault.New(fault.Invalid, "its argument %q names something of %s that the run is not given", arg, of), "declare it, or correct the name")
			}
			return text, nil
		})
		if err != nil {
			return nil, err
		}
	}
	return args, nil
}
