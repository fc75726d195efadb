// The chart: what any set of values makes is what Kubernetes takes, restricted pods with secrets by reference alone, or is refused.

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/vishwaops/vishwa/reconciler/port/porttest/enginetest"
)

func TestMain(m *testing.M) { os.Exit(enginetest.Main(m)) }

const chart = "../../templates/chart"

// least are values without which there is no controller.
const least = `
image: {repository: registry.example.com/team/vishwa, digest: "sha256:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"}
config: {repositories: [{url: https://github.com/acme/models.git, branches: [main], clusters: [{namespaces: [models, train, team-a, a]}]}]}
secrets: {keys: vishwa-keys, keyPassword: {name: vishwa, key: password}}
`

// helm runs helm; the test is skipped where real programs are not asked for.
func helm(t *testing.T, args ...string) (string, error) {
	t.Helper()
	if os.Getenv("VISHWA_REAL") == "" {
		t.Skip("helm takes a minute to build: run make test-kubernetes")
	}
	program := filepath.Join(os.Getenv("VISHWA_TOOLS"), "helm")
	if _, err := os.Stat(program); err != nil {
		t.Fatalf("helm is missing: make test-kubernetes builds it: %v", err)
	}
	cmd := exec.Command(program, args...)
	home := t.TempDir()
	cmd.Env = append(os.Environ(), "HOME="+home, "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// rendered is what the chart makes of values, which come over the least.
func rendered(t *testing.T, values string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "least.yaml"), least)
	write(t, filepath.Join(dir, "values.yaml"), values)
	return helm(t, "template", "prod", chart, "--namespace", "vishwa", "--kube-version", "1.35.4", "-f", filepath.Join(dir, "least.yaml"), "-f", filepath.Join(dir, "values.yaml"))
}

// TestKubernetesChartsValuesMakeWhatIsTaken: each set of values, and what is special about it.
func TestKubernetesChartsValuesMakeWhatIsTaken(t *testing.T) {
	shared := `
replicas: 3
persistence: {enabled: false}
config: {repositories: [{url: https://github.com/acme/models.git, github: {token: {file: secrets/token}}}], replicas: {repository: github.com/acme/models}}
secrets: {sealKey: {name: vishwa, key: seal}, webhook: {name: hook, key: now}, webhookPrevious: {name: hook, key: before}, files: {token: {name: forge, key: token}, homes/airflow: {name: tools, key: airflow}}}
`
	for name, c := range map[string]struct {
		values string
		holds  func(t *testing.T, o objects)
	}{
		"one that polls": {"", func(t *testing.T, o objects) {
			c := o.controllers[0]
			if !c.Webhook.Off || c.Listen != ":8701" || c.Metrics.Listen != "" || len(o.services) != 1 || len(o.claims) != 1 || len(o.roles) != 0 || len(o.budgets) != 0 {
				t.Errorf("it is %+v", o)
			}
			if *o.deployment.Spec.Template.Spec.AutomountServiceAccountToken || o.deployment.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType {
				t.Error("it has a token of the API server, or two controllers meet on its volume")
			}
		}},
		"three that share": {shared, func(t *testing.T, o objects) {
			c := o.controllers[0]
			if c.Replicas.Repository != "github.com/acme/models" || !slices.Equal(c.Replicas.Peers, []string{"prod-vishwa-replicas.vishwa.svc:8700"}) {
				t.Errorf("they meet at %+v", c.Replicas)
			}
			if c.Listen != ":8700" || c.Metrics.Listen != ":8701" || c.SealKey.File != "secrets/sealKey" || c.Webhook.Previous.File != "secrets/webhookPrevious" {
				t.Errorf("the file is %+v", c)
			}
			if len(o.services) != 3 || len(o.claims) != 0 || len(o.budgets) != 1 || *o.deployment.Spec.Replicas != 3 {
				t.Errorf("it is %+v", o)
			}
			files := map[string]string{}
			for _, v := range o.deployment.Spec.Template.Spec.Volumes {
				if v.Projected != nil {
					for _, s := range v.Projected.Sources {
						files[s.Secret.Items[0].Path] = s.Secret.Name + "/" + s.Secret.Items[0].Key
					}
				}
			}
			if files["token"] != "forge/token" || files["webhook"] != "hook/now" || files["keyPassword"] != "vishwa/password" || files["homes/airflow"] != "tools/airflow" || len(files) != 6 {
				t.Errorf("its secrets are %v", files)
			}
		}},
		"runners in two namespaces": {"runners: [{namespace: models, kueue: true}, {namespace: train, kubeflow: true}]", func(t *testing.T, o objects) {
			rights := map[string][]string{}
			for _, r := range o.roles {
				for _, rule := range r.Rules {
					for _, of := range rule.Resources {
						rights[r.Namespace] = append(rights[r.Namespace], of+" "+strings.Join(rule.Verbs, ","))
					}
				}
			}
			const jobs, lists, makes = "create,get,list,watch,patch,delete", "list,watch", "create"
			common := []string{"jobs " + jobs, "pods " + lists, "events " + lists, "secrets " + makes, "services " + makes}
			want := map[string][]string{"models": append(slices.Clone(common), "workloads "+lists), "train": append(slices.Clone(common), "trainjobs "+jobs), "kube-system": {"namespaces get"}}
			if fmt.Sprint(rights) != fmt.Sprint(want) {
				t.Errorf("its rights are %v and not %v", rights, want)
			}
			if len(o.bindings) != 3 || !*o.deployment.Spec.Template.Spec.AutomountServiceAccountToken {
				t.Errorf("it has %d bindings", len(o.bindings))
			}
			for _, b := range o.bindings {
				if len(b.Subjects) != 1 || b.Subjects[0].Name != "prod-vishwa" || b.Subjects[0].Namespace != "vishwa" || b.RoleRef.Kind != "Role" {
					t.Errorf("a binding is %+v", b)
				}
			}
		}},
		"the rest": {`
serviceMonitor: {enabled: true, labels: {release: prometheus}}
networkPolicy: {webhooksFrom: [{namespaceSelector: {matchLabels: {name: ingress}}}], metricsFrom: [{podSelector: {}}], to: [{ports: [{port: 9000}]}]}
secrets: {webhook: {name: hook, key: now}}
env: [{name: AWS_REGION, value: eu-central-1}, {name: AWS_SECRET_ACCESS_KEY, secret: s3, key: secret}]
certificates: {configMap: authorities, key: ca.pem}
image: {pullSecrets: [{name: pull}], pullPolicy: Always}
serviceAccount: {annotations: {eks.amazonaws.com/role-arn: "arn:aws:iam::1:role/x"}}
persistence: {existingClaim: mine}
resources: {limits: {memory: 4Gi}}
nodeSelector: {disk: ssd}
tolerations: [{operator: Exists}]
affinity: {nodeAffinity: {}}
priorityClassName: high
podAnnotations: {a: b}
podLabels: {team: ml}
service: {type: LoadBalancer, annotations: {x: "y: z"}}
`, func(t *testing.T, o objects) {
			if len(o.monitors) != 1 || len(o.claims) != 0 || len(o.policies) != 1 || len(o.policies[0].Spec.Ingress) != 2 || len(o.policies[0].Spec.Ingress[0].From) != 2 {
				t.Errorf("it is %+v", o)
			}
			env := o.deployment.Spec.Template.Spec.Containers[0].Env
			if len(env) != 4 || env[0].Value != "/etc/vishwa/secrets" || env[1].Value != "/etc/vishwa/certificates/ca.pem" || env[3].ValueFrom.SecretKeyRef.Name != "s3" || env[3].Value != "" {
				t.Errorf("its environment is %+v", env)
			}
		}},
		"no policy of the network, another account": {"networkPolicy: {enabled: false}\nserviceAccount: {create: false, name: mine}", func(t *testing.T, o objects) {
			if len(o.policies)+len(o.accounts) != 0 || o.deployment.Spec.Template.Spec.ServiceAccountName != "mine" {
				t.Errorf("it is %+v", o)
			}
		}},
		"text that would be YAML": {`
env: [{name: X, value: "a\n      hostPath: {path: /}\n\": ]{{ .Values }}"}]
podAnnotations: {"a": "b\nspec: {hostNetwork: true}"}
config: {repositories: [{url: https://github.com/acme/models.git, name: "a: {b} # c"}], log: {level: "info"}}
`, func(t *testing.T, o objects) {
			if got := o.deployment.Spec.Template.Spec.Containers[0].Env[1].Value; got != "a\n      hostPath: {path: /}\n\": ]{{ .Values }}" {
				t.Errorf("a text became %q", got)
			}
			if got := o.controllers[0].Repositories[0].Name; got != "a: {b} # c" {
				t.Errorf("a name became %q", got)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			manifest, err := rendered(t, c.values)
			if err != nil {
				t.Fatal(manifest)
			}
			o := parsed(t, manifest)
			if wrong := restricted(o.deployment.Spec.Template.Spec); len(wrong) > 0 {
				t.Errorf("its pod %s", strings.Join(wrong, ", "))
			}
			c.holds(t, o)
		})
	}
}

// TestKubernetesChartsPageShowsValuesThatAreTaken: the first of docs/kubernetes.md, and each further over it.
func TestKubernetesChartsPageShowsValuesThatAreTaken(t *testing.T) {
	raw, err := os.ReadFile("../../docs/kubernetes.md")
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, part := range strings.Split(string(raw), "\n```yaml\n")[1:] {
		if block, _, _ := strings.Cut(part, "\n```\n"); !strings.HasPrefix(block, "apiVersion:") {
			blocks = append(blocks, block)
		}
	}
	if len(blocks) < 2 {
		t.Fatalf("values are not found: %q", blocks)
	}
	for n := range blocks {
		args := []string{"template", "vishwa", chart, "--namespace", "vishwa", "--kube-version", "1.35.4"}
		for _, k := range slices.Compact([]int{0, n}) {
			file := filepath.Join(t.TempDir(), "values.yaml")
			write(t, file, blocks[k])
			args = append(args, "-f", file)
		}
		manifest, err := helm(t, args...)
		if err != nil {
			t.Fatal(manifest)
		}
		parsed(t, manifest)
	}
}

// TestKubernetesChartsBadValuesAreRefused: with the name of what is wrong, before anything is made.
func TestKubernetesChartsBadValuesAreRefused(t *testing.T) {
	for name, c := range map[string]struct{ values, says string }{
		"an image by tag":                {`image: {digest: "latest"}`, "digest"},
		"a tag in the name":              {`image: {repository: "registry.example.com/team/vishwa:1"}`, "repository"},
		"no keys":                        {`secrets: {keys: ""}`, "keys"},
		"a secret in clear":              {`secrets: {keyPassword: hunter2}`, "keyPassword"},
		"a secret without its key":       {`secrets: {sealKey: {name: x}}`, "sealKey"},
		"a file outside of its folder":   {`secrets: {files: {"../x": {name: a, key: b}}}`, "../x"},
		"a file that is the chart's":     {`secrets: {files: {webhook: {name: a, key: b}}}`, "secrets.files.webhook"},
		"a name that is YAML":            {`secrets: {keys: "a\n  b: c"}`, "keys"},
		"an unknown field":               {`replica: 3`, "replica"},
		"a privileged container":         {`securityContext: {privileged: true}`, "securityContext"},
		"nothing to reconcile":           {`config: {repositories: []}`, "repositories"},
		"the chart's own field":          {`config: {listen: "0.0.0.0:80"}`, "config.listen"},
		"keys in the file":               {`config: {keyPassword: {env: X}}`, "config.keyPassword"},
		"several with one volume":        {"replicas: 2\nsecrets: {sealKey: {name: a, key: b}}", "persistence.enabled"},
		"several without a key":          {"replicas: 2\npersistence: {enabled: false}", "secrets.sealKey"},
		"several that do not meet":       {"replicas: 2\npersistence: {enabled: false}\nsecrets: {sealKey: {name: a, key: b}}", "config.replicas.repository"},
		"a namespace for nobody":         {"serving: [{namespace: b}]", "clusters: [{namespaces: [b]}]"},
		"a namespace of another context": {"config: {repositories: [{url: https://github.com/acme/models.git, clusters: [{context: prod, namespaces: [a]}]}]}\nserving: [{namespace: a}]", "clusters: [{namespaces: [a]}]"},
		"a folder in a folder":           {`secrets: {files: {"a/b/c": {name: a, key: b}}}`, "a/b/c"},
		"a namespace twice":              {"runners: [{namespace: a}, {namespace: a}]", "twice"},
		"a namespace that serves twice":  {"serving: [{namespace: a}, {namespace: a}]", "twice"},
		"a namespace that is a pattern":  {`runners: [{namespace: "*"}]`, "namespace"},
		"a namespace in capitals":        {`runners: [{namespace: Team}]`, "namespace"},
		"a variable of both":             {`env: [{name: A, value: b, secret: c, key: d}]`, "env"},
		"a label that pods are found by": {`podLabels: {app.kubernetes.io/name: x}`, "podLabels"},
		"everybody by an empty peer":     {`networkPolicy: {webhooksFrom: [{}]}`, "webhooksFrom"},
		"a path of a certificate":        {`certificates: {configMap: a, key: ../b}`, "certificates"},
	} {
		t.Run(name, func(t *testing.T) {
			said, err := rendered(t, c.values)
			if err == nil {
				t.Fatalf("it is taken:\n%s", said)
			}
			if !strings.Contains(said, c.says) {
				t.Errorf("it does not name %s: %s", c.says, said)
			}
			if strings.Contains(said, "hunter2") {
				t.Errorf("a secret that stands in the wrong place is repeated: %s", said)
			}
		})
	}
}

// TestKubernetesChartsRightsAreTheFiles: what the chart gives a runner, or what serves, is what the file of templates/kubernetes gives,
// with which the one or the other passes its suite.
func TestKubernetesChartsRightsAreTheFiles(t *testing.T) {
	for file, values := range map[string]string{
		"launcher": "runners: [{namespace: team-a, kueue: true, kubeflow: true}]",
		"serving":  "serving: [{namespace: team-a}]",
	} {
		manifest, err := rendered(t, values)
		if err != nil {
			t.Fatal(manifest)
		}
		o := parsed(t, manifest)
		if got, want := rightsByPlace(o.roles), rightsByPlace(rolesOf(t, "../../templates/kubernetes/"+file+".yaml")); got != want {
			t.Errorf("the chart gives\n%v\nand %s needs\n%v", got, file, want)
		}
		if !*o.deployment.Spec.Template.Spec.AutomountServiceAccountToken {
			t.Errorf("%s: it has no token of the API server", file)
		}
	}
}
