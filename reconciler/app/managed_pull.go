// What a site does for pull requests: whose turn it is, what is looked at, and which of
// them are open.

package app

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/app/review"
	"github.com/vishwaops/vishwa/reconciler/controller/turn"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/templates"
)

// Pull looks at a pull request. One that is not for a tracked branch is none of ours.
func (s *ManagedRepository) Pull(ctx context.Context, n int) error {
	_, err := s.reviewPull(ctx, n)
	return err
}

// ReconcilePull is Pull, and says what the comment now says.
func (s *ManagedRepository) ReconcilePull(ctx context.Context, n int) (templates.Report, error) {
	r, err := s.reviewPull(ctx, n)
	return r, reported(err)
}

func (s *ManagedRepository) reviewPull(ctx context.Context, n int) (templates.Report, error) {
	none := templates.Report{Pull: n}
	if s.o.Forge == nil {
		return none, fault.WithHint(fault.New(fault.Invalid, "%s has no forge: there are no pull requests", s.o.Name), "configure one")
	}
	pull, err := s.o.Forge.Pull(ctx, n)
	if err != nil {
		return none, err
	}
	if !slices.Contains(s.tracked(), pull.Base) {
		return none, nil
	}
	if err := s.office.Admit(ctx, pull); err != nil {
		return none, err
	}
	r, err := s.reconcilePull(ctx, pull)
	if review.IsLate(err) {
		return none, nil // the comment says so already
	}
	if err != nil && review.IsOverdue(ctx) {
		s.o.Env.Log.WarnContext(ctx, "a look at a stranger's pull request was ended", "pull", n, "by", pull.Author.Login, "reason", context.Cause(ctx))
		return s.office.Overdue(ctx, pull)
	}
	return r, err
}

// reconcilePull fetches pull, and looks at it.
func (s *ManagedRepository) reconcilePull(ctx context.Context, pull port.PullRequest) (templates.Report, error) {
	n, none := pull.Number, templates.Report{Pull: pull.Number}
	base, head := "refs/heads/"+pull.Base, "refs/pull/"+strconv.Itoa(pull.Number)+"/head"
	queue, group, err := s.queued(ctx, pull)
	if err != nil {
		return none, err
	}
	wanted := []string{base}
	if queue != "" {
		wanted = append(wanted, queue)
	}
	guest, _ := turn.Admission(ctx)
	if !guest {
		wanted = append(wanted, head)
	}
	s.asked("fetch")
	if err := s.mirror.Fetch(ctx, wanted...); err != nil {
		return none, err
	}
	if guest { // however long it takes, nobody else waits for it
		s.asked("fetch")
		if err := s.mirror.FetchBeside(ctx, head); err != nil {
			return none, err
		}
	}
	r, err := s.office.Pull(ctx, n, group)
	if err == nil {
		err = s.mergeWithin(ctx, r)
	}
	if err != nil || !pull.Merged || !review.Asks(r) {
		return r, err
	}
	_, err = s.untilSettled(ctx, pull.Base)
	return r, err
}

// queued is the ref of a merge queue that ends with pull, and its commit: GitHub asks
// for marks there, and not at the pull request's own commit.
func (s *ManagedRepository) queued(ctx context.Context, pull port.PullRequest) (ref, sha string, err error) {
	if pull.Closed {
		return "", "", nil
	}
	s.asked("ls-remote")
	all, err := s.mirror.Refs(ctx)
	if err != nil {
		return "", "", err
	}
	prefix := fmt.Sprintf("refs/heads/gh-readonly-queue/%s/pr-%d-", pull.Base, pull.Number)
	for name, at := range all {
		if strings.HasPrefix(name, prefix) {
			return name, at, nil
		}
	}
	return "", "", nil
}

// Sweep lists what has moved on the forge since the last sweep.
func (s *ManagedRepository) Sweep(ctx context.Context) ([]int, error) {
	if s.o.Forge == nil {
		return nil, nil
	}
	s.mu.Lock()
	since := s.swept
	s.mu.Unlock()
	began := s.o.Env.Now()
	found := map[int]bool{}
	var all []int
	for _, branch := range s.tracked() {
		open, err := s.o.Forge.Open(ctx, branch)
		if err != nil {
			return nil, err
		}
		for _, p := range open {
			all = append(all, p.Number)
			if p.Updated.IsZero() || !p.Updated.Before(since.Add(-time.Minute)) {
				found[p.Number] = true
			}
		}
	}
	if !since.IsZero() { // what was said below a pull request that is closed by now
		remarks, err := s.o.Forge.Comments(ctx, 0, since.Add(-time.Minute))
		if err != nil {
			return nil, err
		}
		for _, m := range remarks {
			found[m.Pull] = true
		}
	}
	s.mu.Lock()
	s.swept, s.open = began, all
	s.mu.Unlock()
	return slices.Sorted(maps.Keys(found)), nil
}
