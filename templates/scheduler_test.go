// What schedulers are given is what was reviewed, and is a program.

package templates

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

func TestTheDAGIsTheOneThatWasReviewed(t *testing.T) {
	got, err := AirflowDAG("team.work-1")
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/airflow.py")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("it is not testdata/airflow.py:\n%s", got)
	}
	file := filepath.Join(t.TempDir(), "dag.py")
	if err := os.WriteFile(file, got, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("python3", "-m", "py_compile", file).CombinedOutput(); err != nil {
		t.Errorf("it is no Python: %v: %s", err, out)
	}
	for _, name := range []string{"", "a b", "a\"b", "a\nb", "a/b", "a\\b", "[[DAG]]"} {
		if _, err := AirflowDAG(name); fault.Of(err) != fault.Invalid || fault.HintOf(err) == "" {
			t.Errorf("a DAG called %q: %v, want Invalid and what to do", name, err)
		}
	}
}

func TestTheJenkinsfileIsTheOneThatWasReviewed(t *testing.T) {
	got, err := JenkinsPipeline("gpu-1")
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/Jenkinsfile")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("it is not testdata/Jenkinsfile:\n%s", got)
	}
	for _, label := range []string{"a b", "a'b", "a\nb", "a${b}", "a\\b", "[[LABEL]]"} {
		if _, err := JenkinsPipeline(label); fault.Of(err) != fault.Invalid || fault.HintOf(err) == "" {
			t.Errorf("a label %q: %v, want Invalid and what to do", label, err)
		}
	}
}
