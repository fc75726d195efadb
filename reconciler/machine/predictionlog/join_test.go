// Labels are joined to the rows that they belong to.

package predictionlog

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/format/table"
	"github.com/vishwaops/vishwa/schemas"
)

func outcomes(t *testing.T, text string) table.Reader {
	t.Helper()
	r, err := table.Open(strings.NewReader(text), int64(len(text)), schemas.Format{}, "outcomes.csv")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestLabelsAreJoinedToTheirRows(t *testing.T) {
	dir := lay(t, map[string]string{
		"a.csv": "time,id,x,status\n2026-11-28T12:30:00Z,1,5,200\n2026-11-28T12:31:00Z,2,6,200\n2026-11-28T12:32:00Z,3,7,\n2026-11-28T12:32:00Z,4,8,500\n",
	})
	labels, err := ReadLabels(outcomes(t, "id,enrolled,on\n1.0,true,2026-11-30\n2,no,2027-11-30\n9,true,2026-11-30\n"), LabelColumns{Value: "enrolled", At: "on"}, 30*24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	j := Join(Read(t.Context(), dirOf(t, dir), Query{}), labels, noon.Add(24*time.Hour))
	defer j.Close()
	var got []string
	for {
		row, err := j.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, line(j.Reader, row, []string{"id", "x", "label"}))
	}
	c := j.Coverage()
	if fmt.Sprint(got) != "[1 5 true 2 6 - 3 7 - 4 8 -]" || c.Predictions != 3 || c.Labelled != 1 || c.Pending != 2 || c.Orphans != 1 || c.Late != 1 {
		t.Errorf("%q %+v", got, c)
	}
}

func TestLabelsThatAreNoTableOfOutcomesAreRefused(t *testing.T) {
	for text, c := range map[string]LabelColumns{
		"key,a,b\n1,2,3\n":   {Key: "key"},
		"id,a\n1,2\n":        {Key: "key"},
		"id,a,when\n1,2,x\n": {Value: "a", At: "when"},
		"id,x\n":             {Value: "y"},
	} {
		if _, err := ReadLabels(outcomes(t, text), c, 0); err == nil {
			t.Errorf("%q is read as labels", text)
		}
	}
}
