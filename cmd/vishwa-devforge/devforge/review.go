// Reviews: who says what of a pull request, at which commit.

package devforge

import (
	"net/http"
	"strings"
	"time"
)

type review struct {
	id    int64
	login string
	body  string
	state string // APPROVED, CHANGES_REQUESTED, COMMENTED, DISMISSED
	sha   string
	at    time.Time
}

// Review reviews a pull request at its head. verdict is approve, request-changes
// or comment.
func (f *Forge) Review(name string, number int, login, verdict string) (int64, error) {
	event, known := map[string]string{"approve": "APPROVE", "request-changes": "REQUEST_CHANGES", "comment": "COMMENT"}[verdict]
	if !known {
		return 0, refuse(http.StatusUnprocessableEntity, "there is no verdict %q; give approve, request-changes or comment", verdict)
	}
	p, err := f.pull(name, number)
	if err != nil {
		return 0, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.addUser(login, false)
	v, problem := f.review(p, login, review{state: event, body: "as I see it"})
	if problem != nil {
		return 0, problem
	}
	return v.id, nil
}

// review adds a review, whose state is the event that asks for it; f.mu is held.
func (f *Forge) review(p *pull, login string, v review) (*review, *Problem) {
	states := map[string]string{"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED"}
	own := strings.EqualFold(login, p.author)
	switch {
	case states[v.state] == "":
		return nil, invalid("PullRequestReview", "event", "invalid", "")
	case v.state == "APPROVE" && own:
		return nil, &Problem{Status: 422, Message: "Unprocessable Entity", Errors: []any{"Can not approve your own pull request"}}
	case v.state == "REQUEST_CHANGES" && own:
		return nil, &Problem{Status: 422, Message: "Unprocessable Entity", Errors: []any{"Can not request changes on your own pull request"}}
	case v.state != "APPROVE" && v.body == "":
		return nil, invalid("PullRequestReview", "body", "missing_field", "")
	}
	v.id, v.login, v.state, v.at = f.id(), login, states[v.state], f.at()
	if v.sha == "" {
		v.sha = p.headSHA
	}
	p.reviews = append(p.reviews, &v)
	p.updated = f.at()
	f.emitReview(p, &v, "submitted")
	return &v, nil
}

// Dismiss dismisses a review.
func (f *Forge) Dismiss(name string, number int, id int64) error {
	p, err := f.pull(name, number)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, v := range p.reviews {
		if v.id == id {
			v.state = "DISMISSED"
			f.emitReview(p, v, "dismissed")
			return nil
		}
	}
	return refuse(http.StatusNotFound, "there is no review %d", id)
}
