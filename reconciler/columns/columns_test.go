// What a dataset's declared columns promise, held against real rows.
package columns

import (
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/schemas"
)

func ptr(v float64) *float64 { return &v }

func TestDataOutsideItsDeclarationIsNamedByLineAndColumn(t *testing.T) {
	declared := map[string]schemas.Column{
		"hours":    {Type: "number", Min: ptr(0), Max: ptr(24), Required: true},
		"age":      {Type: "integer"},
		"enrolled": {Type: "boolean"},
		"course":   {Values: []string{"maths", "arts"}},
	}
	header := "hours,age,enrolled,course\n"
	for name, c := range map[string]struct{ data, want string }{
		"good":            {header + "3.5,18,true,arts\n4,,0,\n", ""},
		"byte order mark": {"\ufeff" + header + "3.5,18,true,arts\n", ""},
		"quoted":          {header + "\"3\",18,true,\"arts\"\n", ""},
		"too large":       {header + "25,18,true,arts\n", "line 2: hours: is more than 24"},
		"too small":       {header + "1,18,true,arts\n-1,18,true,arts\n", "line 3: hours: is less than 0"},
		"not a number":    {header + "NaN,18,true,arts\n", "line 2: hours: is no finite number"},
		"empty":           {header + ",18,true,arts\n", "line 2: hours: is empty"},
		"fraction":        {header + "1,18.5,true,arts\n", "line 2: age: is no integer"},
		"no boolean":      {header + "1,18,yes,arts\n", "line 2: enrolled: is no boolean"},
		"not listed":      {header + "1,18,true,law\n", "line 2: course: is none of the declared values"},
		"missing column":  {"hours,age,enrolled\n1,2,true\n", `column "course" is declared and not in the header`},
		"twice":           {"hours,hours\n1,2\n", `column "hours" stands in the header twice`},
		"no rows at all":  {"", "the file is empty"},
		"ragged":          {header + "1,2\n", "wrong number of fields"},
		"many":            {header + strings.Repeat("25,18,true,arts\n", 15), "and 5 more"},
	} {
		t.Run(name, func(t *testing.T) {
			err := Check(strings.NewReader(c.data), declared)
			switch {
			case c.want == "" && err != nil:
				t.Fatal(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Fatalf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestValuesAreNeverShown(t *testing.T) {
	err := Check(strings.NewReader("name\nAda Lovelace\n"), map[string]schemas.Column{"name": {Type: "number"}})
	if err == nil || strings.Contains(err.Error(), "Ada") {
		t.Fatalf("got %v", err)
	}
}

func FuzzCheck(f *testing.F) {
	f.Add("a,b\n1,2\n")
	f.Fuzz(func(t *testing.T, data string) {
		_ = Check(strings.NewReader(data), map[string]schemas.Column{"a": {Type: "number", Min: ptr(0)}, "b": {Type: "integer", Required: true}})
	})
}
