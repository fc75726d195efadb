// Search: candidates that are made out of ranges of parameters, a run each. The same declaration gives the same
// candidates anywhere and at any time.

package schemas

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

// Search makes the candidates of a training. One of grid, random and ask is given.
type Search struct {
	// Grid tries each combination: it maps a parameter to its values.
	Grid map[string][]any `json:"grid,omitempty" part:"recipe"`
	// Random tries combinations that are drawn at random.
	Random *RandomSearch `json:"random,omitempty" part:"recipe"`
	// Ask tries what a command says by what the trials before came to.
	Ask *AskedSearch `json:"ask,omitempty" part:"recipe"`
	// Stop ends trials early that are behind the others.
	Stop *EarlyStop `json:"stop,omitempty" part:"recipe"`
}

// RandomSearch draws combinations. What it draws depends on the seed, the trial's number and the parameter's name alone: with more trials, those before stay the same, and are not run again.
type RandomSearch struct {
	// Trials is how many are drawn; what is drawn a second time counts once.
	Trials int `json:"trials" jsonschema:"required,minimum=1,maximum=10000" part:"recipe"`
	// Seed gives others.
	Seed int64 `json:"seed,omitempty" jsonschema:"minimum=0,default=0" part:"recipe"`
	// Space maps a parameter to what is drawn from.
	Space map[string]Range `json:"space" jsonschema:"required" part:"recipe"`
}

// Range is what a parameter is drawn from: values, or numbers from min to max.
type Range struct {
	// Values lists them.
	Values []any `json:"values,omitempty" part:"recipe"`
	// Min is the lowest number.
	Min *float64 `json:"min,omitempty" part:"recipe"`
	// Max is the highest number.
	Max *float64 `json:"max,omitempty" part:"recipe"`
	// Scale is how numbers are spread: linear, or log, where each power of ten is as likely as the next.
	Scale string `json:"scale,omitempty" jsonschema:"enum=linear,enum=log,default=linear" part:"recipe"`
	// Integer draws whole numbers.
	Integer bool `json:"integer,omitempty" part:"recipe"`
}

// Searches are the parameters that tell the training's candidates apart; nil where it does not search.
func (s *Training) Searches() []string {
	switch {
	case s.Search == nil:
		return nil
	case s.Search.Random != nil:
		return slices.Sorted(maps.Keys(s.Search.Random.Space))
	case s.Search.Ask != nil:
		return slices.Sorted(maps.Keys(s.Search.Ask.Space))
	}
	return slices.Sorted(maps.Keys(s.Search.Grid))
}

const (
	mostSearched = 64      // parameters of a search
	mostValue    = 4 << 10 // bytes of a value that many candidates have
	mostLabel    = 63
)

// count is how many combinations there are, with those that are drawn twice.
func (s *Search) count() int {
	if s.Random != nil {
		return max(0, min(s.Random.Trials, MaxCandidates+1))
	}
	if s.Ask != nil {
		return max(0, min(s.Ask.Trials, MaxCandidates+1))
	}
	n := min(1, len(s.Grid))
	for _, values := range s.Grid {
		if n = min(n*len(values), MaxCandidates+1); n == 0 {
			break
		}
	}
	return n
}

// candidates are those of the search, one more than MaxCandidates where there are more. What it makes of a search that has a problem
// is small, and counts for nothing.
func (s *Search) candidates() map[string]Candidate {
	if s.Random != nil {
		return s.Random.candidates()
	}
	if s.Ask != nil {
		return s.Ask.candidates()
	}
	names := slices.Sorted(maps.Keys(s.Grid))
	if len(names) > mostSearched {
		return nil
	}
	spelt := make([][]string, len(names))
	for i, name := range names {
		if len(s.Grid[name]) == 0 {
			return nil
		}
		for _, v := range s.Grid[name] {
			spelt[i] = append(spelt[i], name+"-"+inLabel(v))
		}
	}
	out, taken, at := map[string]Candidate{}, map[string]bool{}, make([]int, len(names))
	for more := len(names) > 0; more && len(out) <= MaxCandidates; more = advance(at, spelt) {
		params, parts := map[string]any{}, make([]string, len(names))
		for i, name := range names {
			params[name], parts[i] = s.Grid[name][at[i]], spelt[i][at[i]]
		}
		label := labelOf(parts)
		for n := 2; taken[strings.ToLower(label)]; n++ { // values that differ by the case of letters
			label = labelOf(append(parts, strconv.Itoa(n)))
		}
		taken[strings.ToLower(label)] = true
		out[label] = Candidate{Params: params}
	}
	return out
}

// advance goes to the next combination, and tells whether there is one.
func advance(at []int, of [][]string) bool {
	for i := len(at) - 1; i >= 0; i-- {
		if at[i]++; at[i] < len(of[i]) {
			return true
		}
		at[i] = 0
	}
	return false
}

func (r *RandomSearch) candidates() map[string]Candidate {
	names := slices.Sorted(maps.Keys(r.Space))
	if len(names) > mostSearched {
		return nil
	}
	out, taken := map[string]Candidate{}, map[string]bool{}
	for i := 1; i <= min(r.Trials, MaxCandidates+1); i++ {
		params, drawn := map[string]any{}, ""
		for _, name := range names {
			v, which := r.Space[name].draw(part(r.Seed, i, name))
			params[name], drawn = v, drawn+which+" "
		}
		if !taken[drawn] {
			taken[drawn] = true
			out[TrialName(i)] = Candidate{Params: params}
		}
	}
	return out
}

// part is a number from 0 to less than 1 that its arguments decide.
func part(seed int64, trial int, name string) float64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %d %s", seed, trial, name)
	x := h.Sum64() // whose bits the last steps of MurmurHash3 spread
	x = (x ^ x>>33) * 0xff51afd7ed558ccd
	x = (x ^ x>>33) * 0xc4ceb9fe1a85ec53
	return float64((x^x>>33)>>11) / (1 << 53)
}

// draw is a value, and what tells it from the others. Numbers have six digits, so that every kind of processor comes to the same one.
func (r Range) draw(part float64) (any, string) {
	if len(r.Values) > 0 {
		i := int(part * float64(len(r.Values)))
		return r.Values[i], strconv.Itoa(i)
	}
	if r.Min == nil || r.Max == nil {
		return nil, ""
	}
	low, high := *r.Min, *r.Max
	v := low + part*(high-low)
	switch {
	case r.Scale == "log":
		v = math.Exp(math.Log(low) + part*(math.Log(high)-math.Log(low)))
	case r.Integer:
		v = low + math.Floor(part*(high-low+1)) // all are as likely as each other
	}
	if r.Integer {
		v = math.Round(v)
	} else {
		v, _ = strconv.ParseFloat(strconv.FormatFloat(v, 'g', 6, 64), 64)
	}
	v = max(low, min(high, v))
	return v, strconv.FormatFloat(v, 'g', -1, 64)
}

var plainLabel = lazyregexp.New(`^[a-zA-Z0-9][-_.a-zA-Z0-9]*$`)

// inLabel is a value within the name of a candidate: as it is spelled, or a piece of its digest.
func inLabel(v any) string {
	text, isText := v.(string)
	if !isText {
		text = spelled(v)
	}
	if len(text) <= mostLabel && plainLabel.MatchString("a"+text) {
		return text
	}
	return digest.Of([]byte(text)).Hex()[:8]
}

// labelOf names a combination by its values: depth-3_lr-0.1.
func labelOf(parts []string) string {
	label := strings.Join(parts, "_")
	if len(label) <= mostLabel && plainLabel.MatchString(label) {
		return label
	}
	return strings.TrimLeft(label[:min(len(label), mostLabel-9)], "_") + "-" + digest.Of([]byte(label)).Hex()[:8]
}

func spelled(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(raw)
}

func (s *Search) check(c *checker, d *document, beside bool) {
	if s == nil {
		return
	}
	kinds := 0
	for _, given := range []bool{len(s.Grid) > 0, s.Random != nil, s.Ask != nil} {
		if given {
			kinds++
		}
	}
	switch {
	case beside:
		d.problem("spec.search", "and candidates are both given; remove one of them")
	case kinds != 1:
		d.problem("spec.search", "needs one of grid, random and ask")
	}
	if len(s.Grid) > mostSearched {
		d.problem("spec.search", mostSearchedText, mostSearched)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(s.Grid)) {
		differ(d, "spec.search.grid."+name, s.Grid[name])
	}
	if s.Random != nil {
		space(d, "spec.search.random.space", s.Random.Space)
	}
	s.Ask.check(c, d)
}

const mostSearchedText = "has more than %d parameters; search for fewer at once"

// space checks what parameters are drawn from.
func space(d *document, field string, all map[string]Range) {
	if len(all) > mostSearched {
		d.problem(field, mostSearchedText, mostSearched)
		return
	}
	if len(all) == 0 && !d.wrong(field) {
		d.problem(field, "is empty; name a parameter, and what it is drawn from")
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		all[name].check(d, field+"."+name)
	}
}

func (r Range) check(d *document, field string) {
	numbers := r.Min != nil || r.Max != nil || r.Integer || r.Scale != ""
	switch {
	case len(r.Values) > 0 && numbers:
		d.problem(field, "has values and bounds of numbers; remove one of them")
	case len(r.Values) > 0:
		differ(d, field+".values", r.Values)
	case r.Min == nil || r.Max == nil:
		d.problem(field, "needs values, or min and max")
	case !(*r.Min < *r.Max):
		d.problem(field+".max", "is not above min, so that there is one value; write it below spec.params")
	case r.Integer && (*r.Min != math.Trunc(*r.Min) || *r.Max != math.Trunc(*r.Max) || math.Abs(*r.Min) > 1<<52 || math.Abs(*r.Max) > 1<<52):
		d.problem(field, "draws whole numbers; write min and max as whole numbers below 4503599627370496")
	case r.Scale == "log" && *r.Min <= 0:
		d.problem(field+".min", "is 0 or below, where a scale of log has no end; write one above 0")
	}
}

// differ insists on values, of which no two are alike.
func differ(d *document, field string, values []any) {
	if len(values) == 0 {
		d.problem(field, "is empty; list its values")
	}
	seen := map[string]bool{}
	for _, v := range values {
		id := spelled(v)
		if len(id) > mostValue {
			d.problem(field, "has a value of more than %d KiB, which is written into many candidates; name a file in its place", mostValue>>10)
			return
		}
		if seen[id] {
			d.problem(field, "lists %s twice; remove one of them", strings.ToValidUTF8(id[:min(len(id), 60)], ""))
		} else {
			seen[id] = true
		}
	}
}
