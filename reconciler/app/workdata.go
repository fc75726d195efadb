// The data of the user's own work tree, as its passes ask for it.

package app

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/vishwaops/vishwa/reconciler/data"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
	"github.com/vishwaops/vishwa/reconciler/format/quality"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// askTime is how long a remote is asked whether it has data: it is a courtesy, and no
// pass waits for it.
const askTime = 5 * time.Second

// workData is the checkout's DVC repository. It is opened when it is asked: most have none.
type workData struct {
	dir        string
	offline    bool
	env        port.Env
	repository *Repository
}

var _ pass.WorkData = workData{}

// workData is nil where the repository has no work tree, or is not the user's own.
func (h *Repository) workData(o Options) pass.WorkData {
	if h.checkout() == "" || o.Isolation != nil {
		return nil
	}
	return workData{h.checkout(), o.Offline, o.Env, h}
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
	may, err := d.reviewed(ctx, w)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	lack, err := w.Unpushed(ctx, points, may)
	if err != nil && d.env.Log != nil {
		d.env.Log.Log(ctx, slog.LevelDebug, "a DVC remote does not say what it has", "error", err)
	}
	return lack
}

// reviewed tells which remotes may be asked by the way. A branch that is looked at may be
// anybody's, and a plan of it must not have this machine's credentials go where it says: so
// .dvc/config has to name the remote as it does on the branch that the Git remote calls its
// own. What the user's own files name, and a clone without a remote, is the user's.
func (d workData) reviewed(ctx context.Context, w *data.Workspace) (func(remote string) bool, error) {
	sha, one, err := d.repository.Repo.Published(d.repository.GitLedger.Keeping())
	if err != nil || !one {
		return func(string) bool { return true }, err
	}
	if sha == "" {
		return func(string) bool { return false }, nil
	}
	tree, err := d.repository.Repo.Open(ctx, sha)
	if err != nil {
		return nil, err
	}
	there, err := sharedConfig(tree)
	if err != nil {
		return nil, err
	}
	here, err := sharedConfig(os.DirFS(d.dir))
	if err != nil {
		return nil, err
	}
	return func(remote string) bool {
		chain, err := w.Config().Chain(remote) // also those that it is below: it goes where they say
		return err == nil && !slices.ContainsFunc(chain, func(r dvc.RemoteConfig) bool {
			return !maps.Equal(here.Keys(dvc.RemoteSection(r.Name)), there.Keys(dvc.RemoteSection(r.Name)))
		})
	}, nil
}

// sharedConfig is the DVC configuration that Git keeps; an empty one where there is none.
func sharedConfig(tree fs.FS) (*dvc.Config, error) {
	b, err := fs.ReadFile(tree, ".dvc/config")
	if errors.Is(err, fs.ErrNotExist) {
		return &dvc.Config{}, nil
	}
	if err != nil {
		return nil, err
	}
	return dvc.ParseConfig(".dvc/config", b)
}

// Near are the files of the data that p names, where the user's own checkout has all of
// them in its cache.
func (h *Repository) Near(ctx context.Context, p port.DataPointer) ([]quality.File, error) {
	d, ok := h.Data.(data.Fetcher)
	if !ok {
		return nil, nil
	}
	return d.Near(ctx, p)
}
