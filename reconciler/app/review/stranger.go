// Strangers' pull requests: whose they are, and what is said where a look at one takes
// longer than a stranger's may.

package review

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/controller/turn"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/templates"
)

// Admit tells whether pull may be looked at in the turn that ctx is: nil, or what a
// site answers. It asks the forge alone, before anything that the author wrote is fetched.
func (o *Service) Admit(ctx context.Context, pull port.PullRequest) error {
	guest, turns := turn.Admission(ctx)
	if !turns {
		return nil
	}
	stranger, err := o.stranger(ctx, pull)
	if err != nil {
		return err
	}
	o.mu.Lock()
	o.ready()
	vouched := o.vouch[pull.Number] == pull.HeadSHA && pull.HeadSHA != ""
	o.mu.Unlock()
	switch {
	case stranger && !vouched && !guest:
		return turn.ErrStranger
	case guest && (!stranger || vouched):
		return turn.ErrKnown
	}
	return nil
}

// stranger tells whether pull holds what somebody wrote who may not write to the
// repository. What is merged has been taken in, and a branch of the repository itself
// was pushed by one who may; a fork is its owner's, whoever opens the pull request.
func (o *Service) stranger(ctx context.Context, pull port.PullRequest) (bool, error) {
	switch {
	case pull.Merged, !pull.Fork && pull.Author.Bot:
		return false, nil
	case pull.Fork && (pull.Author.Bot || !strings.EqualFold(pull.Owner, pull.Author.Login)):
		return true, nil
	}
	may, err := o.Forge.Permission(ctx, pull.Author.Login)
	if err != nil {
		return false, fmt.Errorf("look what %s may do: %w", pull.Author.Login, err)
	}
	return may < port.Writing, nil
}

// turn moves v to the turn that is its own, where a command made it another's: a
// stranger's commit that somebody had run is looked at as if it were theirs.
func (v *pullRequest) turn(ctx context.Context, told bool) error {
	guest, turns := turn.Admission(ctx)
	if !turns {
		return nil
	}
	v.mu.Lock()
	n, what := v.pull.Number, v.pull.HeadSHA+" on "+v.rev.SHA
	was, late := v.vouch[n], v.late[n] == what
	delete(v.vouch, n)
	delete(v.late, n)
	delete(v.guest, n)
	if told {
		v.vouch[n] = v.pull.HeadSHA
	} else if guest {
		v.guest[n] = what
		if late {
			v.late[n] = what
		}
	}
	v.mu.Unlock()
	switch {
	case guest && told:
		return turn.ErrKnown
	case guest && late:
		return errLate
	case !guest && !told && was != "":
		return v.Admit(ctx, v.pull)
	}
	return nil
}

// sayWithin is how long the comment about a look that was ended may take.
const sayWithin = 15 * time.Second

// Overdue says that the look at pull was ended. Nothing else is done about it until
// there is another commit, or another base: it would take as long again.
func (o *Service) Overdue(ctx context.Context, pull port.PullRequest) (templates.Report, error) {
	why := context.Cause(ctx)
	o.mu.Lock()
	if what := o.guest[pull.Number]; strings.HasPrefix(what, pull.HeadSHA+" ") {
		o.late[pull.Number] = what
	}
	o.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sayWithin)
	defer cancel()
	defer o.hold(pull.Number)()
	r := templates.Report{Stage: templates.Broken, Pull: pull.Number, Base: pull.Base, Head: pull.HeadSHA, Full: o.Full}
	r.Error = fmt.Sprintf("This could not be looked at in the time that a pull request gets whose author may not write to the repository: %s", why)
	r.Hint = "make smaller what it changes (fewer candidates, declarations, files or commits); or somebody who may write to the repository can have it looked at without that limit: /vishwa train"
	v, err := o.visit(ctx, pull)
	if err != nil || pull.Closed {
		return r, err
	}
	return r, v.publish(ctx, &r)
}

// errLate says that a look would take too long once more: the same was looked at before.
var errLate = errors.New("it took too long to look at before")

// IsLate tells whether err is of a look that was not begun, for the same one took too long.
func IsLate(err error) bool { return errors.Is(err, errLate) }

// IsOverdue tells whether ctx is that of a look which was ended for its time.
func IsOverdue(ctx context.Context) bool { return errors.Is(context.Cause(ctx), turn.ErrOverdue) }
