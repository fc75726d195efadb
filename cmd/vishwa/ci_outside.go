// vishwa ci for what comes from outside: there are no keys, and no right to write.
// The pull request is planned as ever, by the rules of the tracked branch; nothing of
// it is run, nothing is recorded, and the forge is only listened to.

package main

import (
	"context"
	"path/filepath"
	"strconv"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/mirror"
	"github.com/vishwaops/vishwa/reconciler/app"
	"github.com/vishwaops/vishwa/reconciler/app/review"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/templates"
)

func (a *cli) outside(ctx context.Context, j job, hub hosted) (templates.Report, error) {
	none := templates.Report{Pull: j.event.Pull, Base: j.event.Branch}
	paths, err := app.FindPaths(j.env.Lookup, digest.Of([]byte(j.event.At.URL)))
	if err != nil {
		return none, err
	}
	clone, err := mirror.Open(ctx, mirror.Options{URL: j.event.At.URL, Dir: filepath.Join(paths.Cache, "mirror"), Credentials: hub.Credentials, Env: j.env})
	if err != nil {
		return none, err
	}
	if err := clone.Fetch(ctx, "refs/heads/"+j.event.Branch, "refs/pull/"+strconv.Itoa(j.event.Pull)+"/head"); err != nil {
		return none, err
	}
	office := &review.Service{
		Forge: listening{hub}, Mirror: app.Mirrored{Mirror: clone}, Now: j.env.Now, Log: j.env.Log, Full: j.event.At.Job,
		Open: func(ctx context.Context, e review.Scope) (*review.Session, error) {
			o := app.Options{Dir: clone.Dir(), URL: j.event.At.URL, Branch: e.Branch, Env: j.env, Version: versionText(), Credentials: hub.Credentials, Tips: hub.Tips, Landed: hub.Landed}
			if e.PullRequest != nil {
				o.Isolation = &app.Isolation{PullRequest: e.PullRequest, Allow: j.allow}
			}
			h, err := app.Open(ctx, o)
			if err != nil {
				return nil, err
			}
			return &review.Session{Reconciler: h.Reconciler, Releases: h.Releases, Close: h.Close}, nil
		},
	}
	return office.Pull(ctx, j.event.Pull, "")
}

// listening reads a forge, and says nothing there. Nobody's code is vouched for: who
// may is asked for, and answered with nothing, and commands and reviews are left to a
// job that may act on them.
type listening struct{ port.Forge }

func (listening) Permission(context.Context, string) (port.Permission, error) {
	return port.Nothing, nil
}

func (listening) Reviews(context.Context, int) ([]port.Review, error) { return nil, nil }

func (listening) Pushers(context.Context, port.PullRequest) ([]string, error) {
	return nil, fault.WithHint(fault.New(fault.Missing, "no forge tells who pushed"), "see the pull request itself: it tells who pushed")
}

func (listening) Comments(context.Context, int, time.Time) ([]port.Comment, error) { return nil, nil }

func (listening) OwnComment(context.Context, int, string) (string, error) { return "", nil }

func (listening) UpsertComment(context.Context, int, string, string) (string, error) { return "", nil }

func (listening) React(context.Context, int64, port.Reaction) error { return nil }

func (listening) ReportStatus(context.Context, port.CommitStatus) error { return nil }

func (listening) ReportDeployment(context.Context, port.Deployment) error {
	return fault.WithHint(fault.New(fault.Denied, "nothing is deployed for a pull request from outside"), "merge it: what it declares is deployed after the merge")
}
