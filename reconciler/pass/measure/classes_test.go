// Classes are told apart by what they are, whether one of them is named the positive one or not.

package measure

import (
	"math"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/schemas"
)

func TestClassesAreToldApartWithoutAPositiveOne(t *testing.T) {
	for name, c := range map[string]struct {
		positive, said, came string
		answer, outcome      float64
		missed               bool
	}{
		"numbers":                     {"", "1", "1", 1, 1, false},
		"numbers that are written so": {"", "1.0", "1", 1, 1, false},
		"truths":                      {"", "True", "1", 1, 1, false},
		"texts that are equal":        {"", "Yes", "yes", 0, 0, false},
		"texts that are not":          {"", "yes", "no", 0, 0, true},
		"the positive text":           {"yes", "YES", "no", 1, 0, false},
		"missed, the positive text":   {"yes", "no", "yes", 0, 1, false},
		"several":                     {"", "3", "2", 0, 0, true},
		"several, and equal":          {"", "2.0", "2", 0, 0, false},
		"no answer":                   {"", "", "2", math.NaN(), 0, true},
	} {
		s := &session{spec: &schemas.Monitor{Labels: &schemas.MonitorLabels{}, Predictions: schemas.Predictions{Positive: schemas.Value(c.positive)}}, now: time.Now()}
		now := &rows{session: s, current: true}
		take := now.row(time.Time{})
		if in, err := take(func(column string) []byte {
			switch {
			case column == "id":
				return []byte("a")
			case column == "prediction" && c.said != "":
				return []byte(c.said)
			}
			return nil
		}); !in || err != nil {
			t.Fatal(in, err)
		}
		got := now.cases["a"]
		if (now.answers == 1) != (c.said != "") {
			t.Errorf("%s: %d answers", name, now.answers)
		}
		outcome, missed := now.classOf([]byte(c.came)), now.missed(got.said, []byte(c.came))
		if got.Answer != c.answer && !math.IsNaN(c.answer) || outcome != c.outcome || missed != c.missed {
			t.Errorf("%s: answered %v, came %v, missed %v", name, got.Answer, outcome, missed)
		}
	}
}
