// Metrics by data set: each is told apart from the others, or left out.

package tracking_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/format/tracking"
)

// TestMetricsOfSeveralDataSetsAreToldApart: MLflow 3 keeps them by one name, of which the last would count without a word of which it is.
func TestMetricsOfSeveralDataSetsAreToldApart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mlflow.db")
	script := `
import sqlite3, sys
c = sqlite3.connect(sys.argv[1])
c.execute('CREATE TABLE runs (run_uuid VARCHAR(32) NOT NULL, start_time BIGINT, lifecycle_stage VARCHAR(20))')
c.execute('CREATE TABLE metrics (key VARCHAR(250), value FLOAT, timestamp BIGINT, run_uuid VARCHAR(32), step BIGINT, is_nan BOOLEAN)')
c.execute('CREATE TABLE params (key VARCHAR(250), value VARCHAR(8000), run_uuid VARCHAR(32))')
c.execute('CREATE TABLE tags (key VARCHAR(250), value VARCHAR(8000), run_uuid VARCHAR(32))')
c.execute('CREATE TABLE logged_model_metrics (model_id VARCHAR(36), metric_name VARCHAR(500), metric_timestamp_ms BIGINT, metric_step BIGINT, metric_value FLOAT, experiment_id INTEGER, run_id VARCHAR(32), dataset_uuid VARCHAR(36), dataset_name VARCHAR(500), dataset_digest VARCHAR(36))')
c.execute("insert into runs values ('a',1,'active')")
c.execute("insert into metrics values ('rmse',0.1,10,'a',0,0),('rmse',0.3,11,'a',0,0),('r2',0.9,12,'a',0,0)")
c.execute("insert into logged_model_metrics values ('m-1','rmse',10,0,0.1,1,'a',null,'train','d1'),('m-1','rmse',11,0,0.3,1,'a',null,'hold out','d2'),('m-1','r2',12,0,0.9,1,'a',null,'hold out','d2'),('m-1','loss',12,0,0.9,1,'b',null,'x','d2'),('m-1','rmse',11,0,0.3,1,'a',null,null,null)")
c.commit()`
	if out, err := exec.Command("python3", "-c", script, file).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	three := map[string]float64{"rmse": 0.3, "r2": 0.9, "train.rmse": 0.1, "hold out.rmse": 0.3}
	for name, c := range map[string]struct {
		files map[string]string
		want  map[string]float64
	}{
		"files":      {map[string]string{"m/1/a1/metrics/rmse": "10 0.1 0 train d1\n11 0.3 0 hold out d2\n", "m/1/a1/metrics/r2": "12 0.9 0 hold out d2\n"}, three},
		"a database": {map[string]string{"mlflow.db": sample(t, file)}, three},
		"what the script calls so": {map[string]string{"m/1/a1/metrics/rmse": "10 0.1 0 train d1\n11 0.3 0 test d2\n", "m/1/a1/metrics/train.rmse": "12 7 0\n"},
			map[string]float64{"rmse": 0.3, "train.rmse": 7, "test.rmse": 0.3}},
		"one of them, and none": {map[string]string{"m/1/a1/metrics/rmse": "10 0.1 0 train d1\n11 0.3 1\n"}, map[string]float64{"rmse": 0.3}},
	} {
		if name != "a database" {
			c.files["m/1/a1/meta.yaml"] = run1
		}
		d, err := tracking.Read(tree(c.files), tracking.Options{})
		if err != nil || !reflect.DeepEqual(d.Metrics(), c.want) || len(d.Notes) > 0 {
			t.Errorf("%s: %v, %v, %q", name, d.Metrics(), err, d.Notes)
		}
	}
	many := map[string]string{"m/1/a1/meta.yaml": run1}
	for i := range 1500 {
		many[fmt.Sprintf("m/1/a1/metrics/m%d", i)] = "10 1 0 train d1\n11 2 0 test d2\n"
	}
	d, err := tracking.Read(tree(many), tracking.Options{})
	if err != nil || len(d.Series) != 1500 || !strings.Contains(strings.Join(d.Notes, ""), "by data set were left out") {
		t.Errorf("very many: %d series, %v, %q", len(d.Series), err, d.Notes)
	}
}

// TestWhatComesToOneNameByTwoDataSetsIsLeftOut: "y.a" of "x" and "a" of "x.y" are two metrics, and whoever reads x.y.a would take one for the other. What
// is of one data set alone has no name of the kind, and what the script calls so itself is the script's.
func TestWhatComesToOneNameByTwoDataSetsIsLeftOut(t *testing.T) {
	one, other := "10 1 0 x d1\n11 2 0 z d2\n", "12 3 0 x.y d3\n13 4 0 z.z d4\n"
	for name, c := range map[string]struct {
		files map[string]string
		want  map[string]float64
		notes int
	}{
		"both": {map[string]string{"y.a": one, "a": other},
			map[string]float64{"y.a": 2, "a": 4, "z.y.a": 2, "z.z.a": 4}, 1},
		"one is of one data set": {map[string]string{"y.a": "10 1 0 x d1\n", "a": other},
			map[string]float64{"y.a": 1, "a": 4, "x.y.a": 3, "z.z.a": 4}, 0},
		"the script's own": {map[string]string{"y.a": one, "a": other, "x.y.a": "14 9 0\n"},
			map[string]float64{"y.a": 2, "a": 4, "z.y.a": 2, "z.z.a": 4, "x.y.a": 9}, 0},
		"three": {map[string]string{"y.z.a": "1 1 0 x d\n2 2 0 q d\n", "z.a": "3 3 0 x.y d\n4 4 0 q d\n", "a": "5 5 0 x.y.z d\n6 6 0 r d\n"},
			map[string]float64{"y.z.a": 2, "z.a": 4, "a": 6, "q.y.z.a": 2, "q.z.a": 4, "r.a": 6}, 1},
	} {
		files := map[string]string{"m/1/a1/meta.yaml": run1}
		for metric, lines := range c.files {
			files["m/1/a1/metrics/"+metric] = lines
		}
		d, err := tracking.Read(tree(files), tracking.Options{})
		if err != nil || !reflect.DeepEqual(d.Metrics(), c.want) || len(d.Notes) != c.notes {
			t.Errorf("%s: %v, %v, %q", name, d.Metrics(), err, d.Notes)
		}
		if c.notes > 0 && len(d.Notes) > 0 && (!strings.Contains(d.Notes[0], "was left out: it is") || !strings.Contains(d.Notes[0], `of data set "x"`) || !strings.Contains(d.Notes[0], "give one of the data sets another name")) {
			t.Errorf("%s: it says %q", name, d.Notes)
		}
	}
}
