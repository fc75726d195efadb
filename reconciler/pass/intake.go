// The one way by which a dataset's data comes in, be it pinned by a pass or refreshed from
// its source: fetched, held against what is declared of it, profiled, and its profile kept.

package pass

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/quality"
	"github.com/vishwaops/vishwa/reconciler/format/table"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Intake is data on its way in.
type Intake struct {
	Decl *schemas.Declaration // of a dataset
	// Fetch brings the data, and tells where its files lie.
	Fetch func(ctx context.Context) ([]quality.File, error)
	Store port.Store // keeps the profile
	Now   time.Time  // by which it is fresh or not
	Tell  func(string)
	Hint  string // what to do about data that violates what is declared of it
}

// Taken is what came of it.
type Taken struct {
	Profile *table.Profile // nil: it is no table
	Kept    port.Artifact  // the profile in the store
	Broken  []string       // what it violates, where that only warns
}

// Take takes the data in. What violates what is declared of it is Invalid, unless the
// declaration has it warn.
func (i Intake) Take(ctx context.Context) (Taken, error) {
	spec := i.Decl.Spec.(schemas.Data).Data()
	files, err := i.Fetch(ctx)
	if err != nil {
		return Taken{}, err
	}
	found, err := quality.Data(ctx, spec, files, i.Now)
	if err != nil {
		return Taken{}, err
	}
	if passed := found.Passed(); passed != "" {
		i.Tell(passed)
	}
	var t Taken
	if len(found.Violations) > 0 {
		if spec.Violations != warns {
			return t, fault.WithHint(fault.New(fault.Invalid, "the data violates its declaration:\n    %s", quality.Broken(i.Decl, found.Violations)), "%s", i.Hint)
		}
		t.Broken = quality.Sentence(found.Violations)
	}
	if found.Profile == nil {
		return t, nil
	}
	t.Profile = found.Profile
	t.Profile.Violations = found.Violations
	b, err := json.Marshal(t.Profile)
	if err != nil {
		return t, fault.New(fault.Internal, "encode the profile: %w", err)
	}
	kept, _, err := i.Store.Put(ctx, bytes.NewReader(b))
	if err != nil {
		return t, fmt.Errorf("keep the profile: %w", err)
	}
	t.Kept = port.Artifact{Name: "profile.json", Digest: kept, Size: int64(len(b))}
	return t, nil
}

// warns is spec.violations of a dataset whose rows may break what is declared of them.
const warns = "warn"
