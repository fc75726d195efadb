// A run by Kubeflow's Trainer on a real cluster, from its start until its result is kept.

package app

import (
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/enginetest"
	"github.com/vishwaops/vishwa/schemas"
)

// tells is a training that tells Trainer how far it is as Trainer documents it, and ends when it has been seen to.
const tells = `
import json, os, ssl, sys, time, urllib.request
url, ca, token = (os.environ["KUBEFLOW_TRAINER_SERVER_" + n] for n in ("URL", "CA_CERT", "TOKEN"))
told = {"progressPercentage": 40, "estimatedRemainingSeconds": 120, "metrics": [{"name": "loss", "value": "0.2"}],
    "lastUpdatedTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
for _ in range(60):
    try:
        urllib.request.urlopen(urllib.request.Request(url, json.dumps({"trainerStatus": told}).encode(),
            {"Authorization": "Bearer " + open(token).read(), "Content-Type": "application/json"}), context=ssl.create_default_context(cafile=ca))
        break
    except OSError as e:
        print("not yet:", e, flush=True); time.sleep(1)
else:
    sys.exit("Trainer cannot be told")
open(os.environ["VISHWA_OUTPUT_MADE"], "w").write("made")
time.sleep(15)
`

// TestKubeflowShowsHowFarARunIs: what a run tells its Trainer is told to who waits for it, and it ends as any run does.
func TestKubeflowShowsHowFarARunIs(t *testing.T) {
	k := enginetest.Cluster(t)
	k.TrainerStatus(t)
	b := clusterBenchBy(t, "runs-trained", enginetest.MinIO(t), schemas.Runner{Kubeflow: &schemas.KubeflowRunner{Cluster: "one", RuntimeRef: "namespace/torch"}}, enginetest.Python(t))
	k.Kubectl(t, `apiVersion: trainer.kubeflow.org/v1alpha1
kind: TrainingRuntime
metadata: {name: torch, namespace: runs-trained, labels: {trainer.kubeflow.org/framework: torch}}
spec:
  mlPolicy: {numNodes: 1, torch: {}}
  template:
    spec:
      replicatedJobs:
      - name: node
        template:
          metadata: {labels: {trainer.kubeflow.org/trainjob-ancestor-step: trainer}}
          spec:
            backoffLimit: 0
            template:
              spec:
                restartPolicy: Never
                automountServiceAccountToken: false
                containers: [{name: node, image: "docker.io/pytorch/pytorch"}]
`, "create", "-f", "-")
	job := port.Job{Key: digest.Of([]byte("told")), Ref: schemas.Ref{Kind: schemas.KindTraining, Name: "told"}, Timeout: 10 * time.Minute,
		Command: []string{"python3", "-c", tells}, Outputs: map[string]string{"made": "made"}}
	var seen []string
	run, err := b.runner.Start(t.Context(), job)
	for err == nil && run.State != port.Done {
		if news := run.News(); news != "" && (len(seen) == 0 || seen[len(seen)-1] != news) {
			seen = append(seen, news)
		}
		run, err = b.runner.Wait(t.Context(), job.Key, run.State, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	if r := run.Result; r.Cause != "" || r.Outputs["made"].Digest != digest.Of([]byte("made")) {
		t.Errorf("%s %s\n%s", r.Cause, r.Message, r.Tail)
	}
	if want := "now: 40% done, 120 s to go, loss 0.2"; len(seen) == 0 || seen[len(seen)-1] != want {
		t.Errorf("it told %q, want %q at last", seen, want)
	}
}
