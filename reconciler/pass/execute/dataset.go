// A dataset: its data is brought in, and pinned as it is.

package execute

import (
	"context"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

func (a *execution) pin(ctx context.Context, j *job) error {
	if err := a.judge(ctx, j, Material{}); err != nil {
		return err
	}
	made, err := a.Pin(ctx, j.node, func(line string) { a.sendEvent(j.Ref, Output, line) })
	if err != nil {
		return a.failure(ctx, j, ledger.Failure{Cause: fault.Of(err).String(), Message: err.Error()}, err)
	}
	e := a.base(done(j), j)
	e.Outputs = ledger.OutputsOf(made)
	return a.record(ctx, j, e)
}
