// Package tracking reads what a run logged by the tools that people log with: MLflow's files or its
// SQLite database, W&B's transaction log, DVCLive's folder, TensorBoard's event files, and CSV or JSON
// that it wrote or printed. What it finds is a Document: parameters, and a series of points for each
// metric. The run is a stranger: everything that is read is bounded, and so is the document.
package tracking

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// The most that a document holds.
const (
	MostSize   = 16 << 20 // bytes of its JSON
	mostNames  = 4096     // metrics, and as many parameters
	mostName   = 500      // bytes
	mostValue  = 8000     // bytes of a parameter, as MLflow has it
	mostPoints = 1 << 18  // of all series
	mostNotes  = 32
)

// Document is what a run logged.
type Document struct {
	Version int               `json:"version"`
	From    []string          `json:"from"` // the tools that it was read from
	Params  map[string]string `json:"params,omitempty"`
	Series  []Series          `json:"series,omitempty"` // by name
	// Notes say what was left out, and why.
	Notes []string `json:"notes,omitempty"`
	// Pictures are images that a log holds itself. They are kept next to the document.
	Pictures []Picture `json:"-"`
}

// Series is the values of one metric.
type Series struct {
	Name   string   `json:"name"`
	Steps  []int64  `json:"steps"`
	Times  []int64  `json:"times"` // milliseconds since the beginning of 1970; 0: not known
	Values []Number `json:"values"`
	// Last is the value that counts; none where it is no finite number.
	Last *float64 `json:"last,omitempty"`
	// Logged is how many points there were; more than are kept of a long series.
	Logged int `json:"logged"`
}

// Number is a number that JSON can say, or cannot: NaN and infinity are texts.
type Number float64

// MarshalJSON writes what is no number by its name.
func (n Number) MarshalJSON() ([]byte, error) {
	switch f := float64(n); {
	case math.IsNaN(f):
		return []byte(`"NaN"`), nil
	case math.IsInf(f, 1):
		return []byte(`"Infinity"`), nil
	case math.IsInf(f, -1):
		return []byte(`"-Infinity"`), nil
	}
	return json.Marshal(float64(n))
}

// UnmarshalJSON reads both.
func (n *Number) UnmarshalJSON(b []byte) error {
	switch string(b) {
	case `"NaN"`:
		*n = Number(math.NaN())
	case `"Infinity"`:
		*n = Number(math.Inf(1))
	case `"-Infinity"`:
		*n = Number(math.Inf(-1))
	default:
		return json.Unmarshal(b, (*float64)(n))
	}
	return nil
}

// version is of the document's layout.
const version = 1

// Encode is the document as it is kept.
func (d Document) Encode() ([]byte, error) { return json.Marshal(d) }

// Decode reads a document that was kept, and holds it against the same bounds.
func Decode(raw []byte) (Document, error) {
	wrong := func(format string, args ...any) (Document, error) {
		return Document{}, fault.New(fault.Corrupt, "what a run logged: "+format, args...)
	}
	if len(raw) > MostSize {
		return wrong("it has more than %d MiB", MostSize>>20)
	}
	var d Document
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return wrong("%w", err)
	}
	if d.Version != version {
		return wrong("its version %d is not known", d.Version)
	}
	if len(d.Params) > mostNames || len(d.Series) > mostNames || len(d.Notes) > mostNotes || len(d.From) > len(Tools) {
		return wrong("it names too much")
	}
	for _, from := range d.From {
		if !slices.Contains(Tools, from) {
			return wrong("%q is no tool", from)
		}
	}
	for name, value := range d.Params {
		if !wellNamed(name) || len(value) > mostValue {
			return wrong("a parameter is out of bounds")
		}
	}
	points := 0
	for i, s := range d.Series {
		if points += len(s.Values); points > mostPoints {
			return wrong("it has more than %d points", mostPoints)
		}
		if !wellNamed(s.Name) || i > 0 && s.Name <= d.Series[i-1].Name || len(s.Steps) != len(s.Values) || len(s.Times) != len(s.Values) || s.Logged < len(s.Values) {
			return wrong("series %d is out of bounds", i)
		}
		if s.Last != nil && (math.IsNaN(*s.Last) || math.IsInf(*s.Last, 0)) {
			return wrong("the last value of %q is not a number", s.Name)
		}
	}
	return d, nil
}

// wellNamed tells whether name can stand in a ledger and on a terminal.
func wellNamed(name string) bool {
	return name != "" && len(name) <= mostName && utf8.ValidString(name) && !strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// Metrics are the values that count: finite numbers by name.
func (d Document) Metrics() map[string]float64 {
	out := map[string]float64{}
	for _, s := range d.Series {
		if s.Last != nil {
			out[s.Name] = *s.Last
		}
	}
	return out
}

// Empty tells whether nothing was logged.
func (d Document) Empty() bool {
	return len(d.Params) == 0 && len(d.Series) == 0 && len(d.Pictures) == 0
}
