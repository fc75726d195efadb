// Kueue and Trainer do what their makers say: a quota holds a Job back, and the nodes of a training find one another.

package enginetest

import (
	"fmt"
	"testing"
	"time"
)

func TestKubernetesQueueHoldsTheSecondJob(t *testing.T) {
	k, image := Cluster(t), Python(t)
	k.Kueue(t)
	k.namespace(t, "queued")
	k.Kubectl(t, `apiVersion: kueue.x-k8s.io/v1beta2
kind: ResourceFlavor
metadata: {name: any}
---
apiVersion: kueue.x-k8s.io/v1beta2
kind: ClusterQueue
metadata: {name: ml}
spec:
  namespaceSelector: {}
  resourceGroups: [{coveredResources: [cpu], flavors: [{name: any, resources: [{name: cpu, nominalQuota: "1"}]}]}]
---
apiVersion: kueue.x-k8s.io/v1beta2
kind: LocalQueue
metadata: {name: team, namespace: queued}
spec: {clusterQueue: ml}
`, "create", "-f", "-")
	t.Cleanup(func() {
		k.Kubectl(t, "", "delete", "localqueue/team", "-n", "queued")
		k.Kubectl(t, "", "delete", "clusterqueue/ml", "resourceflavor/any")
	})
	for _, name := range []string{"first", "second"} {
		k.Kubectl(t, job(name, image, "import time; time.sleep(6)", "label=kueue.x-k8s.io/queue-name: team", "resources=requests: {cpu: 600m}"), "create", "-n", "queued", "-f", "-")
		k.Await(t, time.Minute, map[string]string{"first": "false", "second": "true"}[name], "get", "job", name, "-n", "queued", "-o", "jsonpath={.spec.suspend}")
	}
	k.Await(t, time.Minute, "couldn't assign flavors to pod set main: insufficient unused quota for cpu in flavor any, 200m more needed",
		"get", "workloads", "-n", "queued", "-o", `jsonpath={.items[*].status.conditions[?(@.reason=="Pending")].message}`)
	k.done(t, "queued", "first")
	k.done(t, "queued", "second")
	const ended = `jsonpath={.status.completionTime}`
	if began, free := k.Kubectl(t, "", "get", "job", "second", "-n", "queued", "-o", "jsonpath={.status.startTime}"), k.Kubectl(t, "", "get", "job", "first", "-n", "queued", "-o", ended); began < free {
		t.Errorf("the second began at %s, before the first ended at %s", began, free)
	}
}

func TestKubeflowTrainsOnTwoNodesThatFindOneAnother(t *testing.T) {
	k, image := Cluster(t), Python(t)
	k.Trainer(t)
	k.namespace(t, "trained")
	restricted := fmt.Sprintf(`securityContext: {runAsNonRoot: true, runAsUser: 10001, seccompProfile: {type: RuntimeDefault}}
                containers: [{name: node, image: %q, securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}}]`, image)
	k.Kubectl(t, `apiVersion: trainer.kubeflow.org/v1alpha1
kind: TrainingRuntime
metadata: {name: two, namespace: trained, labels: {trainer.kubeflow.org/framework: torch}}
spec:
  mlPolicy: {numNodes: 2, torch: {}}
  template:
    spec:
      replicatedJobs:
      - name: node
        template:
          metadata: {labels: {trainer.kubeflow.org/trainjob-ancestor-step: trainer}}
          spec:
            template:
              spec:
                `+restricted+"\n", "create", "-f", "-")
	code := `
import os, socket, time
rank, nodes, at = (os.environ["PET_" + n] for n in ("NODE_RANK", "NNODES", "MASTER_ADDR"))
port = int(os.environ["PET_MASTER_PORT"])
if rank == "0":
    s = socket.create_server(("", port)); c, _ = s.accept()
    print("rank 0 of", nodes, "heard", c.recv(99).decode())
else:
    for _ in range(600):
        try: c = socket.create_connection((at, port), 5); break
        except OSError: time.sleep(.1)
    c.sendall(("rank " + rank).encode())
`
	k.Kubectl(t, fmt.Sprintf(`apiVersion: trainer.kubeflow.org/v1alpha1
kind: TrainJob
metadata: {name: tj, namespace: trained}
spec:
  runtimeRef: {name: two, kind: TrainingRuntime}
  trainer: {command: [python3, -c, %q]}
`, code), "create", "-f", "-")
	k.Await(t, 3*time.Minute, "True", "get", "trainjob", "tj", "-n", "trained", "-o", `jsonpath={.status.conditions[?(@.type=="Complete")].status}`)
	said := k.Kubectl(t, "", "logs", "-n", "trained", "-l", "jobset.sigs.k8s.io/jobset-name=tj", "--tail=-1")
	if said != "rank 0 of 2 heard rank 1\n" {
		t.Errorf("the nodes said %q", said)
	}
}
