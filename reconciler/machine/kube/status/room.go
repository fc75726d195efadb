// Why a pod has no node, in plain words.

package status

import (
	"fmt"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

var insufficient = lazyregexp.New(`Insufficient ([A-Za-z0-9./_-]+)`)

// room says why the scheduler finds no node, and whether none of those that there are could
// ever do: taking pods away would not help, and it is for what the task asks.
func room(message string, p Pod) (why string, never bool) {
	nodes, preemption, _ := strings.Cut(message, " preemption: ")
	_, reasons, ok := strings.Cut(nodes, " nodes are available: ")
	if !ok {
		if message == "" {
			return "it waits for the scheduler", false
		}
		return "it waits for a node: " + message, false
	}
	var lacks []string
	for _, m := range insufficient.FindAllStringSubmatch(reasons, -1) {
		if l := amount(m[1], p.limit(strings.TrimRight(m[1], "."))); !slices.Contains(lacks, l) {
			lacks = append(lacks, l)
		}
	}
	slices.Sort(lacks)
	never = strings.Contains(preemption, "Preemption is not helpful") && !strings.Contains(preemption, "No preemption victims")
	for part := range strings.SplitSeq(strings.TrimRight(reasons, ". "), ", ") {
		if strings.HasPrefix(part, "no new claims") || strings.Contains(part, ". no new claims") {
			part, _, _ = strings.Cut(part, ". no new claims")
		}
		if !strings.Contains(part, "Insufficient") && !strings.Contains(part, "affinity/selector") {
			never = false // such as a node that is not ready, or has a taint
		}
	}
	said := strings.TrimRight(strings.Replace(nodes, " no new claims to deallocate,", "", 1), ". ")
	switch {
	case len(lacks) > 0 && never:
		return fmt.Sprintf("no node has %s (%s)", strings.Join(lacks, " and "), said), true
	case len(lacks) > 0:
		return fmt.Sprintf("no node has %s free (%s)", strings.Join(lacks, " and "), said), false
	case strings.Contains(reasons, "affinity/selector"):
		return fmt.Sprintf("no node has the labels that it asks for (%s)", said), never
	default:
		return fmt.Sprintf("no node takes it (%s)", said), false
	}
}

// amount is how much of a resource is asked for.
func amount(resource, asked string) string {
	resource = strings.TrimRight(resource, ".")
	switch {
	case strings.HasSuffix(resource, "/gpu") && asked == "1":
		return "1 GPU"
	case strings.HasSuffix(resource, "/gpu"):
		return asked + " GPUs"
	case resource == "memory" && asked != "":
		return asked + " of memory"
	case resource == "ephemeral-storage" && asked != "":
		return asked + " of disk"
	case resource == "cpu" && asked == "1":
		return "1 core"
	case resource == "cpu" && asked != "":
		return asked + " cores"
	case asked == "":
		return "enough " + resource
	default:
		return asked + " of " + resource
	}
}
