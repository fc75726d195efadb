// Points are written as they are read.

package mlflow

import (
	"encoding/json"
	"math"
	"testing"

	"pgregory.net/rapid"
)

// TestPointsAreReadAsTheyWereWritten: whatever their names and numbers.
func TestPointsAreReadAsTheyWereWritten(t *testing.T) {
	odd := rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1), math.MaxFloat64, math.SmallestNonzeroFloat64, 1e21, 1e-7})
	rapid.Check(t, func(t *rapid.T) {
		points := rapid.SliceOf(rapid.Custom(func(t *rapid.T) Point {
			return Point{Key: rapid.OneOf(rapid.String(), rapid.Just("loss")).Draw(t, "key"), Value: Number(rapid.OneOf(rapid.Float64(), odd).Draw(t, "value")), Time: rapid.Int64().Draw(t, "time"), Step: rapid.Int64().Draw(t, "step")}
		})).Draw(t, "points")
		raw := AppendPoints([]byte("x"), points)[1:]
		var back []Point
		if err := json.Unmarshal(raw, &back); err != nil || len(back) != len(points) {
			t.Fatalf("%s: %v", raw, err)
		}
		for i, p := range points {
			if math.Float64bits(float64(p.Value)) != math.Float64bits(float64(back[i].Value)) && !(math.IsNaN(float64(p.Value)) && math.IsNaN(float64(back[i].Value))) || p.Key != back[i].Key || p.Time != back[i].Time || p.Step != back[i].Step {
				t.Fatalf("%+v came back as %+v", p, back[i])
			}
		}
	})
}
