package owned

import (
	"testing"

	"github.com/vishwaops/vishwa/reconciler/machine/kube"
)

// TestNoShapeOfAnObjectEndsTheProgram: a cluster's answer may have any value anywhere.
func TestNoShapeOfAnObjectEndsTheProgram(t *testing.T) {
	values := []any{nil, "text", 1.5, []any{nil}, []any{map[string]any{}}, map[string]any{}, map[string]any{"f:spec": []any{}, "f:a": map[string]any{`k:{"a":1}`: nil, "k:[": nil, "i:9": nil}}}
	ours := Object{Resource: kube.Deployments, Name: "one", Body: map[string]any{
		"metadata": map[string]any{"labels": map[string]any{"a": "b"}}, "spec": map[string]any{"a": []any{map[string]any{"b": 1.0}}},
	}}
	for _, meta := range values {
		for _, spec := range values {
			for _, entry := range values {
				live := map[string]any{"metadata": meta, "spec": spec}
				inside := map[string]any{"metadata": map[string]any{
					"labels": meta, "resourceVersion": meta, "uid": spec, "ownerReferences": spec, "managedFields": []any{entry, map[string]any{"manager": spec, "fieldsV1": meta}},
				}, "spec": spec}
				for _, o := range []map[string]any{nil, live, inside} {
					if version(o) == version(map[string]any{"metadata": map[string]any{"resourceVersion": "7"}}) {
						t.Errorf("%v is of version 7", o)
					}
					metaAs(o)
					foreign(o)
					pure(ours, o)
					between("spec", o["spec"], ours.Body["spec"])
					between("spec", ours.Body["spec"], o["spec"])
					lacks("spec", o["spec"], ours.Body["spec"])
					sum(o)
				}
			}
		}
	}
}
