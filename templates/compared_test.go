// A page that compares runs shows what they are, and is nothing but text and drawings whatever they logged.

package templates

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
	"pgregory.net/rapid"

	"github.com/vishwaops/vishwa/reconciler/format/tracking"
)

func threeRuns() []Compared {
	loss := func(k float64) []tracking.Series {
		s := tracking.Series{Name: "loss"}
		for i := range 5 {
			s.Steps, s.Values = append(s.Steps, int64(i)), append(s.Values, tracking.Number(k/float64(i+1)))
		}
		s.Values[1] = tracking.Number(math.NaN())
		return []tracking.Series{s, {Name: "once", Steps: []int64{0}, Values: []tracking.Number{1}}}
	}
	return []Compared{
		{Name: "training/price:a", Params: map[string]string{"depth": "3", "booster": "gbtree", "same": "1"}, Metrics: map[string]float64{"auc": 0.9}, Series: loss(1), Note: "selected"},
		{Name: "training/price:b", Params: map[string]string{"depth": "5", "booster": "dart", "same": "1"}, Metrics: map[string]float64{"auc": 0.8}, Series: loss(2)},
		{Name: "training/price:c", Params: map[string]string{"depth": "9", "same": "1"}},
	}
}

func TestRunsAreComparedOnAPage(t *testing.T) {
	got := ComparedPage("Runs compared", threeRuns())
	const golden = "testdata/compared.html"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || got != string(want) {
		t.Errorf("the page is another one than %s (%v):\n%s", golden, err, got)
	}
	for _, has := range []string{"<th>depth</th>", `<td class="n">0.9</td>`, `aria-label="loss"`, "<td>selected</td>", "training/price:c"} {
		if !strings.Contains(got, has) {
			t.Errorf("it lacks %s", has)
		}
	}
	for _, lacks := range []string{"same", `aria-label="once"`, "NaN"} {
		if strings.Contains(got, lacks) {
			t.Errorf("it has %s", lacks)
		}
	}
}

// TestWhatRunsLoggedIsTextOnThePage: no name and no value becomes an element, an attribute or an address.
func TestWhatRunsLoggedIsTextOnThePage(t *testing.T) {
	odd := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"<script>alert(1)</script>", `"><img src=x onerror=alert(1)>`, "</title><script>", `' onload='x`, "]]>", "<!--", "javascript:x", "\x1b[2J", "\u202e"}))
	numbers := rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), -math.MaxFloat64, math.MaxFloat64}))
	known := []string{"html", "head", "meta", "title", "style", "body", "h1", "h2", "table", "tbody", "tr", "th", "td", "span", "svg", "text", "path", "polyline", "p"}
	attributes := []string{"lang", "charset", "http-equiv", "content", "class", "style", "width", "height", "role", "aria-label", "x", "y", "d", "points", "stroke", "stroke-dasharray", "text-anchor"}
	rapid.Check(t, func(t *rapid.T) {
		var runs []Compared
		for range rapid.IntRange(1, 12).Draw(t, "runs") {
			r := Compared{Name: odd.Draw(t, "name"), Note: odd.Draw(t, "note"), Params: rapid.MapOfN(odd, odd, 0, 3).Draw(t, "params"), Metrics: rapid.MapOfN(odd, numbers, 0, 3).Draw(t, "metrics")}
			s := tracking.Series{Name: odd.Draw(t, "series")}
			for range rapid.IntRange(0, 4).Draw(t, "points") {
				s.Steps, s.Values = append(s.Steps, rapid.Int64().Draw(t, "step")), append(s.Values, tracking.Number(numbers.Draw(t, "value")))
			}
			r.Series = []tracking.Series{s}
			runs = append(runs, r)
		}
		page := ComparedPage(odd.Draw(t, "title"), runs)
		doc, err := html.Parse(strings.NewReader(page))
		if err != nil {
			t.Fatal(err)
		}
		for n := range doc.Descendants() {
			if n.Type == html.CommentNode || n.Type == html.ElementNode && !slices.Contains(known, n.Data) {
				t.Fatalf("it has a %s:\n%s", n.Data, page)
			}
			for _, a := range n.Attr {
				if !slices.Contains(attributes, a.Key) {
					t.Fatalf("%s has a %s:\n%s", n.Data, a.Key, page)
				}
				if (a.Key == "d" || a.Key == "points") && strings.Trim(a.Val, "MLVH0123456789.,- ") != "" {
					t.Fatalf("it draws %q", a.Val)
				}
			}
		}
	})
}

// TestASearchOfThousandsIsAPage: it grows with the trials and no faster.
func TestASearchOfThousandsIsAPage(t *testing.T) {
	var runs []Compared
	for i := range 5000 {
		runs = append(runs, Compared{Name: fmt.Sprint("training/price:trial-", i), Params: map[string]string{"depth": fmt.Sprint(i % 7)}, Metrics: map[string]float64{"auc": float64(i)}})
	}
	if page := []byte(ComparedPage("many", runs)); bytes.Count(page, []byte("<polyline")) != 5000 || len(page) > 5<<20 {
		t.Errorf("%d bytes", len(page))
	}
}
