// What a training says of where its metrics and its model are is held together.

package schemas

import (
	"strings"
	"testing"
	"testing/fstest"
)

func TestWhereMetricsAndModelsAreIsHeldTogether(t *testing.T) {
	const project = "apiVersion: vishwa.dev/v1alpha1\nkind: Project\nmetadata: {name: p}\nspec: {}\n"
	const training = "apiVersion: vishwa.dev/v1alpha1\nkind: Training\nmetadata: {name: t}\nspec:\n  run: [python3, a.py]\n  code: [a.py]\n"
	for name, c := range map[string]struct{ spec, says string }{
		"a tool":              {"  metricsFrom: [mlflow, file]\n  modelFrom: mlflow\n", ""},
		"a path":              {"  modelFrom: out/model.ubj\n", ""},
		"no tool":             {"  metricsFrom: [comet]\n", "metricsFrom"},
		"a tool twice":        {"  metricsFrom: [mlflow, mlflow]\n", "names mlflow twice"},
		"none":                {"  metricsFrom: []\n", "metricsFrom"},
		"a path that is out":  {"  modelFrom: ../model\n", "leads out"},
		"a path of a machine": {"  modelFrom: /etc\n", "modelFrom"},
		"itself":              {"  modelFrom: ./.\n", "leads out"},
	} {
		_, problems := Load(t.Context(), fstest.MapFS{"vishwa.yaml": {Data: []byte(project)}, "vishwa/t.yaml": {Data: []byte(training + c.spec)}, "a.py": {}})
		text := ""
		for _, p := range problems {
			text += p.Error() + "\n"
		}
		if (c.says == "") != (text == "") || !strings.Contains(text, c.says) {
			t.Errorf("%s: %q", name, text)
		}
	}
}
