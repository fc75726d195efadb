// Jobs of the team's on a cluster: begun and found as tasks are, and no more than those where
// nobody has reviewed them.

package launcher

import (
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/kubetest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/enginetest"
	"github.com/vishwaops/vishwa/schemas"
)

// team is a task that is a Job of the team's.
func team(name, manifest string) port.Task {
	t := aTask(name, "")
	t.Image, t.Command, t.Ticket = "", nil, nil
	t.External = &port.Delegation{Is: schemas.External{Kubernetes: &schemas.ExternalJob{Manifest: "job.yaml"}}, Manifest: []byte(manifest),
		Vars: map[string]string{port.ExternalOutputs: "s3://bucket/external/x", "VISHWA_PARAMS": "{}"}}
	return t
}

func aManifest(more string) string {
	return `apiVersion: batch/v1
kind: Job
metadata: {name: theirs, namespace: kube-system, labels: {a: b}}
spec:
  backoffLimit: 6
  template:
    spec:
      restartPolicy: OnFailure
      ` + more + `
      containers:
      - {name: etl, image: "` + image + `", command: [sh, -c, 'test "$VISHWA_OUTPUTS" = s3://bucket/external/x'], env: [{name: VISHWA_OUTPUTS, value: mine}]}
`
}

// restricted is a manifest whose pods a namespace of restricted pods takes.
func restricted(manifest string) string {
	manifest = strings.Replace(manifest, "restartPolicy: OnFailure", "restartPolicy: OnFailure\n      securityContext: {runAsNonRoot: true, runAsUser: 1000, seccompProfile: {type: RuntimeDefault}}", 1)
	return strings.Replace(manifest, "{name: etl,", `{name: etl, securityContext: {runAsNonRoot: true, runAsUser: 1000, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}, seccompProfile: {type: RuntimeDefault}},`, 1)
}

func TestAJobOfTheTeamsIsATask(t *testing.T) {
	t.Parallel()
	c := kubetest.New(t, kubetest.Options{Images: []string{image}})
	l := on(t, c, schemas.KubernetesRunner{})
	for _, pull := range []bool{false, true} {
		task := team("reviewed", restricted(aManifest("")))
		if pull { // then it is given what the namespace asks for
			task = team("unreviewed", aManifest(""))
		}
		task.Pull = pull
		id := launch(t, l, task)
		if again, err := l.Launch(t.Context(), task); err != nil || again != id {
			t.Errorf("launched again it is %v, %v; was %v", again, err, id)
		}
		if s := until(t, l, id, over); s.Cause != "" {
			t.Errorf("%s: %+v", task.Name, s)
		}
	}
	failing := launch(t, l, team("failing", restricted(strings.Replace(aManifest(""), "test ", "exit 7; test ", 1))))
	if s := until(t, l, failing, over); s.Cause != port.Exit || s.ExitCode != 7 {
		t.Errorf("%+v", s)
	}
}

// TestWhatAJobIsToldIsAsItIsWritten: params may hold what looks like a variable of Kubernetes's.
func TestWhatAJobIsToldIsAsItIsWritten(t *testing.T) {
	t.Parallel()
	c := kubetest.New(t, kubetest.Options{Images: []string{image}})
	task := team("dollars", restricted(strings.Replace(aManifest(""), `test "$VISHWA_OUTPUTS" = s3://bucket/external/x`, `test "$VISHWA_PARAMS" = "\$(VISHWA_OUTPUTS) \$\$5 \$x"`, 1)))
	task.External.Vars["VISHWA_PARAMS"] = "$(VISHWA_OUTPUTS) $$5 $x"
	l := on(t, c, schemas.KubernetesRunner{})
	if s := until(t, l, launch(t, l, task), over); s.Cause != "" {
		t.Errorf("%+v", s)
	}
}

func TestAManifestIsOneJob(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":       "",
		"no mapping":    "- a\n",
		"no YAML":       "{",
		"two":           aManifest("") + "---\nkind: Secret\n",
		"another kind":  strings.Replace(aManifest(""), "kind: Job", "kind: Pod", 1),
		"no containers": "apiVersion: batch/v1\nkind: Job\nspec: {template: {spec: {containers: []}}}\n",
		"a word":        "apiVersion: batch/v1\nkind: Job\nspec: {template: {spec: {containers: [etl]}}}\n",
		"large":         aManifest("# " + strings.Repeat("x", mostManifest)),
	} {
		if err := takesExternal(team("t", text)); fault.Of(err) != fault.Invalid || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAnUnreviewedManifestIsNoMoreThanATask: each line that would lead out of that is refused,
// and taken where it was reviewed.
func TestAnUnreviewedManifestIsNoMoreThanATask(t *testing.T) {
	container := func(more string) string {
		return strings.Replace(aManifest(""), "{name: etl,", "{name: etl, "+more+",", 1)
	}
	for what, text := range map[string]string{
		"serviceAccountName":           aManifest("serviceAccountName: admin"),
		"automountServiceAccountToken": aManifest("automountServiceAccountToken: true"),
		"hostNetwork":                  aManifest("hostNetwork: true"),
		"hostPID":                      aManifest("hostPID: true"),
		"nodeName":                     aManifest("nodeName: control-plane"),
		"tolerations":                  aManifest("tolerations: [{operator: Exists}]"),
		"securityContext":              aManifest("securityContext: {runAsUser: 0}"),
		"ephemeralContainers":          aManifest("ephemeralContainers: [{name: x}]"),
		"hostPath":                     aManifest("volumes: [{name: v, hostPath: {path: /}}]"),
		"secret":                       aManifest("volumes: [{name: v, secret: {secretName: ticket}}]"),
		"projected":                    aManifest("volumes: [{name: v, projected: {sources: []}}]"),
		"volumes":                      aManifest("volumes: all"),
		"envFrom":                      container("envFrom: [{secretRef: {name: ticket}}]"),
		"lifecycle":                    container("lifecycle: {}"),
		"containers.securityContext":   container("securityContext: {privileged: true}"),
		"valueFrom":                    strings.Replace(aManifest(""), "value: mine", "valueFrom: {secretKeyRef: {name: ticket, key: ticket}}", 1),
		"initContainers":               aManifest("initContainers: [{name: a, image: b, securityContext: {privileged: true}}]"),
		"parallelism":                  strings.Replace(aManifest(""), "backoffLimit: 6", "parallelism: 1000", 1),
		"managedBy":                    strings.Replace(aManifest(""), "backoffLimit: 6", "managedBy: other.example/x", 1),
	} {
		task := team("t", text)
		if err := takesExternal(task); err != nil {
			t.Errorf("reviewed, %s: %v", what, err)
		}
		task.Pull = true
		if err := takesExternal(task); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("unreviewed, %s: %v", what, err)
		}
	}
	task := team("t", aManifest("volumes: [{name: v, emptyDir: {}}]"))
	task.Pull = true
	k := jobKind{o: KubernetesOptions{Runner: schemas.KubernetesRunner{ServiceAccount: "pulls"}}}
	pod := k.object(task, newNames("t"))["spec"].(map[string]any)["template"].(map[string]any)["spec"].(map[string]any)
	first := pod["containers"].([]any)[0].(map[string]any)
	if pod["serviceAccountName"] != "pulls" || pod["automountServiceAccountToken"] != false || pod["restartPolicy"] != "Never" || first["securityContext"] == nil {
		t.Errorf("its pod is %v", pod)
	}
}

// A real API server takes such a Job, in a namespace of restricted pods: one that was reviewed
// and says so itself, and one of a pull request that is given what the namespace asks for.
func TestKubernetesBeginsAJobOfTheTeams(t *testing.T) {
	r := realNamespace(t, "team")
	l := r.launcher(t, schemas.KubernetesRunner{Cluster: "c"})
	real := func(text string) string { return strings.ReplaceAll(text, image, enginetest.Python(t)) }
	if s := until(t, l, launch(t, l, team("reviewed", real(restricted(aManifest(""))))), over); s.Cause != "" {
		t.Errorf("reviewed: %+v", s)
	}
	unreviewed := team("unreviewed", real(aManifest("volumes: [{name: v, emptyDir: {}}]")))
	unreviewed.Pull = true
	if s := until(t, l, launch(t, l, unreviewed), over); s.Cause != "" {
		t.Errorf("of a pull request: %+v", s)
	}
	bad := team("bad", real(restricted(strings.Replace(aManifest(""), "test ", "exit 7; test ", 1))))
	if s := until(t, l, launch(t, l, bad), over); s.Cause != port.Exit || s.ExitCode != 7 {
		t.Errorf("badly: %+v", s)
	}
}

// FuzzManifest: whatever a file of the repository holds, it is read or refused.
func FuzzManifest(f *testing.F) {
	f.Add(aManifest("volumes: [{name: v, emptyDir: {}}]"))
	f.Add("apiVersion: batch/v1\nkind: Job\nspec: {template: {spec: {containers: [{env: 1}], initContainers: 5}}}\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, pull := range []bool{false, true} {
			task := team("t", text)
			task.Pull = pull
			if takesExternal(task) == nil {
				jobKind{}.object(task, newNames("t"))
			}
		}
	})
}
