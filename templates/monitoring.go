// What vishwa init --monitoring writes: rules and their tests for Prometheus, and dashboards for
// Grafana with what has it read them.

package templates

import (
	"embed"
	"io/fs"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

//go:embed monitoring
var monitoring embed.FS

// operatorHead is what Prometheus's operator wants around the groups of rules.yaml.
const operatorHead = `# The rules of rules.yaml as Prometheus's operator has them: kubectl apply -f prometheusrule.yaml
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: vishwa
  labels: {app.kubernetes.io/name: vishwa}
spec:
`

// Monitoring is the files, by their paths below the folder monitoring.
func Monitoring() (map[string][]byte, error) {
	out := map[string][]byte{}
	err := fs.WalkDir(monitoring, "monitoring", func(at string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := monitoring.ReadFile(at)
		out[strings.TrimPrefix(at, "monitoring/")] = raw
		return err
	})
	if err != nil {
		return nil, fault.New(fault.Internal, "read the rules: %w", err)
	}
	_, groups, found := strings.Cut(string(out["rules.yaml"]), "\ngroups:\n")
	if !found {
		return nil, fault.New(fault.Internal, "rules.yaml has no groups")
	}
	var b strings.Builder
	b.WriteString(operatorHead + "  groups:\n")
	for line := range strings.Lines(groups) {
		b.WriteString("  " + line)
	}
	out["prometheusrule.yaml"] = []byte(b.String())
	return out, nil
}
