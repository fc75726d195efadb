// Retraining by a calendar: what was not trained since the schedule's time has come is proposed, once
// a time. When it was trained stands in the ledger, and what was proposed on its branch, so that a
// controller that starts anew proposes nothing twice.

package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/repo"
	"github.com/vishwaops/vishwa/reconciler/controller"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
	"github.com/vishwaops/vishwa/templates"
)

// Calendars begins the names of branches on which retrainings by a calendar are proposed: those of
// monitors have others.
const Calendars = "vishwa/retrain-scheduled/"

// byCalendar lists the trainings that a calendar has proposed.
func byCalendar(in *pass.Intent) (out []schemas.Declaration) {
	for _, d := range in.Decls {
		if spec, ok := d.Spec.(schemas.Calendars); ok && spec.Calendar() != nil {
			out = append(out, d)
		}
	}
	return out
}

// trainedLast is when a training, or one of its candidates, was trained last; zero: never.
func trainedLast(facts *ledger.Facts, training schemas.Ref) (at time.Time) {
	for ref, e := range facts.Latest {
		if e.Action == ledger.Train && ref.Whole() == training && e.Time.After(at) {
			at = e.Time
		}
	}
	return at
}

// calendar proposes what is due. One that fails keeps no other from being proposed.
func (s *ManagedRepository) calendar(ctx context.Context, branch string) (notes []string, err error) {
	s.mu.Lock()
	any := s.calendars[branch]
	s.mu.Unlock()
	if !any || s.o.Refresh.Off {
		return nil, nil
	}
	at, err := s.standpoint(ctx, branch)
	if err != nil {
		return nil, err
	}
	defer at.h.Close()
	p, err := s.proposer(ctx, at, "retrain-scheduled")
	if err != nil {
		return nil, err
	}
	var failed []error
	for _, d := range byCalendar(at.in) {
		trained := trainedLast(at.facts, d.Ref())
		due, came := controller.Tick(d.Spec.(schemas.Calendars).Calendar().Schedule, trained, s.o.Env.Now())
		if trained.IsZero() || !came || s.wasProposed(branch, d.Ref(), due) {
			continue // what was never trained is trained by the pass itself
		}
		note, err := s.proposeDue(ctx, at, p, &d, templates.CalendarText{Training: d.Ref(), Due: due, Trained: trained})
		if none := (Needless{}); errors.As(err, &none) {
			note, err = fmt.Sprintf("%s was due to be trained again by its schedule. No retraining is proposed: %s.", d.Ref(), none.Why), nil
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("propose to train %s again: %w", d.Ref(), err))
			continue
		}
		s.noteProposed(branch, d.Ref(), due)
		if note != "" {
			notes = append(notes, note)
		}
	}
	return notes, worst(failed)
}

func (s *ManagedRepository) wasProposed(branch string, ref schemas.Ref, due time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proposed[branch+" "+ref.String()].Equal(due)
}

func (s *ManagedRepository) noteProposed(branch string, ref schemas.Ref, due time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proposed[branch+" "+ref.String()] = due
}

// proposeDue proposes one training. What a monitor has proposed and is open says the same, and
// nobody is asked twice at once.
func (s *ManagedRepository) proposeDue(ctx context.Context, at *standpoint, p *Proposer, training *schemas.Declaration, text templates.CalendarText) (string, error) {
	if s.o.Forge != nil {
		open, err := s.o.Forge.Open(ctx, p.Base)
		if err != nil {
			return "", err
		}
		for _, p := range open {
			if !p.Fork && p.Head == Retrainings+p.Base+"/"+training.Metadata.Name {
				return "", nil
			}
		}
	}
	branch := Calendars + p.Base + "/" + training.Metadata.Name
	was, err := p.Tip(ctx, branch)
	if err != nil {
		return "", err
	}
	sha, err := p.sameDue(ctx, was, &text)
	if err != nil {
		return "", err
	}
	if sha == "" {
		if sha, err = p.due(ctx, at.in, training, &text, s.answering(ctx, at.h)); err != nil {
			return "", err
		}
		if err := p.Move(ctx, branch, was, sha); err != nil {
			return "", err
		}
	}
	number := 0
	if ask := s.propose(); ask != nil {
		if number, _, err = ask(ctx, port.Proposal{Base: p.Base, Head: branch, SHA: sha, Title: text.Subject(), Body: text.Body()}); err != nil {
			return "", err
		}
		if number == 0 { // people said no to this time of the schedule
			return "", nil
		}
	}
	s.o.Env.Log.InfoContext(ctx, "proposed", "training", training.Ref().String(), "branch", branch, "revision", sha, "pull", number)
	if s.o.Refresh.Consider && number > 0 {
		if _, err := s.ReconcilePull(ctx, number); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%s was due to be trained again by its schedule: proposed on %s.", training.Ref(), branch), nil
}

// sameDue is the commit of the branch where a controller made it for the same time, or where others
// have put commits on it; "" elsewhere: what it says of its author and its time proves nothing. It is kept though the tracked branch has moved on: one that people
// closed stays closed.
func (p *Proposer) sameDue(ctx context.Context, tip string, text *templates.CalendarText) (string, error) {
	if tip == "" {
		return "", nil
	}
	if parent, err := p.below(ctx, tip); err != nil || parent == tip {
		text.Theirs = err == nil
		return parent, err
	}
	if ours, err := p.ours(ctx, tip); err != nil || !ours {
		return "", err
	}
	message, err := p.Repo.Message(ctx, tip)
	if err != nil || message != text.Message() {
		return "", err
	}
	return tip, nil
}

// due is the commit: the pins of the data that has moved, or the training's next round.
func (p *Proposer) due(ctx context.Context, in *pass.Intent, training *schemas.Declaration, text *templates.CalendarText, o RefreshOptions) (string, error) {
	files := map[string][]byte{}
	for _, ref := range training.Spec.(schemas.Calendars).Calendar().Data {
		moved, pin, err := p.pin(ctx, in, ref, o)
		if err != nil {
			return "", err
		}
		text.Pins = append(text.Pins, pin...)
		maps.Copy(files, moved)
	}
	if len(files) == 0 {
		next, err := p.nextRound(in, training, text.Reason(), files)
		if err != nil {
			return "", err
		}
		text.Round = &next
	}
	return p.Repo.Write(ctx, repo.CommitDraft{Parent: p.Head, Files: files, Message: text.Message(), Time: text.Due, Sign: p.Sign})
}
