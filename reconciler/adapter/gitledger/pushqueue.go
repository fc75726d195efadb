// Writers that meet on one ledger stand in line. Who has lost a push, or finds
// others waiting, takes a ticket: a ref beside the ledger that says since when. Who
// has the oldest ticket pushes; the others wait as long as those before them need.
// The line saves work and is fair; that nothing is lost or doubled rests on the
// ledger's own compare-and-swap alone, with or without it.

package gitledger

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
)

// ticketsAt is where tickets are: <ticketsAt><milliseconds since 1970>-<random>.
// Clocks that differ make the line less fair, and nothing worse.
const ticketsAt = "refs/vishwa/line/"

const (
	standstill = 5 * time.Second // a first in line that lets the branch stand for so long is gone
	shortWait  = 20 * time.Millisecond
	longWait   = 2 * time.Second
	oneTurn    = 100 * time.Millisecond // an append on a remote nearby, about
	soon       = 2 * oneTurn
)

// emptyPack goes with a new ref to a commit that the remote has: version 2, no
// objects, SHA-1 of the header (gitformat-pack(5)).
const emptyPack = "PACK\x00\x00\x00\x02\x00\x00\x00\x00\x02\x9d\x08\x82\x3b\xd8\xa8\xea\xb5\x10\xad\x6a\xc7\x5c\x82\x3c\xfd\x3e\xd3\x1e"

// pushQueue is one writer's view of the line, for one entry.
type pushQueue struct {
	ledger *Ledger
	mine   string        // our ticket; "" while there is none
	at     plumbing.Hash // what it points to
	lost   bool          // a push was lost: from now on we wait our turn
	none   bool          // the remote takes no tickets

	first string        // whom we saw first in line,
	head  plumbing.Hash // with the branch at head,
	since time.Time     // since when

	ahead  int  // the fewest that we saw before us,
	nearer bool // now for the first time: that happens as often as the line is long, whoever jumps it
}

// turn tells whether it is this writer's turn, given what the remote advertised.
// Where it is not, the session is used up, and wait is how long to stay away.
func (q *pushQueue) turn(ctx context.Context, down *receive) (mine bool, wait time.Duration, err error) {
	q.nearer = false
	if q.none || down.head.IsZero() { // else a ticket has nothing to point to
		return true, 0, nil
	}
	tickets := waiting(down.Refs)
	if !slices.Contains(tickets, q.mine) { // served by mistake, or none yet
		q.mine = ""
	}
	if q.mine == "" {
		if len(tickets) == 0 && !q.lost {
			return true, 0, nil
		}
		return false, max(shortWait, q.pause(len(tickets))), q.makeTicket(ctx, down)
	}
	ahead := slices.Index(tickets, q.mine)
	q.nearer, q.ahead = ahead < q.ahead, min(ahead, q.ahead)
	if ahead == 0 {
		return true, 0, nil
	}
	now := q.ledger.opts.Now()
	if tickets[0] != q.first || down.head != q.head {
		q.first, q.head, q.since = tickets[0], down.head, now
	}
	if now.Sub(q.since) >= standstill {
		gone := &packp.Command{Name: plumbing.ReferenceName(tickets[0]), Old: down.Refs[tickets[0]]}
		_, err := down.order(ctx, gone, "")
		return false, shortWait, err
	}
	return false, q.pause(ahead), nil
}

// waiting is the tickets among refs, the oldest first.
func waiting(refs map[string]plumbing.Hash) []string {
	var out []string
	for name := range refs {
		if strings.HasPrefix(name, ticketsAt) {
			out = append(out, name)
		}
	}
	slices.SortFunc(out, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b)) })
	return out
}

// pause is how long those ahead will take at the least.
func (q *pushQueue) pause(ahead int) time.Duration {
	return min(longWait, time.Duration(ahead)*oneTurn-oneTurn/2)
}

// makeTicket has the remote make a ticket. One that takes no such ref is not asked
// again: its writers try as they come.
func (q *pushQueue) makeTicket(ctx context.Context, down *receive) error {
	name := fmt.Sprintf("%s%013d-%08x", ticketsAt, q.ledger.opts.Now().UnixMilli(), uint32(q.ledger.opts.Rand()*(1<<32)))
	taken, err := down.order(ctx, &packp.Command{Name: plumbing.ReferenceName(name), New: down.head}, emptyPack)
	if taken {
		q.mine, q.at = name, down.head
	}
	q.none = !taken
	return err
}

// leave gives the ticket back, where it was not given back with the entry.
func (q *pushQueue) leave(ctx context.Context) {
	if q.mine == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), standstill)
	defer cancel()
	down, err := q.ledger.receives(ctx)
	if err != nil {
		return // the others find it standing still, and pass by
	}
	defer down.Close()
	_, _ = down.order(ctx, q.served()[0], "")
}

// served is the command that takes our ticket away, where there is one.
func (q *pushQueue) served() []*packp.Command {
	if q.mine == "" {
		return nil
	}
	return []*packp.Command{{Name: plumbing.ReferenceName(q.mine), Old: q.at}}
}
