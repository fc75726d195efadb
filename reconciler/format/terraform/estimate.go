// What the resources of a plan cost a month, by a table of prices: of the plan as
// `terraform show -json` prints it
// (https://developer.hashicorp.com/terraform/internals/json-format), it reads types and
// the attributes that the table names, and tells amounts and addresses alone.

package terraform

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Price is what one resource of a type costs a month: Monthly, what By's value costs, and
// what each of Per's attributes costs for each that it counts; all of it Times over.
type Price struct {
	Monthly float64
	By      string             // an attribute, as instance_type; a dot leads into a block: disk.size
	Values  map[string]float64 // by By's value; AnyValue is each that is not named
	Per     map[string]float64 // attributes that are numbers, with the price of one
	Times   string             // an attribute that is a number, as desired_capacity; "": once
}

// AnyValue is the value of an attribute that has no price of its own.
const AnyValue = "any"

// Prices are by type; aws_iam_* is of all types that begin so and have no price of their own.
type Prices map[string]Price

// Estimate is what a stack costs a month when its plan is carried out.
type Estimate struct {
	Amount float64 // of all that is there then
	Change float64 // how much more that is than now
	// Unknown are the addresses that it leaves out: no price fits, or an attribute is sensitive or known only after apply.
	Unknown []string
}

// mostAmount bounds what one resource costs: a plan may say any number.
const mostAmount = 1e9

type planned struct {
	Address string `json:"address"`
	Mode    string `json:"mode"`
	Type    string `json:"type"`
	Change  struct {
		Before  map[string]any `json:"before"`
		After   map[string]any `json:"after"`
		Unknown map[string]any `json:"after_unknown"`
		// What is sensitive is true here, or a whole that has it is.
		Secret    any `json:"before_sensitive"`
		NewSecret any `json:"after_sensitive"`
	} `json:"change"`
}

// Estimated reads what the resources of a plan cost. Those of data cost nothing.
func Estimated(plan []byte, prices Prices) (Estimate, error) {
	var doc struct {
		Resources []planned `json:"resource_changes"`
	}
	if json.Unmarshal(plan, &doc) != nil {
		return Estimate{}, errors.New("the plan cannot be read") // the decoder's message may quote a value
	}
	var out Estimate
	for _, r := range doc.Resources {
		if r.Mode == "data" {
			continue
		}
		price, priced := prices.of(r.Type)
		before, known := price.amount(r.Change.Before, r.Change.Secret)
		after, also := price.amount(r.Change.After, r.Change.NewSecret, r.Change.Unknown)
		if !priced || !known || !also {
			out.Unknown = append(out.Unknown, r.Address)
			continue
		}
		out.Amount += after
		out.Change += after - before
	}
	slices.Sort(out.Unknown)
	out.Unknown = slices.Compact(out.Unknown)
	return out, nil
}

// of is the price of a type: its own, or that of the longest beginning that it has.
func (p Prices) of(kind string) (Price, bool) {
	if own, ok := p[kind]; ok {
		return own, true
	}
	for n := len(kind); n > 0; n-- {
		if of, ok := p[kind[:n]+"*"]; ok {
			return of, true
		}
	}
	return Price{}, false
}

// amount is what a resource with these attributes costs; nil is none. Of those that veils mark as true, nothing is told: they are
// sensitive, or known only after apply.
func (p Price) amount(attributes map[string]any, veils ...any) (sum float64, known bool) {
	if attributes == nil {
		return 0, true
	}
	sum = p.Monthly
	if p.By != "" {
		value, _ := at(attributes, p.By).(string)
		price, ok := p.Values[value]
		if !ok {
			price, ok = p.Values[AnyValue]
		}
		if !ok || veiled(veils, p.By) {
			return 0, false
		}
		sum += price
	}
	for _, name := range slices.Sorted(maps.Keys(p.Per)) {
		n, ok := number(at(attributes, name))
		if !ok || veiled(veils, name) {
			return 0, false
		}
		sum += n * p.Per[name]
	}
	if p.Times != "" {
		n, ok := number(at(attributes, p.Times))
		if !ok || veiled(veils, p.Times) {
			return 0, false
		}
		sum *= n
	}
	return sum, sum >= 0 && sum <= mostAmount
}

// at is the value at a path; nil where there is none. A block, or one value of a set, is a list of one.
func at(v any, way string) any {
	for name := range strings.SplitSeq(way, ".") {
		if list, is := v.([]any); is && len(list) == 1 {
			v = list[0]
		}
		object, is := v.(map[string]any)
		if !is {
			return nil
		}
		v = object[name]
	}
	if list, is := v.([]any); is && len(list) == 1 {
		v = list[0]
	}
	return v
}

// veiled tells whether one of veils marks a value, or a whole that it is in.
func veiled(veils []any, way string) bool {
	parts := strings.Split(way, ".")
	for _, v := range veils {
		if v == true {
			return true
		}
		for i := range parts {
			if at(v, strings.Join(parts[:i+1], ".")) == true {
				return true
			}
		}
	}
	return false
}

// number is of a number, or a text of one. None is below zero.
func number(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, v >= 0 && v <= mostAmount
	case string:
		n, err := strconv.ParseFloat(v, 64)
		return n, err == nil && n >= 0 && n <= mostAmount
	default:
		return 0, false
	}
}
