// What the tools leave is read as they mean it, whatever lies beside it, and no folder of a stranger
// brings the reader to a fall.

package tracking_test

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"pgregory.net/rapid"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/tracking"
)

func tree(files map[string]string) fstest.MapFS {
	out := fstest.MapFS{}
	for p, text := range files {
		out[p] = &fstest.MapFile{Data: []byte(text)}
	}
	return out
}

func sample(t testing.TB, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

const run1 = "run_id: a1\nlifecycle_stage: active\nstart_time: 1000\n"

func TestWhatAToolLeavesIsRead(t *testing.T) {
	wandb, events := sample(t, "../wandb/testdata/run.wandb"), sample(t, "../tfevents/testdata/events.out.tfevents.1")
	for name, c := range map[string]struct {
		files   map[string]string
		output  string
		from    []string
		metrics map[string]float64
		params  map[string]string
		tools   []string
	}{
		"MLflow's files": {files: map[string]string{
			"tracking/1/a1/meta.yaml": run1, "tracking/1/meta.yaml": "experiment_id: '1'\nname: iris\n",
			"tracking/1/a1/metrics/val/loss": "1000 0.5 0\n1001 0.25 1 students 12ab\n", "tracking/1/a1/metrics/acc": "1000 0.9 0\n", "tracking/1/a1/params/depth": "3",
			"tracking/1/models/m-1/meta.yaml": "model_id: m-1\nsource_run_id: a1\n", "tracking/1/models/m-1/metrics/acc": "1000 0.1 0 a1\n",
		}, metrics: map[string]float64{"val/loss": 0.25, "acc": 0.9}, params: map[string]string{"depth": "3"}, tools: []string{"mlflow"}},
		"the highest step counts": {files: map[string]string{
			"m/1/a1/meta.yaml": run1, "m/1/a1/metrics/loss": "1000 1 5\n1001 2 4\n1000 3 5\n",
		}, metrics: map[string]float64{"loss": 3}, tools: []string{"mlflow"}},
		"a point that is there twice": {files: map[string]string{
			"m/1/a1/meta.yaml": run1, "m/1/a1/metrics/loss": "1000 1 0\n1001 0.5 1\n1000 1 0\n",
		}, metrics: map[string]float64{"loss": 0.5}, tools: []string{"mlflow"}},
		"a later run before an earlier, and none within another": {files: map[string]string{
			"m/1/a1/meta.yaml": run1, "m/1/a1/metrics/loss": "1 1 0\n", "m/1/a1/metrics/only": "1 7 0\n", "m/1/a1/params/p": "one",
			"m/1/a2/meta.yaml": "run_id: a2\nstart_time: 2000\n", "m/1/a2/metrics/loss": "2 2 0\n", "m/1/a2/params/p": "two",
			"m/1/a3/meta.yaml": "run_id: a3\nstart_time: 3000\n", "m/1/a3/metrics/loss": "3 3 0\n", "m/1/a3/tags/mlflow.parentRunId": "a2",
			"m/1/a4/meta.yaml": "run_id: a4\nstart_time: 4000\nlifecycle_stage: deleted\n", "m/1/a4/metrics/loss": "4 4 0\n",
		}, metrics: map[string]float64{"loss": 2, "only": 7}, params: map[string]string{"p": "two"}, tools: []string{"mlflow"}},
		"W&B": {files: map[string]string{"tracking/wandb/offline-run-1/run-x.wandb": wandb},
			metrics: map[string]float64{"auc": 0.8200000000000001, "loss": 0.2, "val/f1": 0.4, "best": 0.82},
			params:  map[string]string{"depth": "3", "nested.lr": "0.1"}, tools: []string{"wandb"}},
		"DVCLive": {files: map[string]string{
			"code/dvclive/metrics.json": `{"train": {"acc": 0.8}, "loss": 0.25, "step": 3, "final": 0.9}`, "code/dvclive/params.yaml": "depth: 3\nname: x\n",
			"code/dvclive/plots/metrics/train/acc.tsv": "step\tacc\n0\t0.5\n1\t0.6\n", "code/dvclive/plots/metrics/loss.tsv": "step\tloss\n0\t1.0\n1\t0.5\n",
		}, metrics: map[string]float64{"train/acc": 0.8, "loss": 0.25, "final": 0.9}, params: map[string]string{"depth": "3", "name": "x"}, tools: []string{"dvclive"}},
		"TensorBoard, one folder": {files: map[string]string{"code/runs/x/events.out.tfevents.1": events},
			metrics: map[string]float64{"acc": float64(float32(0.8)), "loss/train": 0.25}, tools: []string{"tensorboard"}},
		"TensorBoard, two folders": {files: map[string]string{"code/logs/train/events.out.tfevents.1": events, "code/logs/validation/events.out.tfevents.1": events},
			metrics: map[string]float64{"train/acc": float64(float32(0.8)), "train/loss/train": 0.25, "validation/acc": float64(float32(0.8)), "validation/loss/train": 0.25}, tools: []string{"tensorboard"}},
		"Keras' CSV": {files: map[string]string{"code/training.csv": "epoch,accuracy,loss\n0,0.5,1.5\n1,0.75,NA\n"},
			metrics: map[string]float64{"accuracy": 0.75, "loss": 1.5}, tools: []string{"file"}},
		"Lightning's CSV": {files: map[string]string{"code/lightning_logs/version_0/metrics.csv": "epoch,step,train_loss,val_loss\n0,9,0.5,\n0,9,,0.75\n1,19,0.25,\n", "code/lightning_logs/version_0/hparams.yaml": "lr: 0.1\n"},
			metrics: map[string]float64{"train_loss": 0.25, "val_loss": 0.75}, params: map[string]string{"lr": "0.1"}, tools: []string{"file"}},
		"Keras' CSV by the name of its manual, gone on with": {files: map[string]string{"code/training.log": "epoch,accuracy\n0,0.5\n1,0.6\n2,0.7\n0,0.8\n1,0.9\n", "code/run.log": "epoch\n1\n2\n"},
			metrics: map[string]float64{"accuracy": 0.9}, tools: []string{"file"}},
		"Lightning's CSV of several Trainers": {files: map[string]string{
			"code/lightning_logs/version_9/metrics.csv": "epoch,step,train_loss\n0,9,0.5\n5,99,0.1\n", "code/lightning_logs/version_9/hparams.yaml": "lr: 0.1\nlayers: [8, 4]\n",
			"code/lightning_logs/version_10/metrics.csv": "epoch,step,train_loss\n0,9,0.75\n", "code/lightning_logs/version_10/hparams.yaml": "lr: 0.2\n",
			"code/lightning_logs/version_11/metrics.csv": "epoch,step,test_acc\n0,0,0.25\n",
		}, metrics: map[string]float64{"train_loss": 0.75, "test_acc": 0.25}, params: map[string]string{"lr": "0.2", "layers": "[8,4]"}, tools: []string{"file"}},
		"TensorBoard of several Trainers": {files: map[string]string{"code/lightning_logs/version_0/events.out.tfevents.1": events, "code/lightning_logs/version_1/events.out.tfevents.1": events},
			metrics: map[string]float64{"acc": float64(float32(0.8)), "loss/train": 0.25}, tools: []string{"tensorboard"}},
		"a table that is no log": {files: map[string]string{"code/predictions.csv": "id,score\n1,0.5\n"}, metrics: map[string]float64{}, tools: []string{}},
		"printed JSON": {output: "fitting...\n{\"test\": {\"auc\": 0.9}, \"n\": 3}\nwritten\n",
			metrics: map[string]float64{"test.auc": 0.9, "n": 3}, tools: []string{"file"}},
		"printed with an indent": {output: "{ begun\n{\n  \"accuracy\": 0.75,\n  \"macro avg\": {\n    \"recall\": 0.5\n  }\n}\n{'loss': np.float64(0.5),\n 'epoch': 2}\nbye {\n}\n",
			metrics: map[string]float64{"accuracy": 0.75, "macro avg.recall": 0.5, "loss": 0.5}, tools: []string{"file"}},
		"an object that never ends": {output: "{\"a\": 1,\n{\"b\": 2}\n{\n  {\"c\": 3}\n" + strings.Repeat("}\n", 70) + "  {\"d\": 4}\n",
			metrics: map[string]float64{"b": 2, "d": 4}, tools: []string{"file"}},
		"printed by Transformers": {output: "{'loss': 0.5, 'epoch': 1.0}\n{'loss': 0.25, 'epoch': 2.0}\n{'eval': None, 'epoch': 2.0}",
			metrics: map[string]float64{"loss": 0.25}, tools: []string{"file"}},
		"a tool goes before a file that is found": {files: map[string]string{"m/1/a1/meta.yaml": run1, "m/1/a1/metrics/acc": "1 0.9 0\n", "code/log.csv": "epoch,acc\n0,0.1\n"}, output: `{"acc": 0.2}`,
			metrics: map[string]float64{"acc": 0.9}, tools: []string{"mlflow"}},
		"the first that is named goes before the others": {files: map[string]string{"m/1/a1/meta.yaml": run1, "m/1/a1/metrics/acc": "1 0.9 0\n", "m/1/a1/metrics/b": "1 2 0\n", "code/log.csv": "epoch,acc\n0,0.1\n"}, from: []string{"file", "mlflow"},
			metrics: map[string]float64{"acc": 0.1, "b": 2}, tools: []string{"file", "mlflow"}},
		"nothing": {metrics: map[string]float64{}, tools: []string{}},
	} {
		d, err := tracking.Read(tree(c.files), tracking.Options{From: c.from, Output: strings.NewReader(c.output)})
		if c.params == nil {
			c.params = map[string]string{}
		}
		if err != nil || !reflect.DeepEqual(d.Metrics(), c.metrics) || !reflect.DeepEqual(d.Params, c.params) || !reflect.DeepEqual(d.From, c.tools) {
			t.Errorf("%s: got %v, %v of %v, %v", name, d.Metrics(), d.Params, d.From, err)
		}
		for _, s := range d.Series {
			if !slices.IsSorted(s.Steps) || len(s.Values) != s.Logged || s.Name == "loss" && len(c.files) == 1 && strings.Contains(name, "W&B") && s.Logged != 5 || strings.Contains(name, "twice") && s.Logged != 2 {
				t.Errorf("%s: %s has %d points of %d", name, s.Name, len(s.Values), s.Logged)
			}
		}
		raw, err := d.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if back, err := tracking.Decode(raw); err != nil || !reflect.DeepEqual(back.Metrics(), d.Metrics()) {
			t.Errorf("%s: it comes back as %v, %v", name, back, err)
		}
	}
}

// TestImagesOfTensorBoardAreKept: the last of each tag, as tensorboardX wrote them, by names that lead nowhere else; and its hyperparameters.
func TestImagesOfTensorBoardAreKept(t *testing.T) {
	images, params := sample(t, "../tfevents/testdata/images.out.tfevents.1"), sample(t, "../tfevents/testdata/hparams.out.tfevents.1")
	d, err := tracking.Read(tree(map[string]string{
		"code/logs/train/events.out.tfevents.1": images, "code/logs/train/1796021553.45/events.out.tfevents.2": params, "code/logs/validation/events.out.tfevents.1": images,
	}), tracking.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range d.Pictures {
		names = append(names, p.Name)
		if !strings.HasPrefix(string(p.Data), "\x89PNG") {
			t.Errorf("%s is %q", p.Name, p.Data)
		}
	}
	if want := []string{"tensorboard/train/img/a-4.png", "tensorboard/validation/img/a-4.png"}; !slices.Equal(names, want) {
		t.Errorf("it keeps %q, not %q", names, want)
	}
	if want := map[string]string{"lr": "0.1", "opt": "sgd", "on": "true"}; !reflect.DeepEqual(d.Params, want) {
		t.Errorf("parameters %v, not %v", d.Params, want)
	}
	raw, err := d.Encode()
	if err != nil || bytes.Contains(raw, []byte("PNG")) {
		t.Errorf("%q, %v", raw, err)
	}
	alone, err := tracking.Read(tree(map[string]string{"code/logs/events.out.tfevents.1": images}), tracking.Options{From: []string{"tensorboard"}})
	if err != nil || len(alone.Pictures) != 1 || alone.Pictures[0].Name != "tensorboard/img/a-4.png" || alone.Empty() {
		t.Errorf("%+v, %v", alone, err)
	}
}

// TestImagesAndTablesOfToolsAreKept: in the formats that MLflow's log_image and log_table, W&B and DVCLive write, and nothing of a model's own.
func TestImagesAndTablesOfToolsAreKept(t *testing.T) {
	files := map[string]string{}
	want := []string{"m/1/a1/artifacts/images/x%step%0.png", "m/1/a1/artifacts/images/x%step%0.webp", "m/1/a1/artifacts/t.json", "m/1/a1/artifacts/t.parquet", "dvclive/plots/sklearn/roc.json", "wandb/r/files/media/table/t.table.json", "m/1/a1/artifacts/rows.tsv"}
	slices.Sort(want)
	for _, p := range append([]string{"m/1/a1/artifacts/model/MLmodel", "m/1/a1/artifacts/model/input_example.json", "m/1/a1/artifacts/weights.bin", "elsewhere.png", "dvclive/plots/metrics/a.tsv"}, want...) {
		files[p] = "x"
	}
	if got, left, err := tracking.Media(tree(files), nil); err != nil || left != 0 || !slices.Equal(got, want) {
		t.Errorf("%v, %q and %d left out", err, got, left)
	}
}

// TestADatabaseOfMLflowIsRead: of its own tables, which Python's SQLite writes.
func TestADatabaseOfMLflowIsRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mlflow.db")
	script := `
import sqlite3, sys
c = sqlite3.connect(sys.argv[1])
c.execute('CREATE TABLE "runs" (run_uuid VARCHAR(32) NOT NULL, name VARCHAR(250), start_time BIGINT, lifecycle_stage VARCHAR(20), CONSTRAINT run_pk PRIMARY KEY (run_uuid))')
c.execute('CREATE TABLE "metrics" ("key" VARCHAR(250) NOT NULL, value FLOAT NOT NULL, timestamp BIGINT NOT NULL, run_uuid VARCHAR(32) NOT NULL, step BIGINT DEFAULT \'0\' NOT NULL, is_nan BOOLEAN NOT NULL, CONSTRAINT metric_pk PRIMARY KEY ("key", timestamp, run_uuid))')
c.execute('CREATE TABLE "params" ("key" VARCHAR(250) NOT NULL, value VARCHAR(8000) NOT NULL, run_uuid VARCHAR(32))')
c.execute('CREATE TABLE "tags" ("key" VARCHAR(250) NOT NULL, value VARCHAR(8000), run_uuid VARCHAR(32))')
c.execute("insert into runs values ('a','x',1,'active'),('b','y',2,'active'),('c','z',3,'deleted')")
c.execute("insert into tags values ('mlflow.parentRunId','a','b')")
c.execute("insert into params values ('depth','3','a'),('depth','4','b'),('depth','5','c')")
c.execute("insert into metrics values ('loss',1,10,'a',1,0),('loss',0.5,9,'a',0,0),('bad',0,1,'a',0,1),('far',-1.7976931348623157e308,1,'a',0,0),('loss',7,10,'b',9,0),('loss',8,12,'c',9,0)")
c.commit()`
	if out, err := exec.Command("python3", "-c", script, file).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	raw := sample(t, file)
	d, err := tracking.Read(tree(map[string]string{"code/mlflow.db": raw, "code/other.db": "nothing of SQLite's"}), tracking.Options{})
	if err != nil || !reflect.DeepEqual(d.Metrics(), map[string]float64{"loss": 1}) || d.Params["depth"] != "3" {
		t.Errorf("got %v, %v, %v", d.Metrics(), d.Params, err)
	}
	if text := strings.Join(d.Notes, "; "); !strings.Contains(text, `"bad" is NaN`) || !strings.Contains(text, `"far" is -Inf`) || !strings.Contains(text, "within another one") {
		t.Errorf("notes %q", d.Notes)
	}
	_, err = tracking.Read(tree(map[string]string{"code/mlflow.db": raw, "code/mlflow.db-journal": "x"}), tracking.Options{})
	if fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), "was being written") {
		t.Errorf("a database that was being written: %v", err)
	}
}

func TestWhatIsOddIsLeftOutAndNamed(t *testing.T) {
	d, err := tracking.Read(tree(map[string]string{
		"m/1/a1/meta.yaml": run1, "m/1/a1/metrics/nan": "1 nan 0\n", "m/1/a1/metrics/inf": "1 -Infinity 0\n", "m/1/a1/metrics/huge": "1 1e999 0\n",
		"m/1/a1/metrics/control\x01": "1 1 0\n", "m/1/a1/metrics/good name, 100%": "1 1 0\n", "m/1/a1/params/long": strings.Repeat("x", 9000),
	}), tracking.Options{})
	if err != nil || !reflect.DeepEqual(d.Metrics(), map[string]float64{"good name, 100%": 1}) || len(d.Params) != 0 || len(d.Notes) != 5 {
		t.Errorf("got %v, %v, %q, %v", d.Metrics(), d.Params, d.Notes, err)
	}
	raw, err := d.Encode()
	if err != nil || !bytes.Contains(raw, []byte(`"NaN"`)) {
		t.Errorf("%s, %v", raw, err)
	}
}

// TestTwoToolsThatDisagreeAreNamed: the value that does not count is not lost without a word.
func TestTwoToolsThatDisagreeAreNamed(t *testing.T) {
	d, err := tracking.Read(tree(map[string]string{
		"m/1/a1/meta.yaml": run1, "m/1/a1/metrics/acc": "1 0.9 0\n", "m/1/a1/metrics/same": "1 0.5 0\n", "m/1/a1/metrics/none": "1 nan 0\n",
		"code/dvclive/metrics.json": `{"acc": 0.8, "same": 0.5, "none": NaN}`,
	}), tracking.Options{})
	want := []string{`the metric "acc" is 0.9 by mlflow and 0.8 by dvclive: the first counts`, `the metric "none" is NaN at its end, which is not a number`}
	if err != nil || !slices.Equal(d.Notes, want) {
		t.Errorf("%q, %v", d.Notes, err)
	}
}

// TestAPrintedLineIsReadWhereOneNumberIsNone: the others of the line count, and that one is named where it stands at the end.
func TestAPrintedLineIsReadWhereOneNumberIsNone(t *testing.T) {
	for line, bad := range map[string]string{`{"loss": NaN, "acc": 0.5, "step": 3}`: "loss", `{'loss': nan, 'acc': np.float64(0.5)}`: "loss", `{"acc": 0.5, "loss": -Infinity}`: "loss"} {
		d, err := tracking.Read(tree(nil), tracking.Options{Output: strings.NewReader("epoch 1\n" + line + "\n")})
		if err != nil || !reflect.DeepEqual(d.Metrics(), map[string]float64{"acc": 0.5}) || !strings.Contains(strings.Join(d.Notes, "; "), `"`+bad+`" is NaN`) {
			t.Errorf("%s: %v, %q, %v", line, d.Metrics(), d.Notes, err)
		}
	}
}

// TestAParameterThatIsLoggedTwiceKeepsItsFirstValue: as MLflow itself has it, and it is named.
func TestAParameterThatIsLoggedTwiceKeepsItsFirstValue(t *testing.T) {
	d, err := tracking.Read(tree(map[string]string{
		"a/params.yaml": "depth: 3\nrate: 1\n", "a/plots/metrics/loss.tsv": "step\tloss\n0\t1\n",
		"b/params.yaml": "depth: 4\nrate: 1\n", "b/plots/metrics/loss.tsv": "step\tloss\n0\t1\n",
	}), tracking.Options{})
	if err != nil || d.Params["depth"] != "3" || len(d.Notes) != 1 || !strings.Contains(d.Notes[0], `"depth" was logged twice, with another value: the first one counts`) {
		t.Errorf("%v, %q, %v", d.Params, d.Notes, err)
	}
}

func TestALogThatIsCutIsRefusedByItsFile(t *testing.T) {
	wandb, events := sample(t, "../wandb/testdata/run.wandb"), sample(t, "../tfevents/testdata/events.out.tfevents.1")
	for file, text := range map[string]string{
		"tracking/wandb/offline-run-1/run-x.wandb": wandb[:len(wandb)-3], "code/runs/events.out.tfevents.1": events[:len(events)-3],
		"m/1/a1/metrics/loss": "10 x 3\n", "code/training.csv": "epoch,a\n" + strings.Repeat("1", 2<<20),
	} {
		_, err := tracking.Read(tree(map[string]string{"m/1/a1/meta.yaml": run1, file: text}), tracking.Options{})
		if fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestFilesThatTheRunDidNotWriteAreNotRead(t *testing.T) {
	d, err := tracking.Read(tree(map[string]string{"code/mlruns/1/a1/meta.yaml": run1, "code/mlruns/1/a1/metrics/acc": "1 0.99 0\n"}),
		tracking.Options{Skip: func(p string) bool { return strings.HasPrefix(p, "code/mlruns/") }})
	if err != nil || !d.Empty() {
		t.Errorf("got %v, %v", d, err)
	}
}

// TestALongSeriesKeepsItsShape: whatever its length, its last value counts and its points are in bounds.
func TestALongSeriesKeepsItsShape(t *testing.T) {
	var long strings.Builder
	const n = 700_000
	for i := range n {
		fmt.Fprintf(&long, "1 %d %d\n", i, i)
	}
	d, err := tracking.Read(tree(map[string]string{"m/1/a1/meta.yaml": run1, "m/1/a1/metrics/long": long.String(), "m/1/a1/metrics/short": "1 5 0\n"}), tracking.Options{})
	if err != nil || d.Metrics()["long"] != n-1 || d.Metrics()["short"] != 5 {
		t.Fatalf("got %v, %v", d.Metrics(), err)
	}
	s := d.Series[0]
	if s.Logged != n || len(s.Values) > 1<<18 || len(s.Values) < 1<<16 || !slices.IsSorted(s.Steps) || s.Steps[0] != 0 || s.Steps[len(s.Steps)-1] < n-8 {
		t.Errorf("%d of %d points, %d to %d", len(s.Values), s.Logged, s.Steps[0], s.Steps[len(s.Steps)-1])
	}
	raw, err := d.Encode()
	if err != nil || len(raw) > tracking.MostSize {
		t.Errorf("%d bytes, %v", len(raw), err)
	}
}

func TestTooMuchIsRefused(t *testing.T) {
	many := map[string]string{"m/1/a1/meta.yaml": run1}
	for i := range 4097 {
		many[fmt.Sprintf("m/1/a1/metrics/m%d", i)] = "1 1 0\n"
	}
	if _, err := tracking.Read(tree(many), tracking.Options{}); fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), "more than 4096 metrics") {
		t.Errorf("got %v", err)
	}
}

func TestModelsAreTheNewestFirst(t *testing.T) {
	ml := func(run, made string) string {
		return "flavors: {xgboost: {}}\nrun_id: " + run + "\nutc_time_created: '" + made + "'\n"
	}
	got, err := tracking.Models(tree(map[string]string{
		"m/1/a1/meta.yaml": run1, "m/1/a2/meta.yaml": "run_id: a2\nstart_time: 1\n", "m/1/a2/tags/mlflow.parentRunId": "a1",
		"m/1/models/m-1/artifacts/MLmodel": ml("a1", "2026-01-01 00:00:00.1"), "m/1/a1/artifacts/model/MLmodel": ml("a1", "2026-01-02 00:00:00.1"),
		"m/1/models/m-2/artifacts/MLmodel": ml("a2", "2026-01-03 00:00:00.1"),
	}), nil)
	if want := []string{"m/1/a1/artifacts/model", "m/1/models/m-1/artifacts"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	if _, err := tracking.Models(tree(map[string]string{"x/MLmodel": "[1]"}), nil); fault.Of(err) != fault.Invalid {
		t.Errorf("got %v", err)
	}
}

// TestAnyDocumentComesBack: numbers that JSON has no word for among them.
func TestAnyDocumentComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lines := ""
		for i, v := range rapid.SliceOfN(rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1)})), 1, 20).Draw(t, "values") {
			lines += fmt.Sprintf("%d %v %d\n", i, v, i)
		}
		d, err := tracking.Read(tree(map[string]string{"m/1/a1/meta.yaml": run1, "m/1/a1/metrics/x": lines}), tracking.Options{})
		if err != nil {
			t.Fatal(err)
		}
		raw, err := d.Encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := tracking.Decode(raw)
		if err != nil || fmt.Sprint(back.Series[0].Values) != fmt.Sprint(d.Series[0].Values) {
			t.Fatalf("%s: %v, %v", raw, back, err)
		}
	})
}

func FuzzRead(f *testing.F) {
	f.Add("run_id: a\n", "1 2 3\n", "step\tx\n1\t2\n", "epoch,a\n1,2\n", `{"a": {"b": 1}}`)
	f.Add("run_id: [a\n", "1\n", "\"", "step\n\"", `{'a': 1}`)
	f.Fuzz(func(t *testing.T, meta, metric, tsv, csv, dict string) {
		d, err := tracking.Read(tree(map[string]string{
			"m/1/a/meta.yaml": meta, "m/1/a/metrics/x": metric, "m/1/a/params/x": dict, "dvclive/plots/metrics/a.tsv": tsv,
			"dvclive/metrics.json": dict, "log.csv": csv, "metrics.json": dict,
		}), tracking.Options{From: tracking.Tools, Output: strings.NewReader(dict)})
		if err != nil {
			if fault.Of(err) != fault.Invalid {
				t.Errorf("%v", err)
			}
			return
		}
		raw, err := d.Encode()
		if err == nil {
			_, err = tracking.Decode(raw)
		}
		if err != nil {
			t.Errorf("what was read does not come back: %v", err)
		}
	})
}

func FuzzDocument(f *testing.F) {
	f.Add([]byte(`{"version":1,"from":["mlflow"],"params":{"a":"b"},"series":[{"name":"x","steps":[0],"times":[0],"values":["NaN"],"logged":1}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		d, err := tracking.Decode(raw)
		if err != nil {
			return
		}
		if again, err := d.Encode(); err != nil || len(d.Series) > 4096 {
			t.Errorf("%s: %v", again, err)
		}
	})
}
