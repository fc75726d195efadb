// A search's command is told what the trials came to, and what it says is recorded: the trials have their parameters from there.

package execute

import (
	"bytes"
	"context"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/made"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// toldTrials is the file by which the run of j, which says trials, is told of those before.
func (a *execution) toldTrials(ctx context.Context, j *job) (port.Artifact, error) {
	raw, waits, err := made.Told(j.node.Ask, a.of)
	if err != nil {
		return port.Artifact{}, err
	}
	if len(waits) > 0 {
		return port.Artifact{}, fault.New(fault.Internal, "%s: still waits for %v", j.Ref, waits)
	}
	d, n, err := a.Store.Put(ctx, bytes.NewReader(raw))
	return port.Artifact{Name: schemas.TrialsFile + ".json", Digest: d, Size: n}, err
}

// mostSaid is more than a round of trials is.
const mostSaid = 16 << 20 // bytes

// asked takes into e what the run of j said. What cannot be taken counts as a failure of the command, which would say the same again.
func (a *execution) asked(ctx context.Context, j *job, e *ledger.Entry) error {
	says := j.node.Ask.Says
	err := error(fault.WithHint(fault.New(fault.Invalid, "what it wrote is no file of at most %d MiB", mostSaid>>20), "have the command write one JSON file of that size at most to its output %s", schemas.TrialsFile))
	var said []map[string]any
	if out := e.Outputs.Named(schemas.TrialsFile); out.Files == nil && out.Size <= mostSaid {
		raw, unread := artifact.ReadAll(ctx, a.Store, out.Digest)
		if unread != nil {
			return unread
		}
		said, err = j.node.Ask.Search.Read(raw, len(says))
	}
	if err != nil {
		err = fault.WithHint(fault.New(fault.Invalid, "%s: %w", j.Ref, err), "%s", fault.HintOf(err))
		return a.failure(ctx, j, ledger.Failure{Cause: string(port.MissingOutput), Message: err.Error(), Log: e.Run.Log}, err)
	}
	e.Asked = map[string]map[string]any{}
	for i, name := range says {
		e.Asked[name] = said[i]
	}
	return nil
}
