// What a server says comes out as declarations that are whole, in files of its own, whatever the server says.

package mlflow

import (
	"context"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"pgregory.net/rapid"

	"github.com/vishwaops/vishwa/schemas"
)

func churn() Model {
	return Model{Name: "Churn Model", Aliases: map[string]string{"champion": "1", "challenger": "2"}, Newest: "2",
		Run: &Run{Experiment: "1", Source: "/home/asha/churn/src/train.py", Params: map[string]string{"depth": "3"}, Metrics: map[string]float64{"training_score": 1, "test.auc": 0.9, "test_logloss": 0.3, "epochs": 5}, Datasets: []string{"customers"}}}
}

func here() Repository {
	return Repository{Files: []string{"src/train.py", "other/train2.py"}, Name: "churn"}
}

// loaded are the refs of what was written, once all of it is sound.
func loaded(t interface {
	Helper()
	Fatalf(string, ...any)
}, w Written, more fstest.MapFS) (refs []string) {
	t.Helper()
	tree := fstest.MapFS{"src/train.py": {Data: []byte("x")}, "src/serve_mlflow.py": {Data: []byte("x")}, "requirements.lock": {Data: []byte("a==1 --hash=sha256:" + strings.Repeat("a", 64))}}
	for _, f := range w.Files {
		tree[f.Path] = &fstest.MapFile{Data: []byte(f.Text)}
	}
	for name, f := range more {
		tree[name] = f
	}
	decls, problems := schemas.Load(context.Background(), tree)
	if len(problems) > 0 {
		t.Fatalf("%v\n%v", problems, w.Files)
	}
	for _, d := range decls {
		refs = append(refs, d.Ref().String())
	}
	slices.Sort(refs)
	return refs
}

func TestAModelWithAliasesBecomesDeclarations(t *testing.T) {
	in := here()
	in.Lock = "requirements.lock"
	w := Declare(Registry{Models: []Model{churn()}, Experiments: []Experiment{{"of the model", &Run{Experiment: "1", Source: "train.py"}, false}, {"Tuning", &Run{Experiment: "2", Source: "train.py"}, false}, {"empty", nil, false}}}, in)
	want := []string{"deployment/churn-model-challenger", "deployment/churn-model-champion", "model/churn-model", "project/churn", "training/churn-model", "training/tuning"}
	if got := loaded(t, w, nil); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	text := w.Files[1].Text
	for _, has := range []string{`run: [python3, "src/train.py"]`, `select: {metric: "test.auc", goal: maximize}`, `env: {requirements: "requirements.lock"}`, "metricsFrom: [mlflow]\n  modelFrom: mlflow"} {
		if !strings.Contains(text, has) {
			t.Errorf("%q is not in\n%s", has, text)
		}
	}
	notes := strings.Join(w.Notes, "\n")
	for _, has := range []string{"as parameters (1) stays", "customers", "maximizing it: that is a guess", "alias champion is on version 1 and the newest is 2", "its versions stay in MLflow"} {
		if !strings.Contains(notes, has) {
			t.Errorf("%q is not said:\n%s", has, notes)
		}
	}
}

// TestWhatARegistryLacksIsSaid: no version, no run, no script, no packages; once each.
func TestWhatARegistryLacksIsSaid(t *testing.T) {
	staged := churn()
	staged.Name, staged.Aliases, staged.Stages = "Staged", map[string]string{"production": "2"}, map[string]string{"Production": "1", "Staging": "2"}
	norun := churn()
	norun.Name, norun.Run = "Norun", nil
	r := Registry{Models: []Model{{Name: "empty"}, {Name: "流失", Newest: "1"}, norun, staged}}
	r.Experiments = []Experiment{{"Default", nil, false}, {"tuning", nil, true}}
	w := Declare(r, here())
	if got, want := loaded(t, w, nil), []string{"deployment/staged-production", "deployment/staged-staging", "model/staged", "project/churn", "training/staged"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	notes := strings.Join(w.Notes, "\n")
	for _, has := range []string{"model empty: it has no version", "experiment tuning: none of its runs ended well", "model 流失: no name of a declaration can be made", "model Norun: the server does not say which run made it: name its script by --script", "so training/staged runs, with the packages of this machine"} {
		if !strings.Contains(notes, has) {
			t.Errorf("%q is not said:\n%s", has, notes)
		}
	}
	if strings.Contains(notes, "Default") {
		t.Error(notes)
	}
	if !strings.Contains(w.Files[1].Text, `"In MLflow, alias production is on version 2."`) || !strings.Contains(w.Files[1].Text, `"In MLflow, stage Staging is on version 2."`) {
		t.Error(w.Files[1].Text)
	}
	in := here()
	in.Script = "src/train.py"
	w = Declare(r, in)
	if got := loaded(t, w, nil); !slices.Contains(got, "training/norun") || slices.Contains(got, "model/norun") {
		t.Errorf("with a script: %q", got)
	}
	if notes := strings.Join(w.Notes, "\n"); strings.Count(notes, "requirements file") != 1 || !strings.Contains(notes, "so 2 trainings run, with") {
		t.Errorf("%s", notes)
	}
}

func TestWhatIsThereIsLeftAsItIs(t *testing.T) {
	for name, change := range map[string]func(*Repository){
		"the file":    func(r *Repository) { r.Files = append(r.Files, "vishwa/churn-model.yaml") },
		"the ref":     func(r *Repository) { r.Declared = map[string]bool{"model/churn-model": true} },
		"no script":   func(r *Repository) { r.Files = nil },
		"two scripts": func(r *Repository) { r.Files = []string{"a/train.py", "b/train.py"} },
	} {
		in := here()
		change(&in)
		w := Declare(Registry{Models: []Model{churn()}}, in)
		if len(w.Files) != 0 || len(w.Notes) != 1 {
			t.Errorf("%s: %+v", name, w)
		}
	}
	in := here()
	in.Project, in.Environments = true, []string{"champion"}
	if w := Declare(Registry{Models: []Model{churn()}}, in); len(w.Files) != 2 || !slices.Equal(w.Environments, []string{"challenger"}) {
		t.Errorf("a project that is there: %+v", w)
	}
}

func TestTheMetricOfATestCounts(t *testing.T) {
	for want, of := range map[string][]string{
		"test.auc maximize":     {"test.auc", "auc", "train.auc", "val_auc"},
		"val_loss minimize":     {"val_loss", "loss", "training_f1_score"},
		"accuracy maximize":     {"accuracy", "training_accuracy_score"},
		"train rmse minimize":   {"train rmse", "epochs", "time"},
		" ":                     {"epochs", "speed", "contrast"},
		"eval/f1-mean maximize": {"eval/f1-mean", "eval/f1-weighted", "eval/f1-weighted-more"},
	} {
		metrics := map[string]float64{}
		for _, m := range of {
			metrics[m] = 1
		}
		if metric, goal := choose(metrics); metric+" "+goal != want {
			t.Errorf("of %q it is %s %s, want %s", of, metric, goal, want)
		}
	}
}

var plainPath = regexp.MustCompile(`^(vishwa\.yaml|src/serve_mlflow\.py|vishwa/[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.yaml)$`)

// TestNoServerWritesElsewhere: whatever names it gives, each file is of its own, below vishwa, and all are sound together.
func TestNoServerWritesElsewhere(t *testing.T) {
	odd := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "../../etc/passwd", "a\nkind: Project", "production", "x: {}", "\x1b[2J", strings.Repeat("a-", 200), "../src/train.py", "train.py"}))
	run := rapid.Custom(func(t *rapid.T) *Run {
		return &Run{Experiment: odd.Draw(t, "experiment"), Source: odd.Draw(t, "source"), Params: rapid.MapOfN(odd, odd, 0, 2).Draw(t, "params"), Metrics: rapid.MapOfN(rapid.OneOf(odd, rapid.Just("auc")), rapid.Float64(), 0, 3).Draw(t, "metrics"), Datasets: []string{odd.Draw(t, "dataset")}}
	})
	rapid.Check(t, func(t *rapid.T) {
		var r Registry
		for range rapid.IntRange(0, 4).Draw(t, "models") {
			r.Models = append(r.Models, Model{Name: odd.Draw(t, "model"), Aliases: rapid.MapOfN(odd, odd, 0, 3).Draw(t, "aliases"), Newest: odd.Draw(t, "newest"), Run: run.Draw(t, "run")})
		}
		r.Experiments = []Experiment{{odd.Draw(t, "experiment"), run.Draw(t, "run"), false}}
		in := here()
		if rapid.Bool().Draw(t, "script") {
			in.Script = "src/train.py"
		}
		w := Declare(r, in)
		seen := map[string]bool{}
		for _, f := range w.Files {
			if !plainPath.MatchString(f.Path) || path.Clean(f.Path) != f.Path || seen[f.Path] {
				t.Fatalf("it writes %q", f.Path)
			}
			seen[f.Path] = true
		}
		for _, n := range append(w.Notes, w.Environments...) {
			if strings.ContainsAny(n, "\n\x1b") {
				t.Fatalf("it says %q", n)
			}
		}
		if len(w.Files) > 0 {
			loaded(t, w, nil)
		}
	})
}
