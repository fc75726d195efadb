// What is merged without a person is stopped by one word of somebody who may, whenever it is said.

package review

import (
	"context"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/app/chatops"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// talk is a forge of which comments alone are asked.
type talk struct {
	port.Forge
	said []port.Comment
}

func (f *talk) OwnComment(context.Context, int, string) (string, error) {
	return chatops.EncodeState(chatops.State{Head: "h", HeadAt: 100}), nil
}
func (f *talk) Comments(context.Context, int, time.Time) ([]port.Comment, error) { return f.said, nil }
func (f *talk) Reacted(_ context.Context, id int64) (bool, error)                { return id < 10, nil }
func (f *talk) Permission(_ context.Context, login string) (port.Permission, error) {
	if login == "asha" {
		return port.Writing, nil
	}
	return port.Reading, nil
}

func TestSomebodyWhoMaySaysNoUntilTheMerge(t *testing.T) {
	comment := func(id, at int64, by, text string) port.Comment {
		return port.Comment{ID: id, Time: time.Unix(at, 0), By: port.Account{Login: by}, Body: text}
	}
	for name, c := range map[string]struct {
		said []port.Comment
		want bool
	}{
		"nobody":                    {nil, false},
		"said now":                  {[]port.Comment{comment(11, 200, "asha", "/vishwa cancel")}, true},
		"said and answered":         {[]port.Comment{comment(1, 200, "asha", "/vishwa cancel")}, true},
		"taken back":                {[]port.Comment{comment(1, 200, "asha", "/vishwa cancel"), comment(11, 300, "asha", "/vishwa train")}, false},
		"of a commit before":        {[]port.Comment{comment(1, 50, "asha", "/vishwa cancel")}, false},
		"by who may not":            {[]port.Comment{comment(11, 200, "eve", "/vishwa cancel")}, false},
		"taken back by who may not": {[]port.Comment{comment(1, 200, "asha", "/vishwa cancel"), comment(11, 300, "eve", "/vishwa train")}, true},
	} {
		o := &Service{Forge: &talk{said: c.said}}
		pull := port.PullRequest{Number: 7, HeadSHA: "h", Author: port.Account{Login: "vishwa-bot", Bot: true}}
		got, err := o.Cancelled(t.Context(), pull, &pass.Intent{Project: &schemas.Project{}})
		if err != nil || got != c.want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}
