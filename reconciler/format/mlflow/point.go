// Points of metrics as MLflow's REST API has them.

package mlflow

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// Point is a point of a metric.
type Point struct {
	Key   string `json:"key"`
	Value Number `json:"value"`
	Time  int64  `json:"timestamp"`
	Step  int64  `json:"step"`
}

// Same tells points apart. NaN is like NaN, and MLflow keeps what is infinite as the largest number.
func (m Point) Same() string {
	v := max(-math.MaxFloat64, min(math.MaxFloat64, float64(m.Value)))
	return fmt.Sprint(m.Key, "\x00", v, "\x00", m.Time, "\x00", m.Step)
}

// Infinite tells what MLflow kept for a number that is infinite: in a database, the largest one.
func Infinite(v float64) bool { return math.Abs(v) >= math.MaxFloat64 }

// AppendPoints appends a list of points, as JSON. There are many, and they are most of what is sent.
func AppendPoints(to []byte, points []Point) []byte {
	key, quoted := "", []byte(nil)
	to = append(to, '[')
	for i, p := range points {
		if i > 0 {
			to = append(to, ',')
		}
		if quoted == nil || p.Key != key {
			key = p.Key
			quoted, _ = json.Marshal(key) // a text never fails
		}
		to = append(append(to, `{"key":`...), quoted...)
		to = p.Value.append(append(to, `,"value":`...))
		to = strconv.AppendInt(append(to, `,"timestamp":`...), p.Time, 10)
		to = strconv.AppendInt(append(to, `,"step":`...), p.Step, 10)
		to = append(to, '}')
	}
	return append(to, ']')
}

// Number is a number of which JSON may have no word: then it is a text.
type Number float64

func (f Number) append(to []byte) []byte {
	switch v := float64(f); {
	case math.IsNaN(v):
		return append(to, `"NaN"`...)
	case math.IsInf(v, 1):
		return append(to, `"Infinity"`...)
	case math.IsInf(v, -1):
		return append(to, `"-Infinity"`...)
	default:
		return strconv.AppendFloat(to, v, 'g', -1, 64)
	}
}

// MarshalJSON implements json.Marshaler.
func (f Number) MarshalJSON() ([]byte, error) { return f.append(nil), nil }

// UnmarshalJSON implements json.Unmarshaler.
func (f *Number) UnmarshalJSON(b []byte) error {
	switch string(b) {
	case `"NaN"`:
		*f = Number(math.NaN())
	case `"Infinity"`:
		*f = Number(math.Inf(1))
	case `"-Infinity"`:
		*f = Number(math.Inf(-1))
	default:
		return json.Unmarshal(b, (*float64)(f))
	}
	return nil
}
