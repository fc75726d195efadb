// Releases with files, as models of MLflow: in a folder that stands for S3 always, and with a real server and a real MinIO where VISHWA_MLFLOW
// names an environment that has MLflow.

package tracker

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/vishwaops/vishwa/reconciler/adapter/tracker/mlflowtest"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/bucket"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/peers"
	"github.com/vishwaops/vishwa/schemas"
)

// TestFilesAreReadAsTheyAreSent: a bucket that holds bytes against their name gets them with it, and nothing reads them before.
func TestFilesAreReadAsTheyAreSent(t *testing.T) {
	b := doubled(t, nil)
	p, files := released(t)
	in := naming{b.in, map[digest.Digest]bool{}}
	p.Content = func(_ context.Context, d digest.Digest) (io.ReadCloser, error) {
		return once{bytes.NewReader(files[d])}, nil
	}
	o := Options{Own: own, Env: env(nil), Writer: "w", Sleep: atOnce, Bucket: func(*schemas.S3, port.Env) (port.Bucket, error) { return in, nil }}
	if _, err := MLflow(b.spec, o).Record(t.Context(), p, false); err != nil {
		t.Fatal(err)
	}
	for d := range files {
		if !in.named[d] {
			t.Errorf("%s was sent without its name", d)
		}
	}
}

var filesLaws = map[string]func(*testing.T, *filesBench){
	"AReleaseIsAModelWithItsFiles": func(t *testing.T, b *filesBench) {
		p, _ := released(t)
		dry, err := b.tracker("one", nil).Record(t.Context(), p, true)
		if err != nil || dry.Writes == 0 || b.in.sent() != 0 {
			t.Errorf("dry: %+v, %v, %d files", dry, err, b.in.sent())
		}
		b.record(t, p)
		b.whole(t, p)
		if b.in.sent() != 4 {
			t.Errorf("%d files were sent", b.in.sent())
		}
		var got struct {
			Run struct {
				Outputs struct {
					Models []any `json:"model_outputs"`
				} `json:"outputs"`
			} `json:"run"`
		}
		run := b.rest.runs(t, b.spec.Experiment, p.Runs[0].Key)[0].Info.ID
		b.rest.ask(t, "GET", "runs/get?run_id="+run, nil, &got)
		if v := b.versions(t, p.Models[0].Name)[string(p.Models[0].Versions[0].Key)]; len(got.Run.Outputs.Models) != 1 || v.Run != run {
			t.Errorf("the run has %v, the version is of run %q", got.Run.Outputs.Models, v.Run)
		}
		b.scored(t, p)
		before := b.writes()
		if r := b.record(t, p); r.Writes != 0 || b.writes() != before || b.in.sent() != 4 || len(r.Drift) != 0 {
			t.Errorf("the second time: %+v, the server has %d more, %d files were sent", r, b.writes()-before, b.in.sent())
		}
		if r, err := b.tracker("two", nil).Record(t.Context(), p, false); err != nil || r.Writes != 0 {
			t.Errorf("somebody else: %+v, %v", r, err)
		}
	},
	"WhoIsCutOffGoesOnAndSendsNothingTwice": func(t *testing.T, b *filesBench) {
		p, _ := released(t)
		cut := &cutting{}
		cuts, last := 0, error(nil)
		for ; cuts < 100; cuts++ {
			cut.left.Store(2) // a model, and the note that it is ours
			if _, last = b.tracker("one", cut).Record(t.Context(), p, false); last == nil {
				break
			}
		}
		if cuts < 10 || cuts == 100 {
			t.Fatalf("it was cut off %d times: %v", cuts, last)
		}
		b.whole(t, p)
		b.scored(t, p)
		if b.in.sent() != 4 {
			t.Errorf("%d files were sent", b.in.sent())
		}
	},
	"AModelThatWasDeletedIsDrift": func(t *testing.T, b *filesBench) {
		p, _ := released(t)
		b.record(t, p)
		name, key := p.Models[0].Name, string(p.Models[0].Versions[0].Key)
		old := b.versions(t, name)[key]
		b.rest.ask(t, "DELETE", "logged-models/"+strings.TrimPrefix(old.Source, "models:/"), nil, nil)
		p.Heal = false
		if r := b.record(t, p); len(r.Drift) != 1 || !strings.Contains(r.Drift[0], "was deleted") || r.Writes != 0 {
			t.Errorf("left: %+v", r)
		}
		p.Heal = true
		if r := b.record(t, p); len(r.Drift) != 1 || r.Writes == 0 {
			t.Errorf("healed: %+v", r)
		}
		b.whole(t, p)
		if now := b.versions(t, name)[key]; now.Version == old.Version || b.rest.model(t, name).Aliases["production"] != now.Version {
			t.Errorf("version %s took the place of %s; aliases %v", now.Version, old.Version, b.rest.model(t, name).Aliases)
		}
		if r := b.record(t, p); r.Writes != 0 || len(r.Drift) != 0 {
			t.Errorf("it does not settle: %+v", r)
		}
	},
	"AFileThatWasTakenAwayIsDrift": func(t *testing.T, b *filesBench) {
		p, _ := released(t)
		b.record(t, p)
		for o, err := range b.in.List(t.Context(), "") {
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(o.Key, "two.bin") {
				if err := b.in.Delete(t.Context(), o.Key); err != nil {
					t.Fatal(err)
				}
			}
		}
		p.Heal = false
		if r := b.record(t, p); len(r.Drift) != 1 || !strings.Contains(r.Drift[0], "lacks 1 of its 3 files, such as data/two.bin") || r.Writes != 0 {
			t.Errorf("left: %+v", r)
		}
		p.Heal = true
		if r := b.record(t, p); len(r.Drift) != 1 || r.Writes != 2 {
			t.Errorf("healed: %+v", r)
		}
		b.whole(t, p)
		if r := b.record(t, p); r.Writes != 0 || len(r.Drift) != 0 {
			t.Errorf("it does not settle: %+v", r)
		}
	},
	"AVersionThatWasMadeWithoutFilesStays": func(t *testing.T, b *filesBench) {
		p, _ := released(t)
		first := p
		first.Models = slices.Clone(p.Models)
		first.Models[0].Versions, first.Models[0].Serves = p.Models[0].Versions[:1], nil
		models := b.spec.Models
		b.spec.Models = nil
		b.record(t, first)
		b.spec.Models = models
		if r := b.record(t, p); len(r.Drift) != 0 {
			t.Errorf("drift %v", r.Drift)
		}
		got := b.versions(t, p.Models[0].Name)
		if one, two := got[string(p.Models[0].Versions[0].Key)], got[string(p.Models[0].Versions[1].Key)]; !strings.HasPrefix(one.Source, "vishwa://") || !strings.HasPrefix(two.Source, "models:/m-") {
			t.Errorf("sources %q and %q", one.Source, two.Source)
		}
		if r := b.record(t, p); r.Writes != 0 {
			t.Errorf("it does not settle: %+v", r)
		}
	},
	"WhatOthersTagAsOursIsTheirs":            othersTags,
	"FilesThatOthersWroteAreNotWrittenOver":  othersFiles,
	"TheSameFilesPutAgainAreNoted":           sameFiles,
	"WhereOthersPutFilesNothingIsGoneOnWith": othersBegan,
	"WhatNobodySignedAsBegunHoldsNothingUp":  notedByOthers,
	"WhoIsCutOffBeforeTheNoteBeginsAnother":  cutBeforeNote,
	"BytesThatAreNotWhatTheyAreNamedGoNowhere": func(t *testing.T, b *filesBench) {
		p, _ := released(t)
		p.Content = func(context.Context, digest.Digest) (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(strings.NewReader("tampered"), failing{fault.New(fault.Corrupt, "its bytes are not what they are named")})), nil
		}
		if _, err := b.tracker("one", nil).Record(t.Context(), p, false); fault.Of(err) != fault.Corrupt {
			t.Errorf("got %v", err)
		}
		if n := len(b.versions(t, p.Models[0].Name)); b.in.sent() != 0 || n != 0 {
			t.Errorf("%d files were sent, %d versions made", b.in.sent(), n)
		}
	},
}

func TestReleasesAreModelsWithFiles(t *testing.T) {
	for name, law := range filesLaws {
		t.Run(name, func(t *testing.T) { law(t, doubled(t, nil)) })
	}
}

// TestMLflowItselfKeepsFiles: a real server, whose artifacts are in a real MinIO and never pass through it.
func TestMLflowItselfKeepsFiles(t *testing.T) {
	venv := os.Getenv("VISHWA_MLFLOW")
	if venv == "" {
		t.Skip("VISHWA_MLFLOW names no environment with MLflow: make test-mlflow makes one")
	}
	endpoint := peers.MinIO(t)
	at := &schemas.S3{URL: "s3://mlflow/root", Endpoint: endpoint}
	signed := env(map[string]string{"AWS_ACCESS_KEY_ID": "minioadmin", "AWS_SECRET_ACCESS_KEY": "minioadmin"})
	c, err := minio.New(strings.TrimPrefix(endpoint, "http://"), &minio.Options{Creds: credentials.NewStaticV4("minioadmin", "minioadmin", "")})
	if err == nil {
		err = c.MakeBucket(t.Context(), "mlflow", minio.MakeBucketOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	url, log := mlflowtest.Start(t, venv, "--default-artifact-root", at.URL, "--no-serve-artifacts")
	in, err := intoS3(at, signed)
	if err != nil {
		t.Fatal(err)
	}
	for name, law := range filesLaws {
		t.Run(name, func(t *testing.T) {
			law(t, &filesBench{spec: schemas.MLflowTracker{URL: url, Experiment: name, Models: at}, rest: rest{url}, in: &counted{Bucket: in, puts: map[string]int{}}, writes: func() int {
				raw, err := os.ReadFile(log)
				if err != nil {
					t.Fatal(err)
				}
				return wrote(string(raw))
			}})
		})
	}
	t.Run("WhatMLflowsOwnClientReads", func(t *testing.T) {
		p, files := released(t)
		spec := schemas.MLflowTracker{URL: url, Experiment: "read", Models: at}
		if _, err := MLflow(spec, Options{Own: own, Env: signed}).Record(t.Context(), p, false); err != nil {
			t.Fatal(err, fault.HintOf(err))
		}
		into := t.TempDir()
		cmd := exec.Command(filepath.Join(venv, "bin", "python"), "-c", "import sys, mlflow; mlflow.set_tracking_uri(sys.argv[1]); print(mlflow.artifacts.download_artifacts(sys.argv[2], dst_path=sys.argv[3]))",
			url, "models:/"+p.Models[0].Name+"@production", into)
		cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID=minioadmin", "AWS_SECRET_ACCESS_KEY=minioadmin", "MLFLOW_S3_ENDPOINT_URL="+endpoint, "MLFLOW_DISABLE_TELEMETRY=true")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for _, f := range p.Models[0].Versions[0].Model.Files {
			if raw, err := os.ReadFile(filepath.Join(into, filepath.FromSlash(f.Path))); err != nil || !bytes.Equal(raw, files[f.Digest]) {
				t.Errorf("%s: %v", f.Path, err)
			}
		}
	})
}

// TestFilesGoWhereTheProjectSays: what the server says is believed below that place alone.
func TestFilesGoWhereTheProjectSays(t *testing.T) {
	for root, says := range map[string]string{
		"mlflow-artifacts:":   "mlflow-artifacts:/files",
		"file:///srv/mlflow":  "file:///srv/mlflow",
		"s3://mlflow/other":   "s3://mlflow/other",
		"s3://mlflow/rooted":  "s3://mlflow/rooted",
		"s3://mlflow/root/..": "s3://mlflow/root/..",
		"s3://other/root":     "s3://other/root",
	} {
		s := mlflowtest.New()
		s.Root = root
		srv := httptest.NewServer(s)
		dir, err := bucket.Dir(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		p, _ := released(t)
		b := &filesBench{spec: schemas.MLflowTracker{URL: srv.URL, Experiment: "files", Models: &schemas.S3{URL: "s3://mlflow/root"}}, rest: rest{srv.URL}, in: &counted{Bucket: dir, puts: map[string]int{}}}
		r, err := b.tracker("one", nil).Record(t.Context(), p, false)
		if fault.Of(err) != fault.Invalid || !strings.Contains(fmt.Sprint(err), says) || !strings.Contains(fault.HintOf(err), "spec.trackers.mlflow.models") || b.in.sent() != 0 {
			t.Errorf("%s: %v (%s), %d files were sent", root, err, fault.HintOf(err), b.in.sent())
		}
		if r.Runs != 1 {
			t.Errorf("%s: %d runs are shown", root, r.Runs)
		}
		srv.Close()
	}
	bounded := env(nil)
	bounded.Bounds = nowhere{}
	if _, err := intoS3(&schemas.S3{URL: "s3://others/x"}, bounded); fault.Of(err) != fault.Denied {
		t.Errorf("where this repository may not: %v", err)
	}
	p := &placed{spec: &schemas.S3{URL: "s3://mlflow/root"}, root: "1/"}
	id := "m-" + strings.Repeat("0", 32)
	for at, may := range map[string]bool{
		"s3://mlflow/root/1/models/" + id + "/artifacts":                        true,
		"s3://mlflow/root/1/models/" + id + "/artifacts/":                       true,
		"s3://mlflow/root/models/" + id + "/artifacts":                          false,
		"s3://mlflow/root/2/models/" + id + "/artifacts":                        false,
		"s3://mlflow/root/1/x/models/" + id + "/artifacts":                      false,
		"s3://mlflow/root/1/models/" + id + "/artifacts/../../x":                false,
		"s3://mlflow/root/1":                                                    false,
		"s3://mlflow/root/1//models/" + id + "/artifacts":                       false,
		"s3://mlflow/root/1/mymodels/" + id + "/artifacts":                      false,
		"s3://mlflow/elsewhere/models/" + id + "/artifacts":                     false,
		"s3://mlflow/root/1/models/m-" + strings.Repeat("1", 32) + "/artifacts": false,
	} {
		m := loggedAnswer{}
		m.Info.ID, m.Info.At = id, at
		if _, err := p.modelOf(m); may != (err == nil) {
			t.Errorf("%s: %v", at, err)
		}
	}
}

type nowhere struct{ port.Bounds }

func (nowhere) Place(string) error { return fault.New(fault.Denied, "not there") }
