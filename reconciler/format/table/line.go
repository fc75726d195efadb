// A row as a line of JSON.

package table

import (
	"bytes"
	"encoding/json"
	"strings"
)

// Line adds a row as a JSON object, numbers and truths as such, without the columns that keep refuses;
// nil keeps all. What is no number, as NaN, has no value: JSON has none of it.
func Line(b *bytes.Buffer, columns []string, row *Row, keep func(column string) bool) {
	text := json.NewEncoder(b)
	text.SetEscapeHTML(false)
	quote := func(s string) {
		_ = text.Encode(s) // a text always can be
		b.Truncate(b.Len() - 1)
	}
	b.WriteByte('{')
	first := true
	for i, c := range row.Cells {
		plain := row.Text == nil || !row.Text[i]
		if c == nil || keep != nil && !keep(columns[i]) || plain && noNumber(c) {
			continue
		}
		if !first {
			b.WriteByte(',')
		}
		first = false
		quote(columns[i])
		b.WriteByte(':')
		if plain && len(c) > 0 && strings.IndexByte("-0123456789tf", c[0]) >= 0 && json.Valid(c) {
			b.Write(c)
		} else {
			quote(string(c))
		}
	}
	b.WriteByte('}')
}

func noNumber(c []byte) bool {
	switch strings.ToLower(string(bytes.TrimLeft(c, "+-"))) {
	case "nan", "inf", "infinity":
		return true
	}
	return false
}
