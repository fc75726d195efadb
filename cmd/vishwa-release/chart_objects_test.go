// What a chart renders to, as its tests read it.

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	k8syaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/vishwaops/vishwa/reconciler/controller/config"
)

// objects are those of a manifest, each read strictly as its own type.
type objects struct {
	deployment  *appsv1.Deployment
	configs     []*corev1.ConfigMap
	claims      []*corev1.PersistentVolumeClaim
	services    []*corev1.Service
	accounts    []*corev1.ServiceAccount
	roles       []*rbacv1.Role
	bindings    []*rbacv1.RoleBinding
	policies    []*networkingv1.NetworkPolicy
	budgets     []*policyv1.PodDisruptionBudget
	monitors    []map[string]any
	controllers []config.Spec
}

func read[T any](t *testing.T, raw []byte, into *[]*T) *T {
	t.Helper()
	var v T
	if err := yaml.UnmarshalStrict(raw, &v); err != nil {
		t.Fatalf("it is not what Kubernetes takes: %v\n%s", err, raw)
	}
	*into = append(*into, &v)
	return &v
}

// parsed reads all objects of a manifest.
func parsed(t *testing.T, manifest string) (o objects) {
	t.Helper()
	var deployments []*appsv1.Deployment
	split := k8syaml.NewYAMLReader(bufio.NewReader(strings.NewReader(manifest)))
	for {
		raw, err := split.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		var kind struct {
			Kind     string
			Metadata struct{ Namespace, Name string }
		}
		if err := yaml.Unmarshal(raw, &kind); err != nil || kind.Kind == "" {
			t.Fatalf("no object: %v\n%s", err, raw)
		}
		if kind.Metadata.Namespace == "" {
			t.Errorf("%s %s is in no namespace", kind.Kind, kind.Metadata.Name)
		}
		switch kind.Kind {
		case "Deployment":
			o.deployment = read(t, raw, &deployments)
		case "ConfigMap":
			read(t, raw, &o.configs)
		case "PersistentVolumeClaim":
			read(t, raw, &o.claims)
		case "Service":
			read(t, raw, &o.services)
		case "ServiceAccount":
			read(t, raw, &o.accounts)
		case "Role":
			read(t, raw, &o.roles)
		case "RoleBinding":
			read(t, raw, &o.bindings)
		case "NetworkPolicy":
			read(t, raw, &o.policies)
		case "PodDisruptionBudget":
			read(t, raw, &o.budgets)
		case "ServiceMonitor":
			var m map[string]any
			if err := yaml.UnmarshalStrict(raw, &m); err != nil {
				t.Fatal(err)
			}
			o.monitors = append(o.monitors, m)
		default:
			t.Errorf("nobody expects a %s", kind.Kind)
		}
	}
	if o.deployment == nil || len(o.configs) != 1 {
		t.Fatalf("there is no controller in\n%s", manifest)
	}
	spec, err := config.Parse("controller.yaml", []byte(o.configs[0].Data["controller.yaml"]))
	if err != nil {
		t.Fatalf("the controller would not take its file: %v\n%s", err, o.configs[0].Data["controller.yaml"])
	}
	o.controllers = append(o.controllers, spec)
	return o
}

// restricted tells what a pod is that the standard of that name does not let in, and what in it is no reference.
func restricted(pod corev1.PodSpec) (wrong []string) {
	say := func(is bool, what string) {
		if is {
			wrong = append(wrong, what)
		}
	}
	s := pod.SecurityContext
	say(s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot || s.RunAsUser == nil || *s.RunAsUser == 0, "may be root")
	say(s == nil || s.SeccompProfile == nil || s.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault, "has no seccomp profile")
	say(pod.HostNetwork || pod.HostPID || pod.HostIPC, "shares the host")
	for _, c := range slices.Concat(pod.InitContainers, pod.Containers) {
		s := c.SecurityContext
		say(s == nil || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation, "may gain privileges")
		say(s == nil || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem, "may write to its image")
		say(s == nil || s.Capabilities == nil || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) || len(s.Capabilities.Add) > 0, "has capabilities")
		say(!regexp.MustCompile(`@sha256:[0-9a-f]{64}$`).MatchString(c.Image), "has an image by tag")
		say(c.LivenessProbe == nil || c.ReadinessProbe == nil || c.StartupProbe == nil, "has no probes")
	}
	for _, v := range pod.Volumes {
		say(v.ConfigMap == nil && v.Secret == nil && v.Projected == nil && v.PersistentVolumeClaim == nil && v.EmptyDir == nil, "mounts "+v.Name)
	}
	return wrong
}

func rightsByPlace(roles []*rbacv1.Role) string {
	out := map[string]string{}
	for _, r := range roles {
		out[r.Namespace] = fmt.Sprint(r.Rules)
	}
	return fmt.Sprint(out)
}

// rolesOf are the roles that a file of templates/kubernetes gives in the namespace team-a.
func rolesOf(t *testing.T, file string) (roles []*rbacv1.Role) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	split := k8syaml.NewYAMLReader(bufio.NewReader(strings.NewReader(strings.ReplaceAll(string(raw), "NAMESPACE", "team-a"))))
	for {
		raw, err := split.Read()
		if errors.Is(err, io.EOF) {
			return roles
		}
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(raw, []byte("\nkind: Role\n")) {
			read(t, raw, &roles)
		}
	}
}
