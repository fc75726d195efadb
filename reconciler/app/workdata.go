// The data of the user's own work tree, as its passes ask for it.

package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/vishwaops/vishwa/reconciler/data"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// askTime is how long a remote is asked whether it has data: it is a courtesy, and no
// pass waits for it.
const askTime = 5 * time.Second

// workData is the checkout's DVC repository. It is opened when it is asked: most have none.
type workData struct {
	dir     string
	offline bool
	env     port.Env
}

var _ pass.WorkData = workData{}

// workData is nil where the repository has no work tree, or is not the user's own.
func (h *Repository) workData(o Options) pass.WorkData {
	if h.checkout() == "" || o.Isolation != nil {
		return nil
	}
	return workData{h.checkout(), o.Offline, o.Env}
}

// open is the workspace; nil where the checkout is not the root of one.
func (d workData) open() (*data.Workspace, error) {
	w, err := data.Open(d.dir, data.Options{Env: d.env})
	if fault.Of(err) == fault.Missing && err != nil || err == nil && w.Root() != d.dir {
		return nil, nil
	}
	return w, err
}

// Changed implements pass.WorkData.
func (d workData) Changed(ctx context.Context, points []port.DataPointer) (map[string]port.DataChange, error) {
	w, err := d.open()
	if w == nil || err != nil {
		return nil, err
	}
	return w.Changed(ctx, points)
}

// Unpushed implements pass.WorkData.
func (d workData) Unpushed(ctx context.Context, points []port.DataPointer) map[string]string {
	w, err := d.open()
	if w == nil || err != nil || d.offline {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	lack, err := w.Unpushed(ctx, points)
	if err != nil && d.env.Log != nil {
		d.env.Log.Log(ctx, slog.LevelDebug, "a DVC remote does not say what it has", "error", err)
	}
	return lack
}
