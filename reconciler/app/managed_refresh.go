// Refreshing on schedule: the sources of a tracked branch's datasets are looked at when
// their time has come, and what has moved is proposed.

package app

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/controller"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
	"github.com/vishwaops/vishwa/templates"
)

// Refreshing says how a site looks at sources.
type Refreshing struct {
	Off   bool     // it does not
	Allow []string // private hosts and networks that may be read over HTTP
	// Consider has a pull request that was opened be looked at right away: nobody is
	// told of one that a job of GitHub Actions opens.
	Consider bool
}

// watched is what is looked at on schedule.
type watched struct {
	schedule string
	source   schemas.DataSource // of a dataset
}

// refreshing lists the datasets that are looked at on schedule; the images of all declarations are the project's.
func refreshing(in *pass.Intent) map[schemas.Ref]watched {
	out := map[schemas.Ref]watched{}
	if in.Project != nil && in.Project.Images.Schedule != "" {
		out[schemas.ProjectRef] = watched{schedule: in.Project.Images.Schedule}
	}
	if in.Project != nil {
		if times := in.Project.Trackers.MLflow.Looks(); times != "" {
			out[mlflowRef] = watched{schedule: times}
		}
	}
	for _, d := range in.Decls {
		if spec, ok := d.Spec.(schemas.Data); ok {
			if src := spec.Data().Source; src.Mutable() && src.Refresh != nil && src.Refresh.Schedule != "" {
				out[d.Ref()] = watched{src.Refresh.Schedule, src}
			}
		}
	}
	return out
}

// mlflowRef is MLflow among what is looked at on schedule: the pass that it brings about shows trackers what landed, and sees what was moved.
var mlflowRef = schemas.Ref{Kind: schemas.ProjectRef.Kind, Name: "mlflow"}

// due are the datasets of a branch whose time has come since they were looked at last;
// what this process has not looked at yet is due.
func (s *ManagedRepository) due(branch string) map[schemas.Ref]bool {
	if s.o.Refresh.Off {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now, out := s.o.Env.Now(), map[schemas.Ref]bool{}
	for ref, of := range s.sources[branch] {
		if controller.Due(of.schedule, s.looked[branch][ref], now) {
			out[ref] = true
		}
	}
	return out
}

// Notice has sources that hints are about looked at with the next pass: those of a bucket by its name
// and key, all others by a hint that names none.
func (s *ManagedRepository) Notice(hints []controller.Hint) (branches []string) {
	if s.o.Refresh.Off {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for branch, all := range s.sources {
		found := false
		for ref, of := range all {
			if ref != schemas.ProjectRef && slices.ContainsFunc(hints, func(h controller.Hint) bool { return hinted(of.source, h) }) {
				delete(s.looked[branch], ref)
				found = true
			}
		}
		if found {
			branches = append(branches, branch)
		}
	}
	slices.Sort(branches)
	return branches
}

// hinted tells whether a hint is about a source.
func hinted(src schemas.DataSource, h controller.Hint) bool {
	if h == (controller.Hint{}) {
		return true
	}
	if src.S3 == nil {
		return false
	}
	bucket, prefix, _ := strings.Cut(strings.TrimPrefix(src.S3.URL, "s3://"), "/")
	return bucket == h.Bucket && strings.HasPrefix(h.Key, prefix)
}

// refresh looks at what is due, and tells whether the branch itself was moved, and what
// there is to say of it. Data that cannot be taken in is told, and keeps nothing else.
func (s *ManagedRepository) refresh(ctx context.Context, branch string) (moved bool, notes []string, err error) {
	due := s.due(branch)
	if len(due) == 0 {
		return false, nil, nil
	}
	h, err := Open(ctx, s.opening(branch))
	if err != nil {
		return false, nil, err
	}
	defer h.Close()
	head, err := h.Repo.Head(ctx)
	if err != nil {
		return false, nil, err
	}
	p := &Proposer{
		Repo: h.Repo, Base: branch, Head: head.SHA, Dir: filepath.Join(h.Paths.State, "refresh", filepath.FromSlash(branch)),
		Sign: h.Keys.SSH, Trust: h.Trust, Tip: s.tip, Move: s.move, Push: true,
	}
	if s.o.Forge != nil {
		p.Ask = func(ctx context.Context, t templates.PinText, from, sha string) (int, string, error) {
			return s.propose()(ctx, port.Proposal{Base: branch, Head: from, SHA: sha, Title: t.Subject(), Body: t.Body()})
		}
	}
	all, failed := p.Propose(ctx, RefreshOptions{
		Env: s.o.Env, Store: h.Store, Serving: h.Paths.Serving(), Allow: s.o.Refresh.Allow, Due: func(d schemas.Declaration) bool { return due[d.Ref()] },
		Tell: func(line string) { s.o.Env.Log.InfoContext(ctx, line) },
	})
	for _, r := range all {
		if note := said(r); note != "" {
			notes = append(notes, note)
		}
		if r.Proposed != nil {
			s.o.Env.Log.InfoContext(ctx, "proposed", "dataset", r.Ref.String(), "branch", r.Proposed.Branch, "revision", r.Proposed.SHA, "pull", r.Proposed.Pull)
			moved = moved || r.Proposed.Branch == branch
		}
	}
	if due[schemas.ProjectRef] {
		images, err := p.ProposeImages(ctx, ImageRefresh{Env: s.o.Env, Ask: s.propose()})
		if err != nil {
			failed = append(failed, err)
		}
		if r := images.Proposed; r != nil {
			notes = append(notes, saidOfImages(images))
			s.o.Env.Log.InfoContext(ctx, "proposed", "images", len(images.Images), "branch", r.Branch, "revision", r.SHA, "pull", r.Pull)
			all = append(all, Refreshed{Ref: schemas.ProjectRef, Proposed: r})
		}
	}
	s.note(branch, due, all, failed)
	for _, r := range all {
		if s.o.Refresh.Consider && r.Proposed != nil && r.Proposed.Pull > 0 {
			if _, err := s.ReconcilePull(ctx, r.Proposed.Pull); err != nil {
				failed = append(failed, err)
			}
		}
	}
	return moved, notes, worst(failed)
}

// propose opens pull requests, or finds them; nil: there is no forge. One that people closed has no number.
func (s *ManagedRepository) propose() func(ctx context.Context, p port.Proposal) (int, string, error) {
	if s.o.Forge == nil {
		return nil
	}
	return func(ctx context.Context, p port.Proposal) (int, string, error) {
		pull, err := s.office.Forge.Propose(ctx, p)
		if pull.Closed { // people said no, and nobody is asked again
			return 0, pull.URL, err
		}
		return pull.Number, pull.URL, err
	}
}

// said is what people are told of a source that moved.
func said(r Refreshed) string {
	switch {
	case r.Waits != "":
		return fmt.Sprintf("The source of %s has moved, and is left for now: %s.", r.Ref, r.Waits)
	case r.Proposed == nil:
		return ""
	case r.Proposed.Pull > 0:
		return fmt.Sprintf("The source of %s has moved: its new pin is proposed as pull request %d.", r.Ref, r.Proposed.Pull)
	case r.Proposed.URL != "":
		return fmt.Sprintf("The source of %s has moved, and the pull request with its new pin was closed: nobody is asked again until it moves.", r.Ref)
	}
	return fmt.Sprintf("The source of %s has moved: its new pin is %.7s on %s.", r.Ref, r.Proposed.SHA, r.Proposed.Branch)
}

// note remembers when the sources were looked at. What waits to settle, and what may
// pass, is looked at again with the next pass.
func (s *ManagedRepository) note(branch string, due map[schemas.Ref]bool, all []Refreshed, failed []error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.looked[branch]
	if seen == nil {
		seen = map[schemas.Ref]time.Time{}
		s.looked[branch] = seen
	}
	for _, err := range failed {
		if k := fault.Of(err); k == fault.Transient || k == fault.Conflict || k == fault.Cancelled {
			return
		}
	}
	for ref := range due {
		seen[ref] = s.o.Env.Now()
	}
	for _, r := range all {
		if r.Waits != "" {
			delete(seen, r.Ref)
		}
	}
}

// worst joins what failed; what may pass comes first, so that it is tried again.
func worst(failed []error) error {
	if len(failed) == 0 {
		return nil
	}
	first := failed[0]
	for _, err := range failed {
		if fault.Of(err) == fault.Transient {
			first = err
		}
	}
	rest := failed[:0:0]
	for _, err := range failed {
		if err != first {
			rest = append(rest, err)
		}
	}
	if len(rest) == 0 {
		return first
	}
	return fault.WithHint(fault.New(fault.Of(first), "%w", errors.Join(append([]error{first}, rest...)...)), "%s", fault.HintOf(first))
}

// tip is what a branch of the remote is at, fetched.
func (s *ManagedRepository) tip(ctx context.Context, branch string) (string, error) {
	s.asked("ls-remote")
	refs, err := s.mirror.Refs(ctx)
	if err != nil {
		return "", err
	}
	ref := "refs/heads/" + branch
	if refs[ref] == "" {
		return "", nil
	}
	s.asked("fetch")
	return refs[ref], s.mirror.Fetch(ctx, ref)
}

func (s *ManagedRepository) move(ctx context.Context, branch, was, sha string) error {
	s.asked("push")
	return s.mirror.Push(ctx, sha, "refs/heads/"+branch, was)
}
