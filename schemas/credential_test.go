// A credential is in no declaration, whatever kind declares the address.

package schemas

import (
	"strings"
	"testing"
	"testing/fstest"
)

// addressed are declarations with an address, one a field that has one. ADDRESS is HOST with whatever stands before it.
var addressed = map[string]string{
	"spec.trackers.mlflow.url":              "kind: Project\nmetadata: {name: p}\nspec: {trackers: {mlflow: {url: 'https://ADDRESS'}}}",
	"spec.trackers.mlflow.models.endpoint":  "kind: Project\nmetadata: {name: p}\nspec: {trackers: {mlflow: {url: 'https://example.com', models: {url: 's3://bucket/x', endpoint: 'https://ADDRESS'}}}}",
	"spec.store.s3.endpoint":                "kind: Project\nmetadata: {name: p}\nspec: {store: {s3: {url: 's3://bucket/x', endpoint: 'https://ADDRESS'}}}",
	"spec.runners.r.airflow.url":            "kind: Project\nmetadata: {name: p}\nspec: {runners: {r: {airflow: {url: 'https://ADDRESS', dag: d}}}}",
	"spec.runners.r.jenkins.url":            "kind: Project\nmetadata: {name: p}\nspec: {runners: {r: {jenkins: {url: 'https://ADDRESS', job: j}}}}",
	"spec.runners.r.ray.url":                "kind: Project\nmetadata: {name: p}\nspec: {runners: {r: {ray: {url: 'https://ADDRESS'}}}}",
	"spec.runners.r.kubeflow.pipelines.url": "kind: Project\nmetadata: {name: p}\nspec: {runners: {r: {kubeflow: {pipelines: {url: 'https://ADDRESS'}}}}}",
	"spec.runners.r.docker.host":            "kind: Project\nmetadata: {name: p}\nspec: {runners: {r: {docker: {host: 'tcp://ADDRESS'}}}}",
	"spec.source.http.url":                  "kind: Dataset\nmetadata: {name: d}\nspec: {source: {http: {url: 'https://ADDRESS/x.csv'}, pin: data/x.csv.dvc}}",
	"spec.source.s3.endpoint":               "kind: Dataset\nmetadata: {name: d}\nspec: {source: {s3: {url: 's3://bucket/x', endpoint: 'https://ADDRESS'}, pin: data/x.dvc}}",
	"spec.source.dvc.repo":                  "kind: Dataset\nmetadata: {name: d}\nspec: {source: {dvc: {repo: 'https://ADDRESS/x.git', path: a}, pin: data/x.dvc}}",
	"spec.source.airflow.url":               "kind: Dataset\nmetadata: {name: d}\nspec: {source: {airflow: {url: 'https://ADDRESS', token: VISHWA_SOURCE_A, dag: d, http: {url: 'https://example.com/x.csv'}}, pin: data/x.csv.dvc}}",
	"spec.source.airflow.http.url":          "kind: Dataset\nmetadata: {name: d}\nspec: {source: {airflow: {url: 'https://example.com', token: VISHWA_SOURCE_A, dag: d, http: {url: 'https://ADDRESS/x.csv'}}, pin: data/x.csv.dvc}}",
	"spec.source.airflow.s3.endpoint":       "kind: Dataset\nmetadata: {name: d}\nspec: {source: {airflow: {url: 'https://example.com', token: VISHWA_SOURCE_A, dag: d, s3: {url: 's3://bucket/x', endpoint: 'https://ADDRESS'}}, pin: data/x.dvc}}",
	"spec.source.kafka.schema.registry.url": "kind: Dataset\nmetadata: {name: d}\nspec: {source: {kafka: {brokers: ['b:1'], topic: t, format: avro, schema: {registry: {url: 'https://ADDRESS'}}}, pin: data/x.jsonl.dvc}}",
	"spec.gauges.0.prometheus.url":          "kind: Monitor\nmetadata: {name: m}\nspec: {deployment: deployment/d, gauges: [{name: g, prometheus: {url: 'https://ADDRESS', query: up, max: 1}}]}",
	"spec.gauges.0.whylogs.endpoint":        "kind: Monitor\nmetadata: {name: m}\nspec: {deployment: deployment/d, gauges: [{name: g, whylogs: {profile: 's3://bucket/a', reference: 's3://bucket/b', endpoint: 'https://ADDRESS'}}]}",
	"spec.log.s3.endpoint":                  "kind: Deployment\nmetadata: {name: d}\nspec: {model: model/m, environment: e, log: {s3: {url: 's3://bucket/x', endpoint: 'https://ADDRESS'}}, target: {local: {run: [a]}}}",
}

func TestADeclaredAddressHoldsNoCredential(t *testing.T) {
	for field, text := range addressed {
		for before, held := range map[string]bool{"": false, "hunter2@": true, "me:hunter2@": true, ":hunter2@": true, `me:hunter2\@`: false} {
			declared := "apiVersion: vishwa.dev/v1alpha1\n" + strings.ReplaceAll(text, "ADDRESS", before+"host.example.com") + "\n"
			files := fstest.MapFS{"vishwa.yaml": {Data: []byte(declared)}}
			if !strings.Contains(text, "kind: Project") {
				files = fstest.MapFS{"vishwa.yaml": {Data: []byte("apiVersion: vishwa.dev/v1alpha1\nkind: Project\nmetadata: {name: p}\n")}, "vishwa/d.yaml": {Data: []byte(declared)}}
			}
			_, problems := Load(t.Context(), files)
			told := false
			for _, p := range problems {
				if p.Field != field {
					continue
				}
				told = told || strings.Contains(p.Message, "holds a user or a password")
				if held && strings.Contains(p.Message, "hunter2") {
					t.Errorf("%s: %s", field, p.Message)
				}
			}
			if told != held {
				t.Errorf("%s with %q: told %v of %v", field, before, told, problems)
			}
		}
	}
	for at, held := range map[string]bool{"ssh://ml@gpu-box": false, "ssh://ml:hunter2@gpu-box": true} {
		_, problems := Load(t.Context(), fstest.MapFS{"vishwa.yaml": {Data: []byte("apiVersion: vishwa.dev/v1alpha1\nkind: Project\nmetadata: {name: p}\nspec: {runners: {r: {docker: {host: '" + at + "'}}}}\n")}})
		if held != (len(problems) > 0) {
			t.Errorf("%s: %v", at, problems)
		}
	}
}
