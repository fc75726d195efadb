// What the doctor concludes from what was found: a refusal is never told as possible.

package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/machine/wall"
)

func TestTheDoctorsVerdict(t *testing.T) {
	rung := func(level wall.Level, landlock int) wall.Rung {
		r := wall.Rung{Level: level}
		var missing []wall.Guarantee
		if landlock < 0 {
			r.Reason, r.Hint, missing = "operation not permitted", "open the switch", wall.Guarantees
		} else {
			r.Report = &wall.Report{Level: string(level), Landlock: landlock, Network: "none"}
			missing = wall.Lacks(*r.Report)
		}
		for _, g := range wall.Guarantees {
			p := wall.Promise{Guarantee: g, Held: !strings.Contains(list(missing), string(g))}
			if !p.Held {
				p.Reason, p.Hint = "a reason", "a way"
			}
			r.Gives = append(r.Gives, p)
		}
		return r
	}
	for name, c := range map[string]struct {
		first, second int // version of Landlock on each rung; negative: it does not work
		level         wall.Level
		runs          wall.Level
		possible      bool
		says          string
	}{
		"both":                  {7, 7, "", wall.Namespaces, true, "Runs of pull requests: possible, at level namespaces"},
		"the second alone":      {-1, 7, "", wall.Landlock, true, "possible, at level landlock"},
		"an old Landlock":       {-1, 5, "", wall.Landlock, false, "Runs of pull requests: refused: the level landlock lacks signals"},
		"old, but the first":    {0, 0, "", wall.Namespaces, true, "possible, at level namespaces"},
		"the owner asks less":   {7, 5, wall.Landlock, wall.Landlock, false, "refused: the level landlock lacks signals"},
		"nothing works":         {-1, -1, "", wall.None, false, "refused: no level of isolation that the settings allow works here"},
		"the second is allowed": {7, -1, wall.Landlock, wall.None, false, "refused: no level of isolation that the settings allow works here"},
		"no isolation":          {7, 7, wall.None, wall.None, true, "code that nobody reviewed does whatever this user may"},
	} {
		d := diagnosis{Rungs: []wall.Rung{rung(wall.Namespaces, c.first), rung(wall.Landlock, c.second)}}
		d.judge(wall.Policy{Level: c.level})
		var out bytes.Buffer
		if err := d.show(&out); err != nil {
			t.Fatal(err)
		}
		if d.Runs != c.runs || d.Pulls.Possible != c.possible || !strings.Contains(out.String(), c.says) {
			t.Errorf("%s: %s, %+v\n%s", name, d.Runs, d.Pulls, out.String())
		}
		if (c.first < 0 || c.second < 0) && !strings.Contains(out.String(), "nothing works: a reason\n  a way") {
			t.Errorf("%s: the reason is not told\n%s", name, out.String())
		}
	}
}

func TestTheDoctorComparesClocks(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, c := range map[string]struct {
		told  any // the remote's clock, or what it says instead
		state string
		says  string
	}{
		"together": {now.Add(2 * time.Second), fine, "agrees"},
		"behind":   {now.Add(10 * time.Minute), wrong, "off by -10m"},
		"ahead":    {now.Add(-10 * time.Minute), wrong, "off by 10m"},
		"silent":   {"yesterday", note, "does not tell the time"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "" {
				t.Error("it was told who asks")
			}
			text, ok := c.told.(string)
			if !ok {
				text = c.told.(time.Time).Format(http.TimeFormat)
			}
			w.Header().Set("Date", text)
		}))
		a := &cli{now: func() time.Time { return now }}
		got := a.clockCheck(t.Context(), server.URL+"/x.git")
		if got.State != c.state || !strings.Contains(got.Text, c.says) || got.State != fine && got.Hint == "" {
			t.Errorf("%s: %+v", name, got)
		}
		server.Close()
	}
	a := &cli{now: func() time.Time { return now }}
	for _, remote := range []string{"", "/srv/x.git", "git@example.com:x.git", "ssh://git@example.com/x.git"} {
		if got := a.clockCheck(t.Context(), remote); got.State != note {
			t.Errorf("%q: %+v", remote, got)
		}
	}
}
