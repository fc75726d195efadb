// What people rely on when they deploy to a cluster, on one in this process.

package kubernetes

import (
	"os"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"github.com/vishwaops/vishwa/reconciler/port/porttest"
)

// rights are those that templates/kubernetes/serving.yaml gives.
func rights(t *testing.T) []rbacv1.PolicyRule {
	t.Helper()
	return rightsOf(t, Rights)
}

func rightsOf(t *testing.T, file string) []rbacv1.PolicyRule {
	t.Helper()
	raw, err := os.ReadFile("../../../../" + file)
	if err != nil {
		t.Fatal(err)
	}
	var rules []rbacv1.PolicyRule
	for _, doc := range strings.Split(string(raw), "\n---\n") {
		var role rbacv1.Role
		if err := yaml.UnmarshalStrict([]byte(doc), &role); err == nil && role.Kind == "Role" {
			rules = append(rules, role.Rules...)
		}
	}
	if len(rules) == 0 {
		t.Fatal("the file gives no rights")
	}
	return rules
}

func TestPodsKeepTheServersPromises(t *testing.T) {
	porttest.Server(t, func(t *testing.T) porttest.Serving {
		t.Parallel() // most of it is waiting
		s := onDouble(t)
		return s.serving(s.release)
	})
}
