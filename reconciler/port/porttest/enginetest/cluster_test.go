// The cluster does what a runner will ask of it: a Job in a restricted namespace, its log, its limits, its store.

package enginetest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// namespace makes one of the test's own, in which only restricted pods may be.
func (k *Kubernetes) namespace(t *testing.T, name string) {
	t.Helper()
	k.Kubectl(t, `apiVersion: v1
kind: Namespace
metadata:
  name: `+name+`
  labels: {pod-security.kubernetes.io/enforce: restricted}
`, "create", "-f", "-")
	t.Cleanup(func() { k.Kubectl(t, "", "delete", "namespace", name, "--wait=false") })
	k.Await(t, 30*time.Second, "default", "get", "serviceaccount", "-n", name, "-o", "jsonpath={.items[*].metadata.name}")
}

// job is a manifest of a restricted Job that runs Python.
func job(name, image, code string, more ...string) string {
	labels, args, resources, pod, mounts := "", "", "", "", ""
	for _, m := range more {
		key, value, _ := strings.Cut(m, "=")
		switch key {
		case "label":
			labels = value
		case "arg":
			args = ", " + strconv.Quote(value)
		case "resources":
			resources = value
		case "pod":
			pod = value
		case "mounts":
			mounts = value
		}
	}
	return fmt.Sprintf(`apiVersion: batch/v1
kind: Job
metadata: {name: %s, labels: {%s}}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      automountServiceAccountToken: false
      securityContext: {runAsNonRoot: true, runAsUser: 10001, seccompProfile: {type: RuntimeDefault}}
      %s
      containers:
      - name: run
        image: %s
        command: [python3, -c, %q%s]
        resources: {%s}
        volumeMounts: [%s]
        securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
`, name, labels, pod, image, code, args, resources, mounts)
}

// done waits for a Job and reads its log.
func (k *Kubernetes) done(t *testing.T, namespace, name string) string {
	t.Helper()
	k.Await(t, 2*time.Minute, "1", "get", "job", name, "-n", namespace, "-o", "jsonpath={.status.succeeded}")
	return k.Kubectl(t, "", "logs", "-n", namespace, "job/"+name)
}

func TestKubernetesRunsARestrictedJobThatWritesIntoAStore(t *testing.T) {
	k, image, b := Cluster(t), Python(t), newBucket(t)
	k.namespace(t, "restricted")
	k.Kubectl(t, job("train", image, putCode, "arg="+b.mayPut(t, "from-a-pod")), "create", "-n", "restricted", "-f", "-")
	if said := k.done(t, "restricted", "train"); said != "written\n" {
		t.Errorf("the log is %q", said)
	}
	if got := b.get(t, "from-a-pod"); got != "kept" {
		t.Errorf("the pod wrote %q", got)
	}
	if ran := k.Kubectl(t, "", "get", "pods", "-n", "restricted", "-o", "jsonpath={.items[0].status.containerStatuses[0].imageID}"); ran != image {
		t.Errorf("the node ran %s, not %s", ran, image)
	}
}

func TestKubernetesHoldsAPodToItsLimitsAndNames(t *testing.T) {
	k, image := Cluster(t), Python(t)
	k.namespace(t, "limits")
	code := `
import os, socket
print("memory", *[open(p).read().strip() for p in ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory.max") if os.path.exists(p)])
print("user", os.getuid(), [l.split()[1] for l in open("/proc/self/status") if l.startswith(("CapEff", "NoNewPrivs", "Seccomp:"))])
try: open("/new", "w")
except OSError as e: print(e.strerror)
print("api at", socket.gethostbyname("kubernetes.default.svc.cluster.local"))
socket.create_connection(("kubernetes.default.svc.cluster.local", 443), 10)
`
	k.Kubectl(t, job("limited", image, code, `resources=limits: {memory: 256Mi, cpu: 500m, ephemeral-storage: 100Mi}, requests: {memory: 64Mi, cpu: 10m}`), "create", "-n", "limits", "-f", "-")
	want := "memory 268435456\nuser 10001 ['1', '0000000000000000', '2']\nRead-only file system\napi at " + service1 + "\n"
	said := k.done(t, "limits", "limited")
	if sorted := strings.Replace(said, "['0000000000000000', '1', '2']", "['1', '0000000000000000', '2']", 1); sorted != want {
		t.Errorf("the pod says\n%s and not\n%s", said, want)
	}
	k.Kubectl(t, job("hungry", image, "x = bytearray(200 << 20)", "resources=limits: {memory: 64Mi}"), "create", "-n", "limits", "-f", "-")
	k.Await(t, time.Minute, "OOMKilled 137", "get", "pods", "-n", "limits", "-l", "job-name=hungry", "-o",
		"jsonpath={.items[0].status.containerStatuses[0].state.terminated.reason} {.items[0].status.containerStatuses[0].state.terminated.exitCode}")
}

func TestKubernetesRefusesWhatIsNotRestricted(t *testing.T) {
	k := Cluster(t)
	k.namespace(t, "guarded")
	out, err := k.kubectl("", "run", "root", "-n", "guarded", "--image="+Python(t), "--restart=Never")
	if err == nil || !strings.Contains(out, `violates PodSecurity "restricted`) {
		t.Errorf("a pod that may be anything was taken: %v\n%s", err, out)
	}
}

// A worker comes into any image so, without a step that copies it.
func TestKubernetesMountsAnImageAsAFolder(t *testing.T) {
	k, image := Cluster(t), Python(t)
	k.namespace(t, "volumes")
	worker := Push(t, "vishwa/worker", Image{Files: map[string]string{"/bin/worker.py": "print('brought along')"}})
	k.Kubectl(t, job("brought", image, "exec(open('/worker/bin/worker.py').read())", "pod=volumes: [{name: worker, image: {reference: "+worker+"}}]",
		"mounts={name: worker, mountPath: /worker, readOnly: true}"), "create", "-n", "volumes", "-f", "-")
	if said := k.done(t, "volumes", "brought"); said != "brought along\n" {
		t.Errorf("the log is %q", said)
	}
}

// Everything but the pod itself goes down and comes up again while a Job runs, as where a machine has too little memory.
func TestKubernetesGoesOnAfterEachOfItsProgramsCrashed(t *testing.T) {
	k, image := Cluster(t), Python(t)
	k.namespace(t, "crashed")
	k.Kubectl(t, job("long", image, "import time; time.sleep(10); print('to the end')"), "create", "-n", "crashed", "-f", "-")
	k.Await(t, time.Minute, "1", "get", "job", "long", "-n", "crashed", "-o", "jsonpath={.status.ready}")
	for _, p := range slices.Backward(programs) {
		k.Crash(t, p.name)
	}
	if out, err := k.kubectl("", "get", "--raw", "/readyz"); err == nil {
		t.Errorf("a server that crashed answers: %s", out)
	}
	for _, p := range programs {
		k.Restart(t, p.name)
	}
	if said := k.done(t, "crashed", "long"); said != "to the end\n" {
		t.Errorf("the log is %q", said)
	}
	code := "import socket; print(socket.gethostbyname('kubernetes.default.svc.cluster.local'))"
	k.Kubectl(t, job("next", image, code), "create", "-n", "crashed", "-f", "-")
	if said := k.done(t, "crashed", "next"); said != service1+"\n" {
		t.Errorf("a Job after the crash says %q", said)
	}
}

func TestKubernetesSaysWhyAnImageDoesNotRun(t *testing.T) {
	k := Cluster(t)
	k.namespace(t, "images")
	absent := Registry(t) + "/vishwa/python@sha256:" + strings.Repeat("0", 64)
	k.Kubectl(t, job("absent", absent, ""), "create", "-n", "images", "-f", "-")
	const reason = "jsonpath={.items[0].status.containerStatuses[0].state.waiting.reason}"
	k.Await(t, time.Minute, "ImagePullBackOff", "get", "pods", "-n", "images", "-l", "job-name=absent", "-o", reason)
	k.Kubectl(t, job("other", otherArchitecture(t), ""), "create", "-n", "images", "-f", "-")
	k.Await(t, time.Minute, "ImagePullBackOff", "get", "pods", "-n", "images", "-l", "job-name=other", "-o", reason)
	said := k.Kubectl(t, "", "get", "events", "-n", "images", "-o", "jsonpath={.items[*].message}")
	for _, want := range []string{absent + ": not found", "no match for platform in manifest"} {
		if !strings.Contains(said, want) {
			t.Errorf("nothing says %q: %s", want, said)
		}
	}
}

// otherArchitecture is the reference of an image that is to be had for a machine of another kind alone.
func otherArchitecture(t *testing.T) string {
	t.Helper()
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: PythonImage(t), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "s390x"}}})
	digest, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	at := Registry(t) + "/vishwa/other@" + digest.String()
	ref, err := name.NewDigest(at)
	if err == nil {
		err = remote.WriteIndex(ref, index)
	}
	if err != nil {
		t.Fatal(err)
	}
	return at
}
