// What external work is made of is part of its key: what is declared of it, and its manifest's bytes.

package graph

import (
	"strings"
	"testing"
	"testing/fstest"
)

func TestExternalWorkIsItsDeclarationAndItsFile(t *testing.T) {
	const text = `apiVersion: vishwa.dev/v1alpha1
kind: Project
metadata: {name: p}
spec:
  clusters: {c: {namespace: models}}
  runners: {jobs: {kubernetes: {cluster: c}}, dags: {airflow: {url: "https://airflow.example", dag: vishwa}}, more: {airflow: {url: "https://other.example", dag: vishwa}}}
  defaults: {image: "base@sha256:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"}
---
apiVersion: vishwa.dev/v1alpha1
kind: Transform
metadata: {name: job}
spec:
  runner: jobs
  external: {kubernetes: {manifest: e.py}}
  outputs: {o: o.csv}
---
apiVersion: vishwa.dev/v1alpha1
kind: Transform
metadata: {name: dag}
spec:
  runner: dags
  external: {airflow: {dag: nightly, conf: {n: 1}}}
  outputs: {o: o.csv}
`
	before := keys(t, files(text))
	for name, c := range map[string]struct {
		change func(fstest.MapFS)
		moved  string
	}{
		"a byte of the manifest": {func(f fstest.MapFS) { f["e.py"] = &fstest.MapFile{Data: []byte("more")} }, "transform/job"},
		"the name of the DAG":    {replacing("dag: nightly", "dag: hourly"), "transform/dag"},
		"its conf":               {replacing("n: 1", "n: 2"), "transform/dag"},
		"the default image":      {replacing("sha256:0a", "sha256:0b"), ""},
		"another Airflow":        {replacing("runner: dags", "runner: more"), ""},
		"the DAG of other runs":  {replacing("dag: vishwa", "dag: work"), ""},
		"how long it may take":   {replacing("runner: dags", "runner: dags\n  timeout: 3h"), ""},
		"a file that is not its": {func(f fstest.MapFS) { f["t.py"] = &fstest.MapFile{Data: []byte("more")} }, ""},
	} {
		tree := files(text)
		c.change(tree)
		if got := strings.Join(moved(before, keys(t, tree)), " "); got != c.moved {
			t.Errorf("%s moves %q, want %q", name, got, c.moved)
		}
	}
}

// replacing changes the declarations.
func replacing(old, by string) func(fstest.MapFS) {
	return func(f fstest.MapFS) {
		f["vishwa.yaml"] = &fstest.MapFile{Data: []byte(strings.ReplaceAll(string(f["vishwa.yaml"].Data), old, by))}
	}
}
