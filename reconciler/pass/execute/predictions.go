// What a deployment's log keeps: what is declared, and which columns are personal.

package execute

import (
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// logged is what a release logs; nil is nothing.
func logged(j *job, spec schemas.Logged) *port.PredictionLog {
	l := spec.Logs()
	if l == nil {
		return nil
	}
	return &port.PredictionLog{PredictionLog: *l, Personal: j.node.Recipe.Personal}
}
