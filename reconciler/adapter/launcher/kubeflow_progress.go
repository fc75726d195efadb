// What a trainer tells of how far it is.

package launcher

import (
	"fmt"
	"strings"
)

// progress is what Kubeflow Trainer keeps of what a run tells it.
type progress struct {
	Percent   *int `json:"progressPercentage"`
	Remaining *int `json:"estimatedRemainingSeconds"`
	Metrics   []struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	} `json:"metrics"`
}

func (p *progress) String() string {
	if p == nil {
		return ""
	}
	var parts []string
	if p.Percent != nil {
		parts = append(parts, fmt.Sprintf("%d%% done", *p.Percent))
	}
	for _, m := range p.Metrics[:min(len(p.Metrics), 5)] {
		parts = append(parts, m.Name+" "+m.Value)
	}
	return strings.Join(parts, ", ")
}
