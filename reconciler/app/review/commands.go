// Orders: commands that people gave below a pull request, and whether they may.

package review

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/app/chatops"
	"github.com/vishwaops/vishwa/reconciler/failpoint"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// order is a command with what is known of who gave it.
type order struct {
	chatops.Command
	remark port.Comment
	fresh  bool   // not answered yet
	shown  bool   // given after the comment showed the head as it is now
	refuse string // why it does not count

	void    bool   // an approval that does not count, for the reason in refuse
	puzzles bool   // it names nothing that there is, or it could not be done
	said    string // what became of it, where that is said
	goesOn  bool   // what it let go on is due
}

// counts tells whether the order is to be followed. Code of an author who may not run
// it unasked is let run only by who had seen it.
func (o order) counts(careful bool) bool {
	return o.Err == nil && o.refuse == "" && (o.shown || o.fresh && !careful)
}

// listen reads the commands of the pull request, in the order in which they were given.
func (v *pullRequest) listen(ctx context.Context, base *pass.Intent) error {
	remarks, err := v.Forge.Comments(ctx, v.pull.Number, time.Time{})
	if err != nil {
		return fmt.Errorf("read the comments of pull request %d: %w", v.pull.Number, err)
	}
	for _, m := range remarks {
		commands := chatops.Parse(m.Body)
		if len(commands) == 0 {
			continue
		}
		answered, err := v.Forge.Reacted(ctx, m.ID)
		if err != nil {
			return fmt.Errorf("look whether comment %d is answered: %w", m.ID, err)
		}
		for _, c := range commands {
			o := order{Command: c, remark: m, fresh: !answered,
				shown: v.state.Head == v.pull.HeadSHA && v.state.HeadAt > 0 && m.Time.Unix() >= v.state.HeadAt}
			if c.Err == nil && (o.fresh || o.shown) {
				if o.refuse, err = v.refusal(ctx, base, o); err != nil {
					return err
				}
			}
			v.orders = append(v.orders, o)
		}
	}
	return nil
}

// weighty are the verbs that nobody may put into another's mouth.
var weighty = []chatops.Verb{chatops.Train, chatops.Apply, chatops.Approve, chatops.Retry, chatops.Rollback, chatops.Resume}

// refusal says why who gave o may not, or "".
func (v *pullRequest) refusal(ctx context.Context, base *pass.Intent, o order) (string, error) {
	by := o.remark.By
	switch {
	case by.Bot || by.Login == "":
		return "commands are people's to give", nil
	case o.remark.Edited && slices.Contains(weighty, o.Verb):
		return "the comment was edited, and others than its author can do that: give the command in a new one", nil
	}
	roles := base.Project.PullRequests.Commands[string(o.Verb)]
	if o.Verb == chatops.Resume && len(roles) == 0 { // who may not have a release go back may not let it go on
		roles = base.Project.PullRequests.Commands[string(chatops.Rollback)]
	}
	if len(roles) > 0 {
		if who := roleOf(base, by.Login); !slices.ContainsFunc(who, func(r string) bool { return slices.Contains(roles, r) }) {
			return fmt.Sprintf("%s is for people in the role %s of the tracked branch's trust file", o.Verb, strings.Join(roles, " or ")), nil
		}
	}
	if o.Verb == chatops.Approve {
		return "", nil // whose approval counts is told where it is taken
	}
	may, err := v.Forge.Permission(ctx, by.Login)
	if err != nil {
		return "", fmt.Errorf("look what %s may do: %w", by.Login, err)
	}
	if may >= port.Writing {
		return "", nil
	}
	author := strings.EqualFold(by.Login, v.pull.Author.Login)
	switch o.Verb {
	case chatops.Help, chatops.Explain, chatops.Plan, chatops.Cancel:
		if author {
			return "", nil
		}
	}
	return fmt.Sprintf("%s is for those who may write to the repository", o.Verb), nil
}

// roleOf lists the roles of whoever has login on the forge.
func roleOf(base *pass.Intent, login string) []string {
	if base.Trust == nil {
		return nil
	}
	who, ok := base.Trust.ByLogin("github", login)
	if !ok {
		return nil
	}
	return base.Trust.Principals[who].Roles
}

// newest is the newest order of one of verbs that counts.
func (v *pullRequest) newest(verbs ...chatops.Verb) (last *order) {
	for i := range v.orders {
		if o := &v.orders[i]; slices.Contains(verbs, o.Verb) && o.counts(v.careful) {
			last = o
		}
	}
	return last
}

// Cancelled tells whether somebody who may has said, until now, that nothing is to come of a pull
// request by itself.
func (o *Service) Cancelled(ctx context.Context, pull port.PullRequest, base *pass.Intent) (bool, error) {
	v, err := o.visit(ctx, pull)
	if err != nil {
		return false, err
	}
	v.base = base
	return v.cancelled(ctx)
}

// cancelled asks anew: it may have been said since the commands were read.
func (v *pullRequest) cancelled(ctx context.Context) (bool, error) {
	again := &pullRequest{Service: v.Service, pull: v.pull, state: v.state, careful: v.careful}
	if err := again.listen(ctx, v.base); err != nil {
		return false, err
	}
	return again.newest(chatops.Train, chatops.Cancel) != nil && !again.told(chatops.Train), nil
}

// answer reacts to every remark whose commands were dealt with.
func (v *pullRequest) answer(ctx context.Context) error {
	with := map[int64]port.Reaction{}
	var ids []int64
	for _, o := range v.orders {
		if !o.fresh {
			continue
		}
		r := port.Well
		switch {
		case o.Err != nil || o.puzzles:
			r = port.Puzzled
		case !o.counts(v.careful):
			r = port.Declined
		}
		old, seen := with[o.remark.ID]
		if !seen {
			ids = append(ids, o.remark.ID)
		}
		if !seen || old == port.Well {
			with[o.remark.ID] = r
		}
	}
	for _, id := range ids {
		if err := v.Forge.React(ctx, id, with[id]); err != nil {
			return fmt.Errorf("answer comment %d: %w", id, err)
		}
		failpoint.At(failpoint.Answered)
	}
	return nil
}
