// Where what a command proposes is pushed to: the remote that this clone is of, whatever its name,
// and where that has an address of its own for pushes, there.

package main

import (
	"context"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// remote is the name of the remote that this clone is of; there may be none of that name.
func (r *refreshing) remote() string { return r.s.Repo.Place().Remote }

// pushable tells what pushes that there is nowhere to push to.
func (r *refreshing) pushable(ctx context.Context) error {
	if !r.push {
		return nil
	}
	if _, err := r.git(ctx, "remote", "get-url", "--push", r.remote()); err != nil {
		own := r.s.Repo.Place().Own
		if own == nil {
			return err
		}
		set, bad := own.Settings(ctx)
		if bad != nil {
			return bad
		}
		if names := set.Remotes(); len(names) > 0 {
			return fault.WithHint(fault.New(fault.Missing, "this clone has the remotes %s, none of them is called %s, and its branch follows none: it is not known where to push", strings.Join(names, " and "), r.remote()),
				"have the branch go with it: git branch --set-upstream-to REMOTE/BRANCH; or leave out --push")
		}
		return fault.WithHint(fault.New(fault.Missing, "there is no remote to push to"), "name it: git remote add %s URL; or leave out --push", r.remote())
	}
	return nil
}

// tip is what the branch is at: on the remote, where it is pushed to.
func (r *refreshing) tip(ctx context.Context, branch string) (string, error) {
	if !r.push {
		return r.s.Repo.Branch(branch)
	}
	at := r.remote()
	both, err := r.s.Repo.Place().Own.Remote(at)
	if err != nil {
		return "", err
	}
	if both.Push != both.Fetch {
		at = both.Push // what is fetched from has no say over the branches that are pushed elsewhere
	}
	said, err := r.git(ctx, "ls-remote", at, "refs/heads/"+branch)
	if err != nil {
		return "", err
	}
	sha, _, there := strings.Cut(said, "\t")
	if !there {
		return "", nil
	}
	_, err = r.git(ctx, "fetch", "--quiet", at, "refs/heads/"+branch)
	return sha, err
}

func (r *refreshing) move(ctx context.Context, branch, was, sha string) error {
	if !r.push {
		return r.s.Repo.SetBranch(ctx, branch, was, sha)
	}
	_, err := r.git(ctx, "push", "--quiet", "--force-with-lease=refs/heads/"+branch+":"+was, r.remote(), sha+":refs/heads/"+branch)
	return err
}
