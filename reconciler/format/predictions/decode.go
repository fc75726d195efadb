// From an exchange to rows: the Open Inference Protocol (v2, REST) and TensorFlow Serving's
// REST are read into columns; of all else the bodies are kept, or nothing.

package predictions

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// frame is one side of an exchange as columns, each with one value an instance.
type frame struct {
	id      string
	columns []series
	unnamed bool // some columns have numbers for names
}

type series struct {
	name   string
	values []Value
	place  int // in what an instance has of one name, from 0
	width  int // how many it has; 0 is one
}

// count is how many instances a frame has; -1 where its columns differ.
func (f *frame) count() int {
	n := 0
	for i, c := range f.columns {
		if i > 0 && len(c.values) != n {
			return -1
		}
		n = len(c.values)
	}
	return n
}

// Rows are the rows of an exchange, one an instance, or one where its bodies tell of none.
func (p Policy) Rows(x Exchange) []Row {
	var asked, answered *frame
	if raw, ok := x.Request.plain(); ok {
		asked = decodeRequest(raw)
	}
	good := x.Status >= 200 && x.Status < 300
	raw, whole := x.Response.plain()
	if whole && x.Second && heavy(raw, mostCompared) {
		whole = false // nobody got it: it is not worth the time of those that somebody did
	}
	if whole && good {
		answered = decodeResponse(raw)
	}
	id := x.ID
	if id == "" && asked != nil {
		id = asked.id
	}
	n := 0
	if asked != nil {
		n = asked.count()
	}
	if answered != nil && asked == nil {
		n = answered.count()
	}
	odd := asked == nil && len(x.Request.Bytes) > 0 || answered == nil && good || n <= 0 || n > mostInstances ||
		asked != nil && answered != nil && answered.count() != n
	whole = !odd
	rows := make([]Row, 1)
	if whole || asked != nil && n > 0 && n <= mostInstances {
		rows = make([]Row, n)
	}
	if !good && len(p.Personal) > 0 { // what a model refuses has columns that nobody knows, such as a misspelt one
		asked = nil
	}
	if odd && asked != nil && (n <= 0 || n > mostInstances) {
		asked = nil
	}
	if odd && answered != nil && answered.count() != len(rows) {
		answered = nil
	}
	for i := range rows {
		r := &rows[i]
		*r = Row{Time: x.Time, ID: CleanID(id), Model: x.Model, Release: x.Release, Arm: x.Arm, Path: clip(strings.ToValidUTF8(x.Path, "?"), longestName),
			Status: x.Status, Latency: x.Latency, Sampling: p.Sampling}
		if len(rows) > 1 {
			r.ID += "/" + strconv.Itoa(i)
		}
		r.Cells = p.cells(asked, answered, i)
	}
	if odd {
		p.keepBodies(x, &rows[0], good, asked == nil, answered == nil && good)
	}
	if !good && len(p.Personal) == 0 {
		if said := errorOf(raw); said != "" {
			rows[0].Cells = append(rows[0].Cells, Cell{ColumnError, TextOf(said)})
		}
	}
	return rows
}

// keepBodies puts bodies that are not explained beside the row. Where columns are personal it
// cannot be told which part of a body is, so none is kept.
func (p Policy) keepBodies(x Exchange, r *Row, good, request, response bool) {
	if !p.Bodies || len(p.Personal) > 0 {
		return
	}
	for _, b := range []struct {
		body   Body
		column string
		keep   bool
	}{{x.Request, ColumnRequest, request}, {x.Response, ColumnResponse, response}} {
		if !b.keep || len(b.body.Bytes) == 0 {
			continue
		}
		text, encoded := b.body.kept()
		r.Cells = append(r.Cells, Cell{b.column, Value{Kind: Text, text: text}})
		if encoded && !slices.ContainsFunc(r.Cells, func(c Cell) bool { return c.Column == ColumnEncoding && c.Value.text == "base64" }) {
			r.Cells = append(r.Cells, Cell{ColumnEncoding, TextOf("base64")})
		}
	}
}

// cells are the i-th instance's, each column once.
func (p Policy) cells(asked, answered *frame, i int) []Cell {
	var out []Cell
	seen := map[string]bool{}
	other := map[string]string{}
	add := func(name string, v Value) {
		switch {
		case v.Kind == Null || seen[name]:
			return
		case len(out) >= mostColumns || len(name) > longestName:
			if len(other) < mostColumns {
				other[clip(name, longestName)] = clip(v.String(), longestName)
			}
			return
		}
		seen[name] = true
		out = append(out, Cell{name, v})
	}
	if asked != nil {
		for k, c := range asked.columns {
			name := c.name
			if asked.unnamed && k < len(p.Features) && len(p.Features) == len(asked.columns) {
				name = p.Features[k]
			}
			if v, keep := p.veil(FeaturePrefix+name, name, c.values[i], asked.unnamed && len(p.Features) != len(asked.columns)); keep {
				add(FeaturePrefix+name, v)
			}
		}
	}
	if answered != nil {
		prediction, score := p.outputs(answered)
		for k, c := range answered.columns {
			name := OutputPrefix + c.name
			switch k {
			case prediction:
				name = ColumnPrediction
			case score:
				name = ColumnScore
			}
			if v, keep := p.veil(name, c.name, c.values[i], false); keep {
				add(name, v)
			}
		}
	}
	if len(other) > 0 {
		if raw, err := json.Marshal(other); err == nil {
			out = append(out, Cell{ColumnOther, TextOf(string(raw))})
		}
	}
	return out
}

// veil leaves out what is personal, or hashes it. Of columns without a name it cannot be told.
// Nor can it of a text that is JSON of its own.
func (p Policy) veil(column, name string, v Value, unnamed bool) (Value, bool) {
	if len(p.Personal) == 0 || !unnamed && !v.whole && !Personal(p.Personal, name) {
		return v, true
	}
	if p.Hash == nil || v.Kind == Null {
		return Value{}, false
	}
	return TextOf(p.Hash(column, v.String())), true
}

// Personal tells whether a column is one of those named, is part of one, or is called so within
// an object. Letter case does not matter: what a client writes otherwise is the same person.
func Personal(columns []string, name string) bool {
	name = "." + strings.ToLower(name) + "."
	return slices.ContainsFunc(columns, func(c string) bool { return strings.Contains(name, "."+strings.ToLower(c)+".") })
}

// outputs finds which output is the prediction and which the score; -1 is none.
func (p Policy) outputs(f *frame) (prediction, score int) {
	prediction, score = -1, -1
	for i, c := range f.columns {
		low := strings.ToLower(c.name)
		scored := strings.Contains(low, "prob") || strings.Contains(low, "score") || strings.Contains(low, "confidence")
		switch {
		case p.Prediction == c.name && c.name != "":
			prediction = i
		case p.Score == c.name && c.name != "":
			score = i
		case scored:
			// Of two, the second is the class that is asked about, as scikit-learn orders them.
			if p.Score == "" && score < 0 && (c.width <= 1 || c.width == 2 && c.place == 1) {
				score = i
			}
		case p.Prediction == "" && prediction < 0 && c.width <= 1:
			prediction = i
		}
	}
	return prediction, score
}

// decodeRequest reads what was asked; nil where no protocol explains it.
func decodeRequest(raw []byte) *frame {
	var r struct {
		ID        json.RawMessage `json:"id"`
		Inputs    json.RawMessage `json:"inputs"`
		Instances json.RawMessage `json:"instances"`
		Records   json.RawMessage `json:"dataframe_records"`
		Split     json.RawMessage `json:"dataframe_split"`
		Data      json.RawMessage `json:"data"`
	}
	if heavy(raw, mostValues) || json.Unmarshal(raw, &r) != nil {
		return nil
	}
	var f *frame
	switch {
	case r.Instances != nil:
		f = instances(r.Instances)
	case r.Records != nil:
		f = instances(r.Records)
	case r.Split != nil:
		f = split(r.Split)
	case r.Data != nil:
		f = split(r.Data)
	case tensors(r.Inputs):
		f = decodeTensors(r.Inputs)
	case r.Inputs != nil:
		f = columnar(r.Inputs)
	}
	if f != nil && kindOf(r.ID) == '"' {
		f.id = valueOf(r.ID).text
	} else if f != nil && r.ID != nil {
		f.id = valueOf(r.ID).String()
	}
	return f
}

// decodeResponse reads what was answered.
func decodeResponse(raw []byte) *frame {
	var r struct {
		Outputs     json.RawMessage `json:"outputs"`
		Predictions json.RawMessage `json:"predictions"`
		Data        json.RawMessage `json:"data"`
	}
	if heavy(raw, mostValues) || json.Unmarshal(raw, &r) != nil {
		return nil
	}
	switch {
	case r.Predictions != nil:
		return instances(r.Predictions)
	case tensors(r.Outputs):
		return decodeTensors(r.Outputs)
	case r.Outputs != nil:
		return columnar(r.Outputs)
	case r.Data != nil:
		return split(r.Data)
	}
	return nil
}

// split reads names apart from rows, as MLflow's dataframe_split and Seldon's data have them.
func split(raw json.RawMessage) *frame {
	var r struct {
		Columns []string        `json:"columns"` // MLflow's
		Data    json.RawMessage `json:"data"`
		Names   []string        `json:"names"` // Seldon's
		Ndarray json.RawMessage `json:"ndarray"`
		Tensor  *struct {
			Shape  []int64         `json:"shape"`
			Values json.RawMessage `json:"values"`
		} `json:"tensor"`
	}
	if json.Unmarshal(raw, &r) != nil {
		return nil
	}
	var f *frame
	switch names := append(r.Columns, r.Names...); {
	case r.Tensor != nil:
		if raw, err := json.Marshal([]tensor{{Shape: r.Tensor.Shape, Data: r.Tensor.Values}}); err == nil && r.Tensor.Values != nil {
			f = decodeTensors(raw)
		}
		f.name(names)
	default:
		f = instances(append(r.Data, r.Ndarray...))
		f.name(names)
	}
	return f
}

// name gives the columns of a frame their names, where there is one for each.
func (f *frame) name(names []string) {
	if f == nil || len(names) != len(f.columns) {
		return
	}
	f.unnamed = false
	for i := range names {
		f.columns[i] = series{name: names[i], values: f.columns[i].values}
	}
}

// errorOf is what an error's answer says of itself.
func errorOf(raw []byte) string {
	var r struct {
		Error  json.RawMessage `json:"error"`
		Detail json.RawMessage `json:"detail"`
	}
	if json.Unmarshal(raw, &r) != nil {
		return ""
	}
	for _, v := range []json.RawMessage{r.Error, r.Detail} {
		if v != nil {
			return clip(valueOf(v).String(), 1<<10)
		}
	}
	return ""
}
