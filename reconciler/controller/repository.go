// Package controller keeps repositories reconciled for as long as it runs: triggers
// say "look again", a worker a repository looks, and a repository that is broken
// stalls no other.
package controller

import (
	"context"
	"time"
)

// Repository is one repository with everything that a pass needs. Its methods may be
// called side by side for different branches and pull requests, never for the
// same one. Each may be called again at any time: what is done already is found.
type Repository interface {
	// Name tells repositories apart in logs and metrics: "github.com/owner/name". It holds no secret.
	Name() string
	// Refs is what the repository holds now; it costs one ls-remote and nothing else.
	Refs(ctx context.Context) (Refs, error)
	// Branch carries out a tracked branch as it is now, and reports on the pull requests that were merged into it.
	Branch(ctx context.Context, branch string) error
	// Pull looks at pull request n: its plan, its runs, its commands and its comment. One that
	// is closed gets its last state. cancelled ctx hands its runs back. In a turn that is not
	// its own (see turn.Admission) it does nothing and answers turn.ErrStranger or turn.ErrKnown; a look that
	// turn.ErrOverdue ends says so in the comment and is settled by that.
	Pull(ctx context.Context, n int) error
	// Sweep lists the open pull requests and those with remarks or reviews since the
	// last sweep: what refs alone do not show, and what a lost webhook told.
	Sweep(ctx context.Context) ([]int, error)
	// Schedules lists the cron expressions that the tracked branch declares, UTC, as of its last pass.
	Schedules(branch string) []string
	// Close lets everything go.
	Close() error
}

// Opener is a Site that can tell which pull requests are open. Where a Site cannot,
// every pull request that a sweep once listed is taken for open.
type Opener interface {
	// Open lists them all, as of the last Sweep.
	Open() []int
}

// Waiter is a Site of whose branches something may wait for a time.
type Waiter interface {
	// Wakes is when the first of it may go on by itself, as of the branch's last pass; zero: nothing waits.
	Wakes(branch string) time.Time
}

// Speaker is a Site that writes to a forge in the name of an account.
type Speaker interface {
	// Account is the account's login, or "" where it is not known yet. It asks nobody.
	Account() string
}

// Refs is what can be seen of a repository without fetching it.
type Refs struct {
	Branches map[string]string // tracked branch -> SHA; one that is not there is left out
	Pulls    map[int]string    // pull request, open or not -> head SHA
	Ledgers  map[string]Ledger // tracked branch -> its ledger
	Lease    string            // SHA of the lease ref; empty: none
}

// Ledger is where the ledger of a tracked branch stands.
type Ledger struct {
	Tip string // SHA; empty: there is none
	// Before is the SHA that others left, where all from there up to Tip was written by
	// the site itself: that is no reason to look again. Empty: others wrote Tip.
	Before string
}

// NoLedger is a Ledger's Before where the site wrote all of it.
const NoLedger = "none"
