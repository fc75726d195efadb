// No comment, mark, deployment or proposal shows where things are on the machine.

package wrap

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/port"
)

type board struct {
	port.Forge
	shown []any
}

func (b *board) UpsertComment(_ context.Context, _ int, _, body string) (string, error) {
	b.shown = append(b.shown, body)
	return "", nil
}

func (b *board) ReportStatus(_ context.Context, m port.CommitStatus) error {
	b.shown = append(b.shown, m)
	return nil
}

func (b *board) ReportDeployment(_ context.Context, r port.Deployment) error {
	b.shown = append(b.shown, r)
	return nil
}

func (b *board) Propose(_ context.Context, p port.Proposal) (port.PullRequest, error) {
	b.shown = append(b.shown, p)
	return port.PullRequest{}, nil
}

func (b *board) Withdraw(_ context.Context, _ int, why string) error {
	b.shown = append(b.shown, why)
	return nil
}

func TestAForgeIsNotToldWhereThingsAre(t *testing.T) {
	b := &board{}
	f := Discreet(b, []Folder{{"/home/ctl", "~"}, {"/home/ctl/.config/vishwa/keys", "(the folder of keys)"}, {"/", "(root)"}, {"", "(nothing)"}})
	const text = "no keys in `/home/ctl/.config/vishwa/keys`; see /home/ctl/x, /home/ctlx, data/home/ctl and (/home/ctl)"
	const want = "no keys in `(the folder of keys)`; see ~/x, /home/ctlx, data/home/ctl and (~)"
	ctx := t.Context()
	annotations := []port.Annotation{{Title: text, Message: text}}
	_, err := f.UpsertComment(ctx, 1, "", text)
	_, err2 := f.Propose(ctx, port.Proposal{Title: text, Body: text})
	if err != nil || err2 != nil || f.ReportStatus(ctx, port.CommitStatus{Title: text, Summary: text, Annotations: annotations}) != nil ||
		f.ReportDeployment(ctx, port.Deployment{Description: text}) != nil || f.Withdraw(ctx, 1, text) != nil {
		t.Fatal(err, err2)
	}
	if annotations[0].Title != text {
		t.Error("the caller's annotations were changed")
	}
	if len(b.shown) != 5 {
		t.Fatalf("%d were shown", len(b.shown))
	}
	for _, s := range b.shown {
		out, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(out), "/home/ctl/") || !strings.Contains(string(out), want) {
			t.Errorf("it shows %s", out)
		}
	}
}
