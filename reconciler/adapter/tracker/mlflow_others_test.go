// What others do where releases are kept as models of MLflow: whoever may log into the experiment and write below it, and a server that lies.

package tracker

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// experiment makes the one of the bench.
func (b *filesBench) experiment(t *testing.T) (id string) {
	t.Helper()
	var made struct {
		ID string `json:"experiment_id"`
	}
	b.rest.ask(t, "POST", "experiments/create", map[string]any{"name": b.spec.Experiment}, &made)
	return made.ID
}

// logs makes a model, as anybody may who logs into the experiment.
func (b *filesBench) logs(t *testing.T, experiment string, tags ...tag) (id, at string) {
	t.Helper()
	var made struct {
		Model loggedAnswer `json:"model"`
	}
	b.rest.ask(t, "POST", "logged-models", map[string]any{"experiment_id": experiment, "name": "x", "tags": tags}, &made)
	return made.Model.Info.ID, strings.TrimPrefix(made.Model.Info.At, b.spec.Models.URL+"/") + "/"
}

func (b *filesBench) put(t *testing.T, key, text string) {
	t.Helper()
	if _, err := b.in.Bucket.Put(t.Context(), key, strings.NewReader(text), int64(len(text))); err != nil {
		t.Fatal(err)
	}
}

func (b *filesBench) read(t *testing.T, key string) string {
	t.Helper()
	r, _, err := b.in.Get(t.Context(), key, port.All)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	raw, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// there are the models that the server has, by their ids: READY or not.
func (b *filesBench) there(t *testing.T, experiment, ledger string) map[string]string {
	t.Helper()
	var got struct {
		Models []loggedAnswer `json:"models"`
	}
	b.rest.ask(t, "POST", "logged-models/search", map[string]any{"experiment_ids": []string{experiment}, "filter": "tags.`" + tagLedger + "` = '" + ledger + "'"}, &got)
	out := map[string]string{}
	for _, m := range got.Models {
		out[m.Info.ID] = m.Info.Status
	}
	return out
}

// place is where the files of a version are.
func place(experiment string, v shownVersion) string {
	return experiment + "/models/" + strings.TrimPrefix(v.Source, modelSource) + "/artifacts/"
}

// othersTags: what says of itself that it is ours, by tags that anybody reads and writes, is not taken, not put in place of ours and not deleted,
// whether it was there before the release or came later, and whatever is healed.
func othersTags(t *testing.T, b *filesBench) {
	p, files := released(t)
	experiment := b.experiment(t)
	v := p.Models[0].Versions[0]
	name, key := p.Models[0].Name, string(v.Key)
	early, _ := b.logs(t, experiment, tag{tagLedger, p.Ledger}, tag{tagKey, key})
	later, at := b.logs(t, experiment, tag{tagLedger, p.Ledger})
	for _, f := range v.Model.Files {
		b.put(t, at+f.Path, strings.Repeat("E", int(f.Size)))
	}
	b.rest.ask(t, "PATCH", "logged-models/"+later, map[string]any{"model_id": later, "status": modelReady}, nil)
	first := b.record(t, p)
	if len(first.Drift) != 0 {
		t.Errorf("drift %v", first.Drift)
	}
	own := b.versions(t, name)[key]
	b.rest.ask(t, "PATCH", "logged-models/"+later+"/tags", map[string]any{"model_id": later, "tags": []tag{{tagKey, key}}}, nil)
	for _, p.Heal = range []bool{false, true} {
		if r := b.record(t, p); r.Writes != 0 || len(r.Drift) != 0 {
			t.Errorf("heals %v: %+v", p.Heal, r)
		}
		if now := b.versions(t, name)[key]; now.Source != own.Source || now.Version != own.Version || b.rest.model(t, name).Aliases["production"] != own.Version {
			t.Errorf("heals %v: %+v in place of %+v, aliases %v", p.Heal, now, own, b.rest.model(t, name).Aliases)
		}
		if there := b.there(t, experiment, p.Ledger); len(there) != 4 || there[early] == "" || there[early] == modelReady || there[later] != modelReady {
			t.Errorf("heals %v: there are %v", p.Heal, there)
		}
	}
	b.whole(t, p)
	for _, f := range v.Model.Files {
		if got := b.read(t, place(experiment, own)+f.Path); got != string(files[f.Digest]) {
			t.Errorf("%s has %d other bytes", f.Path, len(got))
		}
	}
}

// othersFiles: a file with other bytes and the same size, with another size, or beside ours, is drift. Nothing is written over: the
// release comes back elsewhere, and the aliases go there.
func othersFiles(t *testing.T, b *filesBench) {
	for what, spoil := range map[string]struct{ path, text, says string }{
		"other bytes":  {"data/one.bin", "ONE", "its files were written again"},
		"another size": {"data/one.bin", "another", "such as data/one.bin"},
		"beside ours":  {"data/three.pkl", "three", "such as data/three.pkl"},
	} {
		t.Run(what, func(t *testing.T) {
			p, _ := released(t)
			b.record(t, p)
			experiment := b.experimentID(t)
			name, key := p.Models[0].Name, string(p.Models[0].Versions[0].Key)
			old := b.versions(t, name)[key]
			b.put(t, place(experiment, old)+spoil.path, spoil.text)
			p.Heal = false
			if r := b.record(t, p); len(r.Drift) != 1 || !strings.Contains(r.Drift[0], spoil.says) || r.Writes != 0 {
				t.Errorf("left: %+v", r)
			}
			p.Heal = true
			if dry, err := b.tracker("one", nil).Record(t.Context(), p, true); err != nil || len(dry.Drift) != 1 || dry.Writes == 0 {
				t.Errorf("dry: %+v, %v", dry, err)
			}
			if r := b.record(t, p); len(r.Drift) != 1 || r.Writes == 0 {
				t.Errorf("healed: %+v", r)
			}
			b.whole(t, p)
			now := b.versions(t, name)[key]
			if now.Source == old.Source || now.Version == old.Version || b.rest.model(t, name).Aliases["production"] != now.Version {
				t.Errorf("%+v took the place of %+v; aliases %v", now, old, b.rest.model(t, name).Aliases)
			}
			if got := b.read(t, place(experiment, old)+spoil.path); got != spoil.text {
				t.Errorf("it was written over with %q", got)
			}
			if r := b.record(t, p); r.Writes != 0 || len(r.Drift) != 0 {
				t.Errorf("it does not settle: %+v", r)
			}
		})
	}
}

// sameFiles: who copies a bucket, or has it encrypted anew, changes ETags and no bytes. They are read once, and that is noted.
func sameFiles(t *testing.T, b *filesBench) {
	p, files := released(t)
	b.record(t, p)
	experiment, v := b.experimentID(t), p.Models[0].Versions[0]
	name, key := p.Models[0].Name, string(v.Key)
	own := b.versions(t, name)[key]
	for _, f := range v.Model.Files {
		b.put(t, place(experiment, own)+f.Path, string(files[f.Digest]))
	}
	b.rest.ask(t, "POST", "model-versions/set-tag", map[string]string{"name": name, "version": own.Version, "key": tagFiles, "value": string(digest.Of([]byte("what the ETags were")))}, nil)
	if r := b.record(t, p); len(r.Drift) != 0 || r.Writes != 1 {
		t.Errorf("put again: %+v", r)
	}
	if now := b.versions(t, name)[key]; now.Source != own.Source || now.Version != own.Version {
		t.Errorf("%+v is in the place of %+v", now, own)
	}
	if r := b.record(t, p); r.Writes != 0 || len(r.Drift) != 0 {
		t.Errorf("it does not settle: %+v", r)
	}
}

// othersBegan: where one was begun and others put files meanwhile, it is left, and begun anew elsewhere.
func othersBegan(t *testing.T, b *filesBench) {
	p, _ := released(t)
	p.Models[0].Versions = p.Models[0].Versions[:1]
	p.Models[0].Serves = map[string]digest.Digest{"production": p.Models[0].Versions[0].Key}
	content := p.Content
	p.Content = nil // it is cut off before the first file
	if _, err := b.tracker("one", nil).Record(t.Context(), p, false); err == nil {
		t.Fatal("it was not cut off")
	}
	p.Content = content
	experiment := b.experimentID(t)
	begun := slices.Collect(maps.Keys(b.there(t, experiment, p.Ledger)))
	if len(begun) != 1 {
		t.Fatalf("begun are %v", begun)
	}
	theirs := experiment + "/models/" + begun[0] + "/artifacts/MLmodel"
	b.put(t, theirs, strings.Repeat("E", int(p.Models[0].Versions[0].Model.Files[0].Size)))
	if r := b.record(t, p); len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "begun anew") {
		t.Errorf("notes %v", r.Notes)
	}
	b.whole(t, p)
	if there := b.there(t, experiment, p.Ledger); len(there) != 2 || there[begun[0]] == modelReady || !strings.HasPrefix(b.read(t, theirs), "EE") {
		t.Errorf("there are %v, of %s", there, begun)
	}
	if r := b.record(t, p); r.Writes != 0 || len(r.Notes) != 0 {
		t.Errorf("it does not settle: %+v", r)
	}
}

// notedByOthers: what is noted as begun and that no controller signed holds nothing up, and sends no files to a model of theirs. What one signed is left to
// whoever began it.
func notedByOthers(t *testing.T, b *filesBench) {
	p, _ := released(t)
	p.Models[0].Versions = p.Models[0].Versions[:1]
	p.Models[0].Serves = map[string]digest.Digest{"production": p.Models[0].Versions[0].Key}
	content := p.Content
	p.Content = nil // it is cut off before the first file
	if _, err := b.tracker("one", nil).Record(t.Context(), p, false); err == nil {
		t.Fatal("it was not cut off")
	}
	p.Content = content
	if r, err := b.tracker("two", nil).Record(t.Context(), p, false); err != nil || r.Left != 1 {
		t.Errorf("under way: %+v, %v", r, err)
	}
	experiment := b.experimentID(t)
	begun := slices.Collect(maps.Keys(b.there(t, experiment, p.Ledger)))
	key := tagModel + p.Models[0].Versions[0].Key.Hex()
	note := fmt.Sprintf("%s %d mallory\n%s", begun[0], env(nil).Now().UnixMilli(), mac("begun"))
	b.rest.ask(t, "POST", "registered-models/set-tag", map[string]string{"name": p.Models[0].Name, "key": key, "value": note}, nil)
	r, err := b.tracker("two", nil).Record(t.Context(), p, false)
	if err != nil || r.Left != 0 || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "signed by no controller") {
		t.Errorf("said to be begun: %+v, %v", r, err)
	}
	b.whole(t, p)
	if there := b.there(t, experiment, p.Ledger); len(there) != 2 || there[begun[0]] == modelReady {
		t.Errorf("there are %v, of %s", there, begun)
	}
}

// cutBeforeNote: what was made and not noted is nobody's. It is empty, and stays.
func cutBeforeNote(t *testing.T, b *filesBench) {
	p, _ := released(t)
	p.Models[0].Versions = p.Models[0].Versions[:1]
	p.Models[0].Serves = nil
	cut := &cutting{}
	one := b.tracker("one", cut)
	for {
		cut.left.Store(1)
		_, err := one.Record(t.Context(), p, false)
		if err == nil {
			t.Fatal("no model was made before it was whole")
		}
		if made := b.there(t, b.experimentID(t), p.Ledger); len(made) == 1 {
			break
		}
	}
	b.record(t, p)
	b.whole(t, p)
	ready := 0
	for _, status := range b.there(t, b.experimentID(t), p.Ledger) {
		if status == modelReady {
			ready++
		}
	}
	if there := b.there(t, b.experimentID(t), p.Ledger); ready != 1 || len(there) != 2 {
		t.Errorf("there are %v", there)
	}
}

func (b *filesBench) experimentID(t *testing.T) string {
	t.Helper()
	var got experimentAnswer
	b.rest.ask(t, "GET", "experiments/get-by-name?experiment_name="+b.spec.Experiment, nil, &got)
	return got.Experiment.ID
}

// TestNothingGoesWhereAnotherModelIs: a server that says of a model just made that it is another team's, in their experiment or in ours, has
// nothing put there.
func TestNothingGoesWhereAnotherModelIs(t *testing.T) {
	const victim, made = "m-ffffffffffffffffffffffffffffffff", "m-00000000000000000000000000000001"
	for at, want := range map[string]struct {
		kind fault.Kind
		says string
	}{"theirs": {fault.Invalid, "those of the experiment are below s3://mlflow/root/files/models"}, "files": {fault.Conflict, "its place in the bucket has files/models/" + victim}} {
		t.Run(at, func(t *testing.T) {
			where := regexp.MustCompile(`s3://mlflow/root/[a-z0-9]+/models/m-[0-9a-f]+/artifacts`)
			b := doubled(t, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					r.URL.Path = strings.ReplaceAll(r.URL.Path, victim, made)
					rec := httptest.NewRecorder()
					next.ServeHTTP(rec, r)
					body := rec.Body.Bytes()
					if strings.Contains(r.URL.Path, "logged-models") {
						body = where.ReplaceAll(body, []byte("s3://mlflow/root/"+at+"/models/"+victim+"/artifacts"))
						body = bytes.ReplaceAll(body, []byte(made), []byte(victim))
					}
					w.Header().Set("Content-Type", "application/json")
					w.WriteHeader(rec.Code)
					_, _ = w.Write(body)
				})
			})
			b.put(t, at+"/models/"+victim+"/artifacts/MLmodel", "THEIRS")
			p, _ := released(t)
			_, err := b.tracker("one", nil).Record(t.Context(), p, false)
			if fault.Of(err) != want.kind || !strings.Contains(err.Error(), want.says) || fault.HintOf(err) == "" || b.in.sent() != 0 {
				t.Errorf("%v (%s), %d files were sent", err, fault.HintOf(err), b.in.sent())
			}
			if got := b.read(t, at+"/models/"+victim+"/artifacts/MLmodel"); got != "THEIRS" {
				t.Errorf("it has %q", got)
			}
		})
	}
}

// TestWhatIsKeptLosesNothing: of two runs of one key, both ours, none is deleted where what others change is left as it is.
func TestWhatIsKeptLosesNothing(t *testing.T) {
	b := doubled(t, nil)
	p, _ := released(t)
	p.Models = nil
	b.record(t, p)
	var made struct {
		Run runAnswer `json:"run"`
	}
	b.rest.ask(t, "POST", "runs/create", map[string]any{"experiment_id": b.experimentID(t), "tags": []tag{{tagLedger, p.Ledger}, {tagKey, string(p.Runs[0].Key)}}}, &made)
	second := map[string]any{"run_id": made.Run.Info.ID, "tags": []tag{{tagProof, mac(sessionOf(b.tracker("one", nil), p, b.experimentID(t)).records().Run(p.Runs[0].Key, made.Run.Info.ID))}}}
	b.rest.ask(t, "POST", "runs/log-batch", second, nil)
	p.Heal = false
	if r := b.record(t, p); r.Writes != 0 || len(b.rest.runs(t, b.spec.Experiment, p.Runs[0].Key)) != 2 {
		t.Errorf("%+v, %d runs", r, len(b.rest.runs(t, b.spec.Experiment, p.Runs[0].Key)))
	}
	p.Heal = true
	if r := b.record(t, p); r.Writes != 1 || len(b.rest.runs(t, b.spec.Experiment, p.Runs[0].Key)) != 1 {
		t.Errorf("healed: %+v, %d runs", r, len(b.rest.runs(t, b.spec.Experiment, p.Runs[0].Key)))
	}
}
