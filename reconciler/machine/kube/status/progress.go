// What a trainer tells of how far it is.

package status

import (
	"fmt"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/machine/kube"
)

// progress is what Trainer keeps of what a run tells it.
type progress struct {
	Percent   *int `json:"progressPercentage"`
	Remaining *int `json:"estimatedRemainingSeconds"`
	Metrics   []struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	} `json:"metrics"`
}

// maxMetrics are those that are shown.
const maxMetrics = 5

func (p *progress) String() string {
	if p == nil {
		return ""
	}
	var parts []string
	if p.Percent != nil {
		parts = append(parts, fmt.Sprintf("%d%% done", *p.Percent))
	}
	if p.Remaining != nil {
		parts = append(parts, fmt.Sprintf("%d s to go", *p.Remaining))
	}
	for _, m := range p.Metrics[:min(len(p.Metrics), maxMetrics)] {
		parts = append(parts, m.Name+" "+m.Value)
	}
	return kube.Cut(strings.Join(parts, ", "))
}
