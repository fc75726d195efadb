// Which sources a hint is about.

package app

import (
	"slices"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/controller"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/schemas"
)

// TestAHintIsAboutSourcesOfItsPlace, and has no other be looked at before its time.
func TestAHintIsAboutSourcesOfItsPlace(t *testing.T) {
	raw, web := schemas.Ref{Kind: "Dataset", Name: "raw"}, schemas.Ref{Kind: "Dataset", Name: "web"}
	for name, c := range map[string]struct {
		hints    []controller.Hint
		branches []string
		due      []schemas.Ref
	}{
		"an object of it":  {[]controller.Hint{{Bucket: "acme", Key: "raw/1.csv"}}, []string{"main"}, []schemas.Ref{raw}},
		"beside it":        {[]controller.Hint{{Bucket: "acme", Key: "other/1.csv"}}, nil, nil},
		"another bucket":   {[]controller.Hint{{Bucket: "evil", Key: "raw/1.csv"}}, nil, nil},
		"one of several":   {[]controller.Hint{{Bucket: "evil"}, {Bucket: "acme", Key: "raw/"}}, []string{"main"}, []schemas.Ref{raw}},
		"anywhere":         {[]controller.Hint{{}}, []string{"main"}, []schemas.Ref{raw, web}},
		"nothing is noted": {nil, nil, nil},
	} {
		now := time.Date(2026, 11, 29, 3, 0, 0, 0, time.UTC)
		s := &ManagedRepository{
			sources: map[string]map[schemas.Ref]watched{"main": {
				schemas.ProjectRef: {schedule: "@daily"},
				raw:                {"@daily", schemas.DataSource{S3: &schemas.S3{URL: "s3://acme/raw/"}}},
				web:                {"@daily", schemas.DataSource{HTTP: &schemas.HTTP{URL: "https://example.org/a.csv"}}},
			}},
			looked: map[string]map[schemas.Ref]time.Time{"main": {schemas.ProjectRef: now, raw: now, web: now}},
		}
		s.o.Env.Now = func() time.Time { return now.Add(time.Minute) }
		branches := s.Notice(c.hints)
		var due []schemas.Ref
		for ref := range s.due("main") {
			due = append(due, ref)
		}
		slices.SortFunc(due, func(a, b schemas.Ref) int { return len(a.Name) - len(b.Name) + int(a.Name[0]) - int(b.Name[0]) })
		if !slices.Equal(branches, c.branches) || !slices.Equal(due, c.due) {
			t.Errorf("%s: %v and %v, want %v and %v", name, branches, due, c.branches, c.due)
		}
	}
}

// TestAliasesAreLookedForByTheClockAndByWebhooks: where they are proposed, and nowhere else.
func TestAliasesAreLookedForByTheClockAndByWebhooks(t *testing.T) {
	now := time.Date(2026, 11, 29, 3, 5, 0, 0, time.UTC)
	for onDrift, want := range map[string]string{"": "", "heal": "", "keep": "", "propose": "*/10 * * * *"} {
		in := &pass.Intent{Project: &schemas.Project{Trackers: schemas.Trackers{MLflow: &schemas.MLflowTracker{URL: "https://mlflow.example.com", OnDrift: onDrift}}}}
		s := &ManagedRepository{sources: map[string]map[schemas.Ref]watched{"main": refreshing(in)}, looked: map[string]map[schemas.Ref]time.Time{"main": {mlflowRef: now}}}
		s.o.Env.Now = func() time.Time { return now.Add(time.Minute) }
		if got := s.sources["main"][mlflowRef].schedule; got != want || len(s.due("main")) > 0 {
			t.Errorf("%q: on %q, and due: %v", onDrift, got, s.due("main"))
		}
		if branches := s.Notice([]controller.Hint{{}}); (len(branches) == 1) != (want != "") {
			t.Errorf("%q: a webhook leads to %v", onDrift, branches)
		}
		s.o.Env.Now = func() time.Time { return now.Add(10 * time.Minute) }
		if due := s.due("main"); due[mlflowRef] != (want != "") {
			t.Errorf("%q: due later: %v", onDrift, due)
		}
	}
	if len(refreshing(&pass.Intent{Project: &schemas.Project{}})) > 0 {
		t.Error("a project without a tracker has one")
	}
}
