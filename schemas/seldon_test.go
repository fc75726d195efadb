package schemas

import (
	"strings"
	"testing"
)

// TestAnOwnServerThatCouldLoadNothingIsRefused: before anything is asked of a cluster.
func TestAnOwnServerThatCouldLoadNothingIsRefused(t *testing.T) {
	const head = "apiVersion: vishwa.dev/v1alpha1\nkind: Deployment\nmetadata: {name: d}\nspec:\n  model: model/m\n  environment: staging\n  target: {seldon: {cluster: prod, requirements: [sklearn], "
	const byTag = `spec.target.seldon.ownServer.image: "reg.example.com/mlserver:1.7" names what may change, as no digest is given`
	for text, says := range map[string]string{
		"server: mlserver, ownServer: {config: mlserver}": "spec.target.seldon.server: names a Server, and ownServer has one made",
		"ownServer: {}": "spec.target.seldon.ownServer.config: is missing",
		"ownServer: {config: mlserver, capabilities: [onnx]}":                                               `ownServer.capabilities: does not have "sklearn"`,
		"ownServer: {config: mlserver, capabilities: [sklearn], extraCapabilities: [x]}":                    "extraCapabilities: counts for nothing to Seldon",
		"ownServer: {config: mlserver, replicas: 2, maxReplicas: 3}":                                        "ownServer.replicas: is what Seldon changes",
		"ownServer: {config: mlserver, minReplicas: 2}":                                                     "ownServer.minReplicas: is of a Server that Seldon scales",
		"ownServer: {config: mlserver, minReplicas: 4, maxReplicas: 3}":                                     "ownServer.maxReplicas: 3 is less than minReplicas, which is 4",
		"replicas: 3, ownServer: {config: mlserver, replicas: 2}":                                           "spec.target.seldon.replicas: 3 is more than the pods of ownServer, which are 2",
		"replicas: 2, ownServer: {config: mlserver}":                                                        "spec.target.seldon.replicas: 2 is more than the pods of ownServer, which are 1",
		"memory: 3Gi, ownServer: {config: mlserver, resources: {memory: 2Gi}}":                              `spec.target.seldon.memory: "3Gi" is more than ownServer.resources.memory, which is "2Gi"`,
		"ownServer: {config: mlserver, image: 'reg.example.com/mlserver:1.7'}":                              byTag,
		"ownServer: {config: 'ML Server'}":                                                                  `ownServer.config: "ML Server" cannot be a name there`,
		"ownServer: {config: mlserver, container: '../x'}":                                                  "ownServer.container",
		"ownServer: {config: mlserver, extraCapabilities: ['a b']}":                                         "ownServer.extraCapabilities.0",
		"ownServer: {config: mlserver, resources: {memory: 1Gi}, nodeSelector: {'a b': x}}":                 "ownServer.nodeSelector",
		"memory: 1Gi, replicas: 2, ownServer: {config: mlserver, maxReplicas: 3, resources: {memory: 2Gi}}": "",
		"ownServer: {config: mlserver, capabilities: [sklearn, xgboost], replicas: 3}":                      "",
	} {
		_, problems := Load(t.Context(), repo(map[string]string{
			"vishwa.yaml":   "apiVersion: vishwa.dev/v1alpha1\nkind: Project\nmetadata: {name: p}\nspec:\n  environments: {staging: {}}\n",
			"vishwa/d.yaml": head + text + "}}\n",
		}))
		var all []string
		for _, p := range problems {
			if strings.Contains(p.Error(), "spec.target.seldon.") {
				all = append(all, p.Error())
			}
		}
		switch said := strings.Join(all, "\n"); {
		case says == "" && strings.Contains(strings.ReplaceAll(said, "spec.target.seldon.cluster", ""), "spec.target.seldon."):
			t.Errorf("%s: %s", text, said)
		case says != "" && !strings.Contains(said, says):
			t.Errorf("%s: want %q in\n%s", text, says, said)
		}
	}
}
