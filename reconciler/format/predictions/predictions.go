// Package predictions is the log of what a served model was asked and what it answered: one
// row an instance, in columns that a monitor can hold against what the model was trained on.
// It reads the protocols that models are served by, writes parts, and joins labels that come
// later. It is pure: whoever calls it keeps the parts (package predictionlog).
//
// The columns of a row are a contract with those who read the log:
//
//	time        timestamp, UTC: when the request came
//	id          of the instance: the request's, with /0, /1 and so on behind it where it asks about several
//	model       digest of the model that answered
//	release     key of the release that answered
//	arm         which of several that answer at once: default, or the one that a rollout names
//	status      HTTP status of the answer; an error has no prediction
//	latency     seconds from the request to the end of the answer
//	sampling    share of the requests that is logged: each row stands for 1/sampling of them
//	path        of the request, without its query
//	error       what an error's answer says
//	prediction  the answer's prediction
//	score       the answer's score, where it has one
//	feature.X   the feature X of the request
//	output.X    every further output X of the answer
//	other       JSON: what had no room in columns of its own
//	request, response, encoding   bodies that no protocol explains, as text, or base64 where encoding says so
package predictions

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The columns of which each part has those that it needs.
const (
	ColumnTime       = "time"
	ColumnID         = "id"
	ColumnModel      = "model"
	ColumnRelease    = "release"
	ColumnArm        = "arm"
	ColumnStatus     = "status"
	ColumnLatency    = "latency"
	ColumnSampling   = "sampling"
	ColumnPath       = "path"
	ColumnError      = "error"
	ColumnPrediction = "prediction"
	ColumnScore      = "score"
	ColumnOther      = "other"
	ColumnRequest    = "request"
	ColumnResponse   = "response"
	ColumnEncoding   = "encoding"

	FeaturePrefix = "feature."
	OutputPrefix  = "output."
)

// contract are the columns that clients do not name.
var contract = append(slices.Clone(fixedColumns), ColumnOther, ColumnRequest, ColumnResponse, ColumnEncoding)

// OwnName is what a column is called beside the reference: a feature by its own name. One that a
// client calls like a column of the log keeps its prefix, so that no client writes the time, the
// id or the prediction of a row; and no two columns have one name.
func OwnName(column string) string {
	bare, ok := strings.CutPrefix(column, FeaturePrefix)
	if !ok || slices.Contains(contract, bare) || strings.HasPrefix(bare, FeaturePrefix) || strings.HasPrefix(bare, OutputPrefix) {
		return column
	}
	return bare
}

const (
	mostInstances = 10_000   // of a request; of one that asks about more the bodies are kept
	mostValues    = 1 << 20  // of a body that is read: more than the columns of as many instances have
	mostCompared  = 64 << 10 // of an answer that is compared value by value
	mostColumns   = 1024     // of a row; what is beyond stands in other
	longestText   = 64 << 10 // bytes of a value; what is longer is cut
	longestID     = 200      // bytes of an id; a longer one is known by its digest
	longestName   = 200      // bytes of a column's name
	longestBody   = 64 << 10 // bytes of a body that is kept as it is
)

// Kind is what a value is.
type Kind uint8

// The kinds; Null is no value.
const (
	Null Kind = iota
	Bool
	Int
	Float
	Text
)

// Value is one cell.
type Value struct {
	Kind Kind
	num  uint64 // a truth, a whole number, or the bits of a float
	text string

	whole bool // the text is an object or a list, of whatever it holds
}

// BoolOf is a truth.
func BoolOf(b bool) Value {
	if b {
		return Value{Kind: Bool, num: 1}
	}
	return Value{Kind: Bool}
}

// IntOf is a whole number.
func IntOf(n int64) Value { return Value{Kind: Int, num: uint64(n)} }

// FloatOf is a number; one that is none is no value.
func FloatOf(x float64) Value {
	if math.IsNaN(x) {
		return Value{}
	}
	return Value{Kind: Float, num: math.Float64bits(x)}
}

// TextOf is a text, cut where it is too long.
func TextOf(s string) Value { return Value{Kind: Text, text: clip(s, longestText)} }

func (v Value) boolean() bool { return v.num == 1 }
func (v Value) int() int64    { return int64(v.num) }

// Number is the value of a number, or of a truth as 0 or 1.
func (v Value) Number() (x float64, ok bool) {
	switch v.Kind {
	case Bool, Int:
		return float64(int64(v.num)), true
	case Float:
		return math.Float64frombits(v.num), true
	}
	return 0, false
}

// String is the value as text; "" is none.
func (v Value) String() string {
	switch v.Kind {
	case Bool:
		return strconv.FormatBool(v.boolean())
	case Int:
		return strconv.FormatInt(v.int(), 10)
	case Float:
		return strconv.FormatFloat(math.Float64frombits(v.num), 'g', -1, 64)
	}
	return v.text
}

// json is the value as JSON has it; a text is a string, and so is a number that JSON does not know.
func (v Value) json() []byte {
	text := v.String()
	if (v.Kind != Text || v.whole) && json.Valid([]byte(text)) {
		return []byte(text)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // it would make six bytes of one
	if err := e.Encode(text); err != nil {
		panic(err) // it is a string
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// Cell is a value in a column.
type Cell struct {
	Column string
	Value  Value
}

// Row is one instance. Cells are in the order in which they were met, none of them twice.
type Row struct {
	Time     time.Time
	ID       string
	Model    string
	Release  string
	Arm      string
	Path     string
	Status   int
	Latency  time.Duration
	Sampling float64
	Cells    []Cell
}

// Body is what was sent one way.
type Body struct {
	Bytes    []byte
	Encoding string // as Content-Encoding has it
	Cut      bool   // it went on behind Bytes
}

// Exchange is a request and its answer.
type Exchange struct {
	Time     time.Time
	ID       string // "" where neither headers nor body name one
	Model    string
	Release  string
	Arm      string
	Path     string
	Status   int // 0: nobody was there to take the answer
	Latency  time.Duration
	Request  Body
	Response Body
	Second   bool // another one answered the request, and nobody got this answer
}

// Policy says what of an exchange is logged.
type Policy struct {
	Sampling   float64  // recorded in each row
	Features   []string // names of the columns of an input that has none, in order
	Prediction string   // the output that is the prediction; "" goes by what outputs are like
	Score      string   // the output that is the score; "" goes by its name
	Personal   []string // columns that tell of people: left out, or hashed where Hash is set
	Hash       func(column, value string) string
	Bodies     bool // keep bodies that no protocol explains
}
