// What bodies of each protocol come to, and that nothing a client sends does harm.

package predictions

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
	"testing"
	"time"
)

// told is a row's cells as text, a line each.
func told(r Row) string {
	var out []string
	for _, c := range r.Cells {
		out = append(out, c.Column+"="+c.Value.String())
	}
	return r.ID + ": " + strings.Join(out, " ")
}

func TestBodiesBecomeColumns(t *testing.T) {
	zipped := func(s string) string {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		w.Write([]byte(s))
		w.Close()
		return b.String()
	}
	const oip = `{"id":"42","inputs":[{"name":"hours","shape":[2],"datatype":"FP64","data":[3,4.5]},{"name":"region","shape":[2,1],"datatype":"BYTES","data":[["n"],["s"]]}]}`
	const oipOut = `{"outputs":[{"name":"probability","shape":[2],"datatype":"FP64","data":[0.2,0.9]},{"name":"enrolls","shape":[2],"datatype":"BOOL","data":[false,true]}]}`
	for name, c := range map[string]struct {
		ask, answer, zip string
		status           int
		policy           Policy
		want             []string
	}{
		"open inference": {ask: oip, answer: oipOut, want: []string{
			"42/0: feature.hours=3 feature.region=n score=0.2 prediction=false",
			"42/1: feature.hours=4.5 feature.region=s score=0.9 prediction=true"}},
		"a tensor without names": {ask: `{"inputs":[{"name":"x","shape":[1,3],"data":[1,2,3]}]}`, answer: `{"outputs":[{"name":"predict_proba","shape":[1,2],"data":[0.3,0.7]}]}`,
			want: []string{"7: feature.x.0=1 feature.x.1=2 feature.x.2=3 output.predict_proba.0=0.3 score=0.7"}},
		"a tensor named by the declaration": {ask: `{"inputs":[{"name":"x","shape":[1,2],"data":[[1,2]]}]}`, answer: `{"outputs":[{"name":"y","shape":[1],"data":[9]}]}`,
			policy: Policy{Features: []string{"age", "hours"}}, want: []string{"7: feature.age=1 feature.hours=2 prediction=9"}},
		"instances": {ask: `{"instances":[{"a":1,"b":{"c":"x"}},{"a":2}]}`, answer: `{"predictions":[[0.1],[0.2]]}`,
			want: []string{"7/0: feature.a=1 feature.b.c=x prediction=0.1", "7/1: feature.a=2 prediction=0.2"}},
		"instances that are values": {ask: `{"instances":[5,6]}`, answer: `{"predictions":[{"class":"a","confidence":1e-3},{"class":"b","confidence":1}]}`,
			want: []string{"7/0: feature.0=5 prediction=a score=0.001", "7/1: feature.0=6 prediction=b score=1"}},
		"columns of TensorFlow": {ask: `{"inputs":{"a":[1,2],"b":[[3,4],[5,6]]}}`, answer: `{"outputs":[7,8]}`,
			want: []string{"7/0: feature.a=1 feature.b.0=3 feature.b.1=4 prediction=7", "7/1: feature.a=2 feature.b.0=5 feature.b.1=6 prediction=8"}},
		"MLflow records":            {ask: `{"dataframe_records":[{"a":null,"b":true}]}`, answer: `{"predictions":[1]}`, want: []string{"7: feature.b=true prediction=1"}},
		"MLflow split":              {ask: `{"dataframe_split":{"columns":["a","b"],"data":[[1,2],[3,4]]}}`, answer: `{"predictions":[1,0]}`, want: []string{"7/0: feature.a=1 feature.b=2 prediction=1", "7/1: feature.a=3 feature.b=4 prediction=0"}},
		"Seldon":                    {ask: `{"data":{"names":["a","b"],"ndarray":[[1,2]]}}`, answer: `{"data":{"names":["t:0"],"tensor":{"shape":[1,1],"values":[0.5]}}}`, want: []string{"7: feature.a=1 feature.b=2 prediction=0.5"}},
		"an error":                  {ask: `{"instances":[{"a":1}]}`, answer: `{"error":"a: too small"}`, status: 400, want: []string{"7: feature.a=1 error=a: too small"}},
		"compressed":                {ask: `{"instances":[{"a":1}]}`, answer: zipped(`{"predictions":[2]}`), zip: "gzip", want: []string{"7: feature.a=1 prediction=2"}},
		"no protocol":               {ask: "a=1", answer: "two\xff", policy: Policy{Bodies: true}, want: []string{"7: request=a=1 response=dHdv/w== encoding=base64"}},
		"no bodies kept":            {ask: "a=1", answer: "two", want: []string{"7: "}},
		"bodies may tell of people": {ask: "email=x@y.z", answer: "two", policy: Policy{Bodies: true, Personal: []string{"email"}}, want: []string{"7: "}},
		"personal left out":         {ask: `{"instances":[{"Email":"x@y.z","email.host":"y","a":1}]}`, answer: `{"predictions":[{"p":1,"email":"x@y.z"}]}`, policy: Policy{Personal: []string{"email"}}, want: []string{"7: feature.a=1 prediction=1"}},
		"personal hashed": {ask: `{"instances":[{"email":"x","a":1}]}`, answer: `{"predictions":[1]}`,
			policy: Policy{Personal: []string{"email"}, Hash: func(c, v string) string { return "#" + c }}, want: []string{"7: feature.email=#feature.email feature.a=1 prediction=1"}},
		"personal without a name":        {ask: `{"inputs":[{"name":"x","shape":[1,2],"data":[1,2]}]}`, answer: `{"predictions":[1]}`, policy: Policy{Personal: []string{"email"}}, want: []string{"7: prediction=1"}},
		"personal error":                 {ask: `{"instances":[{"a":1}]}`, answer: `{"error":"x@y.z is unknown"}`, status: 422, policy: Policy{Personal: []string{"email"}}, want: []string{"7: "}},
		"personal misspelt, and refused": {ask: `{"instances":[{"e-mail":"x@y.z","a":1}]}`, answer: `{}`, status: 400, policy: Policy{Personal: []string{"email"}}, want: []string{"7: "}},
		"personal within an object":      {ask: `{"instances":[{"who":{"EMAIL":"x@y.z","email":{"host":"y"}},"emails":2,"a":1}]}`, answer: `{"predictions":[1]}`, policy: Policy{Personal: []string{"email"}}, want: []string{"7: feature.emails=2 feature.a=1 prediction=1"}},
		"personal deep within": {ask: `{"instances":[{"a":` + strings.Repeat(`{"b":`, 9) + `{"email":"x@y.z"}` + strings.Repeat("}", 9) + `,"c":1}]}`, answer: `{"predictions":[1]}`,
			policy: Policy{Personal: []string{"email"}}, want: []string{"7: feature.c=1 prediction=1"}},
		"personal in a list's place": {ask: `{"instances":[{"b64":{"email":"x@y.z"}}]}`, answer: `{"predictions":[1]}`, policy: Policy{Personal: []string{"email"}}, want: []string{"7: prediction=1"}},
		"answer of another size":     {ask: `{"instances":[{"a":1},{"a":2}]}`, answer: `{"predictions":[1]}`, want: []string{"7/0: feature.a=1", "7/1: feature.a=2"}},
		"shape that lies":            {ask: `{"inputs":[{"name":"x","shape":[2,4000000],"data":[1]}]}`, answer: `{"predictions":[1]}`, want: []string{"7: prediction=1"}},
		"no instances":               {ask: `{"instances":[]}`, answer: `{"predictions":[]}`, want: []string{"7: "}},
		"a name twice":               {ask: `{"inputs":[{"name":"x","shape":[1],"data":[1]},{"name":"x","shape":[1],"data":[2]}]}`, answer: `{"predictions":[1]}`, want: []string{"7: feature.x=1 prediction=1"}},
	} {
		t.Run(name, func(t *testing.T) {
			x := Exchange{ID: "7", Status: c.status, Request: Body{Bytes: []byte(c.ask)}, Response: Body{Bytes: []byte(c.answer), Encoding: c.zip}}
			if x.Status == 0 {
				x.Status = 200
			}
			if name == "open inference" {
				x.ID = ""
			}
			var got []string
			for _, r := range c.policy.Rows(x) {
				got = append(got, told(r))
			}
			if fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("\n got %q\nwant %q", got, c.want)
			}
		})
	}
}

// Whatever a client sends, what it comes to is bounded in rows and columns, and soon there.
func TestHostileBodiesStayBounded(t *testing.T) {
	wide := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `"k%d":%d,`, i, i)
		}
		return `{"instances":[{` + strings.TrimSuffix(b.String(), ",") + `}]}`
	}
	for name, ask := range map[string]string{
		"deep lists":      `{"instances":[` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + `]}`,
		"deeper":          `{"instances":` + strings.Repeat("[", 500_000),
		"deep objects":    `{"instances":[` + strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000) + `]}`,
		"many columns":    wide(3000),
		"a million keys":  wide(100_000),
		"many instances":  `{"instances":[` + strings.Repeat("1,", 200_000) + `1]}`,
		"wide and long":   `{"instances":[` + strings.Repeat(`{"a":1},`, 5000) + wide(4000)[14:],
		"a negative size": `{"inputs":[{"name":"x","shape":[-1,-1],"data":[1]}]}`,
		"no data":         `{"inputs":[{"name":"x","shape":[0],"data":[]}]}`,
		"data of objects": `{"inputs":[{"name":"x","shape":[1],"data":[{"a":1}]}]}`,
		"big numbers":     `{"instances":[{"a":1e999,"b":123456789012345678901234567890,"c":-0.0}]}`,
		"not JSON":        "\x00\xff{",
		"null":            "null",
		"a long name":     `{"instances":[{"` + strings.Repeat("n", 1<<20) + `":1}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			rows := Policy{Bodies: true}.Rows(Exchange{ID: "7", Status: 200, Request: Body{Bytes: []byte(ask)}, Response: Body{Bytes: []byte(`{"predictions":[1]}`)}})
			if len(rows) == 0 || len(rows) > mostInstances {
				t.Fatal(len(rows))
			}
			var p Part
			for _, r := range rows {
				if len(r.Cells) > mostColumns+4 {
					t.Fatalf("%d cells", len(r.Cells))
				}
				p.Add(r)
			}
			if err := p.Write(&bytes.Buffer{}, 0); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
}

func TestIDsHoldNothingThatHarms(t *testing.T) {
	for id, plain := range map[string]bool{"42": true, "a/b c": true, "日本": true, "a\nb": false, "\x1b[31m": false, "a\xff": false, strings.Repeat("x", 300): false, "": true} {
		if got := CleanID(id); (got == id) != plain || len(got) > longestID {
			t.Errorf("%q is logged as %q", id, got)
		}
	}
}

func FuzzRows(f *testing.F) {
	f.Add([]byte(`{"id":"1","inputs":[{"name":"a","shape":[1,2],"data":[[1,2]]}]}`), []byte(`{"outputs":[{"name":"y","shape":[1],"data":[1]}]}`))
	f.Add([]byte(`{"instances":[{"a":{"b64":"eA=="}}]}`), []byte(`{"predictions":[[1,2]]}`))
	f.Add([]byte(`{"data":{"names":["a"],"tensor":{"shape":[1,1],"values":[1]}}}`), []byte(`{"data":{"ndarray":[1]}}`))
	f.Add([]byte(`{"inputs":{"a":[1],"b":[[2]]}}`), []byte(`{"outputs":{"y":[1]}}`))
	f.Fuzz(func(t *testing.T, ask, answer []byte) {
		for _, p := range []Policy{{Bodies: true}, {Personal: []string{"a"}, Features: []string{"x", "y"}}} {
			var part Part
			for _, r := range p.Rows(Exchange{Status: 200, Time: time.Unix(1, 0), Request: Body{Bytes: ask}, Response: Body{Bytes: answer}}) {
				part.Add(r)
				for _, c := range r.Cells {
					if len(p.Personal) > 0 && strings.EqualFold(c.Column, FeaturePrefix+"a") {
						t.Fatalf("%s is logged", c.Column)
					}
				}
			}
			if err := part.Write(&bytes.Buffer{}, 0); err != nil {
				t.Fatal(err)
			}
		}
	})
}
