// What a version says of the environments that serve it: by which entry, why, and who approved that. A version is made when its model is released, and
// approvals come later.

package tracker

import (
	"context"
	"fmt"
	"slices"

	mlflowformat "github.com/vishwaops/vishwa/reconciler/format/mlflow"
	"github.com/vishwaops/vishwa/reconciler/machine/bounded"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// deployed has the version that env serves say so. What it says is the newest entry's, and is written where it says another one or none: the
// number comes last, so that who is cut off goes on.
func (s *session) deployed(ctx context.Context, a aliased, env string) error {
	by, known := a.declared.Deployed[env]
	if !known {
		return nil
	}
	key := a.declared.Serves[env]
	number, has, of := a.numbers[key], []tag(nil), "vishwa."+mlflowformat.Alias(env)+"."
	if was := a.there[key]; was.number == number {
		has = was.tags
	}
	says := []tag{{of + port.TagReason, by.Tags[port.TagReason]}, {of + port.TagApproved, by.Tags[port.TagApproved]}, {of + "entry", fmt.Sprint(by.Entry)}}
	for _, t := range says {
		t.Value = bounded.Shortened(t.Value, mostTagValue)
		at := map[string]string{"name": a.name, "version": number, "key": t.Key}
		switch was := slices.ContainsFunc(has, func(h tag) bool { return h.Key == t.Key }); {
		case t.Value == valueOf(has, t.Key):
		case t.Value == "" && was:
			if err := s.remove(ctx, "model-versions/delete-tag", at); err != nil {
				return err
			}
		default:
			at["value"] = t.Value
			if err := s.write(ctx, "model-versions/set-tag", at, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// approved has a version that is there say who approved the release, where it was made before anybody did.
func (s *session) approved(ctx context.Context, name string, v port.TrackerVersion, was versionThere) error {
	const key = "vishwa." + port.TagApproved
	by := bounded.Shortened(v.Tags[port.TagApproved], mostTagValue)
	if was.number == "" || by == "" || valueOf(was.tags, key) != "" {
		return nil
	}
	return s.write(ctx, "model-versions/set-tag", map[string]string{"name": name, "version": was.number, "key": key, "value": by}, nil)
}
