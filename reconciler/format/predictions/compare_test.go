package predictions

import (
	"bytes"
	"compress/gzip"
	"math"
	"runtime"
	"strings"
	"testing"
)

// TestTwoAnswersAgreeByWhatTheySay: not by which model says it, nor by how it is written.
func TestTwoAnswersAgreeByWhatTheySay(t *testing.T) {
	long, numbers := strings.Repeat("A", longestText), strings.Repeat("0,", 5000)
	for name, c := range map[string]struct {
		one, other string
		tolerance  float64
		agree      bool
		numbers    int
		farthest   float64
	}{
		"v2": {`{"model_name":"a","model_version":"1","id":"x","outputs":[{"name":"y","shape":[2],"datatype":"FP64","data":[1,2.5]}]}`,
			`{"model_name":"a","model_version":"2","id":"y","outputs":[{"name":"y","shape":[2,1],"datatype":"FP64","data":[1.0,2.5]}]}`, 0, true, 2, 0},
		"within":         {`{"predictions":[1,2]}`, `{"predictions":[1.125,2]}`, 0.125, true, 2, 0.125},
		"beyond":         {`{"predictions":[1,2]}`, `{"predictions":[1.25,2]}`, 0.125, false, 2, 0.25},
		"all are seen":   {`{"predictions":[9,1]}`, `{"predictions":[1,1.5]}`, 0, false, 2, 8},
		"text":           {`{"predictions":["cat"]}`, `{"predictions":["dog"]}`, 5, false, 0, 0},
		"fewer":          {`{"predictions":[1,2]}`, `{"predictions":[1]}`, 5, false, 0, 0},
		"of a kind":      {`{"label":"cat","p":0.5,"id":"1"}`, `{"p":0.75,"label":"cat","id":"2"}`, 0.5, true, 1, 0.25},
		"another member": {`{"label":"cat"}`, `{"labels":"cat"}`, 0, false, 0, 0},
		"nested":         {`[{"a":[1,{"b":2}]}]`, `[{"a":[1,{"b":3}]}]`, 0, false, 2, 1},
		"no number":      {`[1]`, `["1"]`, 0, false, 0, 0},
		"called alike":   {`{"outputs":[{"name":"y","shape":[1],"data":[1]},{"name":"y","shape":[1],"data":[2]}]}`, `{"outputs":[{"name":"y","shape":[1],"data":[1]},{"name":"y","shape":[1],"data":[2]}]}`, 0, true, 2, 0},
		"bytes":          {"plain", "plain", 0, true, 0, 0},
		"other bytes":    {"plain", "plain ", 0, false, 0, 0},
		"JSON twice":     {`{} {}`, `{} {} `, 0, false, 0, 0},
		"who gave it":    {`{"predictions":[1],"deployedModelId":"1","model":"a"}`, `{"model":"b","predictions":[1],"deployedModelId":"2"}`, 0, true, 1, 0},
		"Seldon":         {`{"data":{"names":["a"],"ndarray":[[1]]},"meta":{"puid":"x","tags":{}}}`, `{"meta":{"puid":"y","tags":{}},"data":{"names":["a"],"ndarray":[[1]]}}`, 0, true, 1, 0},
		"its tags":       {`{"data":{"names":["a"],"ndarray":[[1]]},"meta":{"tags":{"x":1}}}`, `{"data":{"names":["a"],"ndarray":[[1]]},"meta":{"tags":{"x":2}}}`, 0, false, 2, 1},
		"its names":      {`{"data":{"names":["a","b"],"ndarray":[[1]]}}`, `{"data":{"names":["a","c"],"ndarray":[[1]]}}`, 0, false, 1, 0},
		"beside it":      {`{"predictions":[1],"allowed":false}`, `{"predictions":[1],"allowed":true}`, 5, false, 1, 0},
		"beside nothing": {`{"predictions":[1]}`, `{"predictions":[1],"allowed":true}`, 0, false, 1, 0},
		"in a tensor":    {`{"outputs":[{"name":"y","shape":[1],"data":[1],"parameters":{"ok":true}}]}`, `{"outputs":[{"name":"y","shape":[1],"data":[1],"parameters":{"ok":false}}]}`, 0, false, 1, 0},
		"another order": {`{"outputs":[{"name":"y","shape":[1],"data":[1]},{"name":"z","shape":[1],"data":[2]}]}`,
			`{"outputs":[{"name":"z","shape":[1],"data":[2]},{"name":"y","shape":[1],"data":[1]}]}`, 0, true, 2, 0},
		"two spellings":     {`{"predictions":[1],"PREDICTIONS":[1]}`, `{"predictions":[666],"PREDICTIONS":[1]}`, 0, false, 2, 665},
		"in a spelling":     {`{"outputs":[{"name":"y","shape":[1],"data":[1],"Data":[1]}]}`, `{"outputs":[{"name":"y","shape":[1],"data":[6],"Data":[1]}]}`, 0, false, 3, 5},
		"two keys":          {`{"predictions":[1],"outputs":[1]}`, `{"predictions":[1],"outputs":[2]}`, 0, false, 2, 1},
		"behind it":         {`{"a":1} x`, `{"a":1} y`, 0, false, 0, 0},
		"long texts":        {`{"predictions":["` + long + `cat"]}`, `{"predictions":["` + long + `dog"]}`, 0, false, 0, 0},
		"a long list":       {`{"predictions":[{"e":[` + numbers + `1]}]}`, `{"predictions":[{"e":[` + numbers + `2]}]}`, 0, false, 5001, 1},
		"a long one within": {`{"predictions":[{"e":[` + numbers + `1]}],"model_version":"1"}`, `{"model_version":"2","predictions":[{"e":[` + numbers + `1.5]}]}`, 0.5, true, 5001, 0.5},
		"deep":              {`{"predictions":[[[[[[[[[[1]]]]]]]]]]}`, `{"predictions":[[[[[[[[[[2]]]]]]]]]]}`, 0, false, 1, 1},
		"large ids":         {`{"predictions":[9007199254740993]}`, `{"predictions":[9007199254740992]}`, 0, false, 1, 1},
		"larger ids":        {`{"predictions":[18446744073709551615]}`, `{"predictions":[18446744073709551614]}`, 0, false, 1, 1},
		"ids of a kind":     {`[-9223372036854775808,9007199254740993]`, `[-9223372036854775807,9007199254740993]`, 0, false, 2, 1},
		"far ids":           {`{"predictions":[-9223372036854775808]}`, `{"predictions":[9223372036854775807]}`, 0, false, 1, math.MaxUint64},
		"truths":            {`{"predictions":[true]}`, `{"predictions":[false]}`, 5, false, 0, 0},
		"a truth":           {`{"predictions":[true]}`, `{"predictions":[1]}`, 5, false, 0, 0},
		"far":               {`[1e308]`, `[-1e308]`, 0, false, 1, math.MaxFloat64},
		"no float":          {`[1e999]`, `[1e999]`, 0, true, 0, 0},
	} {
		d, ok := Compare(Body{Bytes: []byte(c.one)}, Body{Bytes: []byte(c.other)}, c.tolerance)
		if !ok || d.Agree != c.agree || d.Numbers != c.numbers || d.Farthest != c.farthest {
			t.Errorf("%s: %+v, %v", name, d, ok)
		}
	}
}

// TestWhatCannotBeReadIsNoAgreement: of the answer that was given nothing is known then, and of the other one that it differs.
func TestWhatCannotBeReadIsNoAgreement(t *testing.T) {
	one := []byte(`{"predictions":[1]}`)
	plain, packed := Body{Bytes: one}, Body{Bytes: gzipped(string(one)), Encoding: "gzip"}
	half, odd, noGzip := Body{Bytes: one, Cut: true}, Body{Bytes: one, Encoding: "br"}, Body{Bytes: one, Encoding: "gzip"}
	large := Body{Bytes: gzipped(strings.Repeat(" ", inflated) + string(one)), Encoding: "gzip"}
	for name, c := range map[string]struct {
		one, other Body
		agree, ok  bool
	}{
		"one is compressed":      {packed, plain, true, true},
		"the other is":           {plain, packed, true, true},
		"half of the other":      {plain, half, false, true},
		"an encoding":            {plain, odd, false, true},
		"no gzip":                {plain, noGzip, false, true},
		"too much":               {packed, large, false, true},
		"half of the one":        {half, plain, false, false},
		"half of both":           {half, half, false, false},
		"an encoding of the one": {odd, plain, false, false},
		"the same of both":       {odd, odd, true, true},
		"another of both":        {odd, Body{Bytes: []byte("x"), Encoding: "br"}, false, false},
	} {
		if d, ok := Compare(c.one, c.other, 0); d.Agree != c.agree || ok != c.ok {
			t.Errorf("%s: %+v, %v", name, d, ok)
		}
	}
}

func FuzzCompare(f *testing.F) {
	f.Add([]byte(`{"predictions":[1]}`), []byte(`{"outputs":[{"name":"y","shape":[1],"data":[1]}]}`))
	f.Add([]byte(`{"data":{"ndarray":[[1,2]]}}`), []byte(`[[[`))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		d, ok := Compare(Body{Bytes: a}, Body{Bytes: b}, 0)
		e, too := Compare(Body{Bytes: b}, Body{Bytes: a}, 0)
		if d.Agree != e.Agree || ok != too {
			t.Errorf("%q and %q agree one way: %+v, %+v", a, b, d, e)
		}
		if same, _ := Compare(Body{Bytes: a}, Body{Bytes: a}, 0); !same.Agree {
			t.Errorf("%q does not agree with itself", a)
		}
	})
}

// TestASmallAnswerTakesLittleMemory: of 4 KiB that come to 4 MiB, of as many values as have room there.
func TestASmallAnswerTakesLittleMemory(t *testing.T) {
	many := func(open, value, end string, n int) string {
		return open + strings.TrimSuffix(strings.Repeat(value+",", n), ",") + end
	}
	for name, answer := range map[string]string{
		"a list":                    many("[", "0", "]", 2<<20-8),
		"empty objects":             many("[", "{}", "]", 1<<20+1<<18),
		"objects":                   many("[", `{"":0}`, "]", 500<<10),
		"lists in lists":            many("[", strings.Repeat("[", 100)+strings.Repeat("]", 100), "]", 20<<10),
		"predictions":               many(`{"predictions":[`, "0", "]}", 2<<20-40),
		"rows":                      many(`{"predictions":[`, `{"":0}`, "]}", 500<<10),
		"as many as are looked at":  many(`{"predictions":[`, `{"":0}`, "]}", 9_000),
		"as many values":            many(`{"predictions":[`, "[1,2,3,4,5,6]", "]}", 9_000),
		"as many of no protocol":    many("[", `{"":0}`, "]", 32<<10-8),
		"lists, as many":            many("[", strings.Repeat("[", 60)+strings.Repeat("]", 60), "]", 1_000),
		"a text with commas":        `["` + strings.Repeat(",[{", 1<<20) + `"]`,
		"no JSON, and a text opens": many(`"\`, "0", "]", 2<<20-8),
	} {
		packed := Body{Bytes: gzipped(answer), Encoding: "gzip"}
		for what, do := range map[string]func(){
			"compared": func() {
				if d, ok := Compare(packed, packed, 0); !ok || !d.Agree {
					t.Errorf("%s: it does not agree with itself: %+v, %v", name, d, ok)
				}
			},
			"logged": func() {
				Policy{Sampling: 1, Bodies: true}.Rows(Exchange{Status: 200, Response: packed, Second: true})
			},
		} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			do()
			runtime.ReadMemStats(&after)
			if took := (after.TotalAlloc - before.TotalAlloc) >> 20; took > 96 {
				t.Errorf("%s, %s: of %d bytes it makes %d MiB", name, what, len(packed.Bytes), took)
			} else {
				t.Logf("%s, %s: %d MiB", name, what, took)
			}
		}
	}
}

func gzipped(text string) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return out.Bytes()
}
