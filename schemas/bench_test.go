// How long loading takes, and that it grows with what is declared and no faster.

package schemas

import (
	"context"
	"fmt"
	"io/fs"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
)

// repositoryOf makes a repository of n declarations beside its Project, spread over files.
func repositoryOf(n, files int) fstest.MapFS {
	fsys := fstest.MapFS{
		Root:                &fstest.MapFile{Data: []byte(project("{environments: {staging: {}}}"))},
		"src/features.py":   &fstest.MapFile{Data: []byte("pass\n")},
		"src/train.py":      &fstest.MapFile{Data: []byte("pass\n")},
		"src/serve.py":      &fstest.MapFile{Data: []byte("pass\n")},
		"requirements.lock": &fstest.MapFile{Data: []byte("pandas==2\n")},
		"data/students.csv": &fstest.MapFile{Data: []byte("a,b\n1,2\n")},
	}
	texts := make([]strings.Builder, files)
	for i := range n {
		b := &texts[i*files/n]
		b.WriteString("---\n" + fmt.Sprintf(bodies[i%len(bodies)], i/len(bodies)))
	}
	for i := range texts {
		fsys[fmt.Sprintf("vishwa/%02d/%05d.yaml", i/100, i)] = &fstest.MapFile{Data: []byte(texts[i].String())}
	}
	return fsys
}

func project(spec string) string {
	return "apiVersion: vishwa.dev/v1alpha1\nkind: Project\nmetadata: {name: demo}\nspec: " + spec + "\n"
}

// bodies are a pipeline; each verb takes the pipeline's number.
var bodies = []string{`apiVersion: vishwa.dev/v1alpha1
kind: Dataset
metadata:
  name: students-%[1]d
  description: Who studied how long, and who enrolled.
spec:
  source: {path: data/students.csv}
  columns:
    hours_studied: {type: number, min: 0, max: 24}
    enrolled: {type: boolean}
`, `apiVersion: vishwa.dev/v1alpha1
kind: Transform
metadata: {name: features-%[1]d}
spec:
  run: [python, src/features.py]
  code: [src/features.py]
  env: {requirements: requirements.lock}
  inputs: {students: dataset/students-%[1]d}
  outputs: {train: train.csv, test: test.csv}
`, `apiVersion: vishwa.dev/v1alpha1
kind: Training
metadata: {name: enrollment-%[1]d}
spec:
  run: [python, src/train.py]
  code: [src/train.py]
  env: {requirements: requirements.lock}
  inputs: {train: "transform/features-%[1]d:train", test: "transform/features-%[1]d:test"}
  candidates:
    logistic: {params: {estimator: logistic, C: 1.0}}
    xgboost: {params: {estimator: xgboost, max_depth: 4}}
`, `apiVersion: vishwa.dev/v1alpha1
kind: Model
metadata: {name: enrollment-%[1]d}
spec:
  from: training/enrollment-%[1]d
  select: {metric: test.roc_auc, goal: maximize}
  gates: [{metric: test.roc_auc, min: 0.80, maxRegression: 0.005}]
`, `apiVersion: vishwa.dev/v1alpha1
kind: Deployment
metadata: {name: enrollment-%[1]d}
spec:
  model: model/enrollment-%[1]d
  environment: staging
  target: {local: {run: [python, src/serve.py], code: [src/serve.py]}}
`}

func BenchmarkLoad(b *testing.B) {
	for _, n := range []int{100, 1_000, 10_000} {
		for shape, files := range map[string]int{"one-each": n, "hundred-each": n / 100, "one-file": 1} {
			b.Run(fmt.Sprintf("%s/%d", shape, n), func(b *testing.B) {
				fsys := repositoryOf(n, files)
				b.ReportAllocs()
				b.ResetTimer()
				for range b.N {
					load(b, fsys, n)
				}
				b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(n), "µs/decl")
			})
		}
	}
}

func load(tb testing.TB, fsys fs.FS, n int) []Declaration {
	tb.Helper()
	decls, problems := Load(context.Background(), fsys)
	if len(problems) > 0 || len(decls) != n+1 {
		tb.Fatalf("got %d declarations and problems %v", len(decls), problems)
	}
	return decls
}

// TestLoadStaysSmall: what is kept of ten thousand declarations fits in 60 MiB.
func TestLoadStaysSmall(t *testing.T) {
	fsys := repositoryOf(10_000, 100)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	decls := load(t, fsys, 10_000)
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(decls)
	runtime.KeepAlive(fsys)
	if kept := int64(after.HeapAlloc) - int64(before.HeapAlloc); kept > 60<<20 {
		t.Errorf("kept %d MiB", kept>>20)
	} else {
		t.Logf("kept %.1f MiB", float64(kept)/(1<<20))
	}
}
