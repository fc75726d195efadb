// A package is kept where it is whole and named, made again where it is not, and taken at the
// ledger's word where nobody was asked.

package plan

import (
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

func TestAPackageIsMadeWhereItIsNotAsRecorded(t *testing.T) {
	in := intent{versions: map[string]int{"d.csv": 0, "m.py": 0}}
	in.decls = []schemas.Declaration{
		declare("Dataset", "d", &schemas.Dataset{Source: schemas.DataSource{Path: "d.csv"}}),
		declare("Training", "m", &schemas.Training{Work: work("m.py"), Inputs: map[string]schemas.Ref{"x": ref("dataset/d")}}),
		declare("Model", "m", &schemas.Model{From: ref("training/m"), Select: schemas.Selection{Metric: "auc"}}),
		declare("Package", "m", &schemas.Package{Model: ref("model/m"), OCI: schemas.OCIPackage{Repository: "r.example.com/m", Tags: []string{"stable"}}}),
	}
	at, model := ref("package/m"), digest.Of([]byte("model"))
	now, was, foreign := digest.Of([]byte("now")), digest.Of([]byte("was")), digest.Of([]byte("foreign"))
	step := func(seen Observed) Step {
		t.Helper()
		for _, s := range Compute(in.graph(t), seen).Steps {
			if s.Ref == at {
				return s
			}
		}
		t.Fatal("there is no step")
		return Step{}
	}
	facts := func(add ...ledger.Entry) *ledger.Facts {
		f := &ledger.Facts{ByKey: map[digest.Digest]*ledger.Entry{}, Latest: map[schemas.Ref]*ledger.Entry{}}
		for i := range add {
			add[i].Seq = int64(i + 1)
			f.ByKey[add[i].Key], f.Latest[add[i].Ref] = &add[i], &add[i]
		}
		return f
	}
	// What stands before it is made by hand, in turns, as each key needs the one before.
	var made []ledger.Entry
	for _, s := range []string{"dataset/d", "training/m:default", "model/m"} {
		for _, planned := range Compute(in.graph(t), Observed{Facts: facts(made...)}).Steps {
			if planned.Ref.String() != s && planned.Ref.Whole().String() != s {
				continue
			}
			e := ledger.Entry{Ref: planned.Ref, Key: planned.Key, Action: ledger.Action(planned.Ref.Kind.Traits().Action), Metrics: map[string]float64{"auc": 1}}
			e.Outputs = ledger.OutputsOf(map[string]port.Artifact{"data": {Digest: model}, "model": {Digest: model}})
			e.Model = &ledger.Model{Artifact: port.Artifact{Digest: model}}
			made = append(made, e)
		}
	}
	never := step(Observed{Facts: facts(made...)})
	if never.Do != Make || never.Pending || never.Key == "" || never.Why != "never packed" {
		t.Fatalf("%+v", never)
	}
	old := ledger.Entry{Ref: at, Key: digest.Of([]byte("old")), Action: ledger.Pack, Package: &port.Packed{Digest: was}, MadeBy: &port.Recipe{}}
	packed := ledger.Entry{Ref: at, Key: never.Key, Action: ledger.Pack, Package: &port.Packed{Digest: now}, MadeBy: &port.Recipe{}}
	retired := ledger.Entry{Ref: at, Key: never.Key, Action: ledger.Retire, Package: &port.Packed{Digest: now}}
	state := func(s port.PackageState) map[schemas.Ref]port.PackageState {
		return map[schemas.Ref]port.PackageState{at: s}
	}
	failed := func(key digest.Digest) *ledger.Entry {
		return &ledger.Entry{Seq: 9, Ref: at, Key: key, Action: ledger.Fail, Failure: &ledger.Failure{Cause: "denied", Message: "the registry answers 403\nand more"}}
	}
	for name, c := range map[string]struct {
		entries []ledger.Entry
		seen    Observed
		do      Do
		why     string
	}{
		"nobody was asked":                      {[]ledger.Entry{packed}, Observed{}, Keep, "up to date"},
		"it is whole":                           {[]ledger.Entry{packed}, Observed{Packages: state(port.PackageState{})}, Keep, "up to date"},
		"a layer is gone":                       {[]ledger.Entry{packed}, Observed{Packages: state(port.PackageState{Lacks: "a layer"})}, Remake, "is not whole: a layer"},
		"a tag is gone":                         {[]ledger.Entry{packed}, Observed{Packages: state(port.PackageState{Elsewhere: map[string]digest.Digest{"stable": ""}})}, Remake, "its tag stable named nothing"},
		"a tag is behind":                       {[]ledger.Entry{old, packed}, Observed{Packages: state(port.PackageState{Elsewhere: map[string]digest.Digest{"stable": was}})}, Remake, "its tag stable named the package of entry"},
		"a tag was moved":                       {[]ledger.Entry{packed}, Observed{Packages: state(port.PackageState{Elsewhere: map[string]digest.Digest{"stable": foreign}})}, Remake, "drift: its tag stable named"},
		"another was packed":                    {[]ledger.Entry{old}, Observed{}, Remake, "changed"},
		"nobody could be asked":                 {[]ledger.Entry{packed}, Observed{Unobservable: map[schemas.Ref]string{at: "the registry answers 401"}}, Remake, "the registry answers 401"},
		"it was no longer declared for a while": {[]ledger.Entry{packed, retired}, Observed{}, Make, "never packed"},
	} {
		c.seen.Facts = facts(append(append([]ledger.Entry{}, made...), c.entries...)...)
		if s := step(c.seen); s.Do != c.do || !strings.Contains(s.Why, c.why) || s.Pending {
			t.Errorf("%s: %+v", name, s)
		}
	}
	for name, c := range map[string]struct {
		facts func(*ledger.Facts)
		why   string
	}{
		"it failed": {func(f *ledger.Facts) { f.Stuck = []*ledger.Entry{failed(never.Key)} }, "never packed: it failed: the registry answers 403"},
		"it failed, and was counted": {func(f *ledger.Facts) {
			f.Failed = map[digest.Digest]ledger.Tries{never.Key: {N: 1, Last: failed(never.Key)}}
		}, "never packed: it failed: the registry answers 403"},
		"another failed": {func(f *ledger.Facts) { f.Stuck = []*ledger.Entry{failed(digest.Of([]byte("old")))} }, "never packed"},
	} {
		f := facts(made...)
		c.facts(f)
		if s := step(Observed{Facts: f}); s.Do != Make || s.Why != c.why {
			t.Errorf("%s: %+v", name, s)
		}
	}
}
