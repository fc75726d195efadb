// Bodies as JSON: numbers as they are written, nested lists flat, in bounded room whatever a
// client sends.

package predictions

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/vishwaops/vishwa/reconciler/digest"
)

// inflated bounds what a compressed body may come to.
const inflated = 4 << 20

// heavy tells whether raw, as JSON, may have more than so many values and lists: a text of a few bytes each would be turned into a hundred
// times their memory. It makes nothing of raw but one look at its bytes.
func heavy(raw []byte, most int) bool {
	n := 0
	for i := 0; i < len(raw); i++ {
		switch raw[i] {
		case ',', '[', '{':
			if n++; n > most {
				return true
			}
		case '"':
			if i = closing(raw, i); i < 0 { // it is no JSON
				return false
			}
		}
	}
	return false
}

// errUnknown says that a body is of no protocol that is read.
var errUnknown = errors.New("no protocol that is read")

// plain is the body as it was before it was compressed.
func (b Body) plain() ([]byte, bool) {
	switch strings.ToLower(strings.TrimSpace(b.Encoding)) {
	case "", "identity":
		return b.Bytes, !b.Cut
	case "gzip":
		if b.Cut {
			return nil, false
		}
		r, err := gzip.NewReader(bytes.NewReader(b.Bytes))
		if err != nil {
			return nil, false
		}
		out, err := io.ReadAll(io.LimitReader(r, inflated+1))
		return out, err == nil && len(out) <= inflated
	}
	return nil, false
}

// scalar is the JSON value at the beginning of a token stream's t.
func scalar(t json.Token) (Value, bool) {
	switch v := t.(type) {
	case nil:
		return Value{}, true
	case bool:
		return BoolOf(v), true
	case string:
		return TextOf(v), true
	case json.Number:
		return numberOf(v.String()), true
	}
	return Value{}, false
}

// numberOf reads a number: whole where it is written so and has room.
func numberOf(s string) Value {
	if !strings.ContainsAny(s, ".eE") {
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			return IntOf(n)
		}
	}
	x, err := strconv.ParseFloat(s, 64)
	if err != nil { // beyond what a float holds
		return TextOf(s)
	}
	return FloatOf(x)
}

// ParseValue is a cell of a table as a value: a number or a truth where it is written as one
// and not text by the table's own word.
func ParseValue(cell []byte, isText bool) Value {
	s := string(cell)
	switch {
	case cell == nil:
		return Value{}
	case isText:
		return TextOf(s)
	case strings.EqualFold(s, "true"), strings.EqualFold(s, "false"):
		return BoolOf(len(s) == len("true"))
	}
	if _, err := strconv.ParseFloat(s, 64); err != nil {
		return TextOf(s)
	}
	return numberOf(s)
}

// valueOf is a raw value: a scalar, or the text of what is none.
func valueOf(raw json.RawMessage) Value {
	raw = bytes.Trim(raw, " \t\r\n")
	if !json.Valid(raw) {
		return Value{}
	}
	switch raw[0] {
	case '{', '[':
		return wholeOf(raw)
	case '"':
		var s string
		if json.Unmarshal(raw, &s) != nil {
			return Value{}
		}
		return TextOf(s)
	case 't', 'f':
		return BoolOf(raw[0] == 't')
	case 'n':
		return Value{}
	}
	return numberOf(string(raw))
}

// wholeOf is an object or a list that is kept as its text.
func wholeOf(raw json.RawMessage) Value {
	v := TextOf(string(raw))
	v.whole = true
	return v
}

// flat reads a list with lists in it as its scalars in order, most of them at most.
func flat(raw json.RawMessage, most int) ([]Value, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var out []Value
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		if delim, ok := t.(json.Delim); ok {
			if delim == '{' {
				return nil, errUnknown
			}
			continue
		}
		v, _ := scalar(t)
		if len(out) == most {
			return nil, fmt.Errorf("more than %d values", most)
		}
		out = append(out, v)
	}
}

// elements are the raw elements of a list; false where raw is none.
func elements(raw json.RawMessage) ([]json.RawMessage, bool) {
	if kindOf(raw) != '[' {
		return nil, false
	}
	var out []json.RawMessage
	if json.Unmarshal(raw, &out) != nil {
		return nil, false
	}
	return out, true
}

// kindOf is the first byte of a JSON value.
func kindOf(raw json.RawMessage) byte {
	raw = bytes.TrimLeft(raw, " \t\r\n")
	if len(raw) == 0 {
		return 0
	}
	return raw[0]
}

// member is a key of an object with its value, in the order of the text.
type member struct {
	key   string
	value json.RawMessage
}

// members are those of an object.
func members(raw json.RawMessage) ([]member, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errUnknown
	}
	var out []member
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		m := member{key: t.(string)}
		if err := d.Decode(&m.value); err != nil {
			return nil, err
		}
		if out = append(out, m); len(out) > 4*mostColumns {
			return nil, fmt.Errorf("more than %d keys", 4*mostColumns)
		}
	}
	return out, nil
}

// CleanID is an id as it is logged: what is too long or no plain text is known by its digest,
// so that it stays one id and harms nobody who reads it.
func CleanID(id string) string {
	plain := len(id) <= longestID && utf8.ValidString(id) && !strings.ContainsFunc(id, func(r rune) bool { return r < ' ' || r == 0x7f })
	if plain {
		return id
	}
	return string(digest.Of([]byte(id)))
}

// kept is a body as text, and whether that is base64.
func (b Body) kept() (string, bool) {
	raw := b.Bytes
	if plain, ok := b.plain(); ok {
		raw = plain
	}
	if len(raw) > longestBody {
		raw = raw[:longestBody]
		for range utf8.UTFMax - 1 { // not in the middle of a letter
			if utf8.Valid(raw) {
				break
			}
			raw = raw[:len(raw)-1]
		}
	}
	if utf8.Valid(raw) && bytes.IndexByte(raw, 0) < 0 {
		return string(raw), false
	}
	return base64.StdEncoding.EncodeToString(raw[:min(len(raw), longestBody/4*3)]), true
}

// clip cuts a text to so many bytes, between letters.
func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}

// RequestID is the id that a request's body names: the member "id" of the object that it is.
// It reads no more of the body than that takes, since an answer may wait for it; "" is none.
func RequestID(raw []byte) string {
	if !MayHaveID(raw) {
		return ""
	}
	depth := 0
	for i := 0; i < len(raw); i++ {
		switch raw[i] {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case '"':
			end := closing(raw, i)
			if end < 0 {
				return ""
			}
			if key := raw[i : end+1]; depth == 1 && string(key) == `"id"` {
				if rest := bytes.TrimLeft(raw[end+1:], " \t\r\n"); len(rest) > 0 && rest[0] == ':' {
					return firstScalar(rest[1:])
				}
			}
			i = end
		}
	}
	return ""
}

// MayHaveID is false where a body names no id for certain. It takes no time to speak of.
func MayHaveID(raw []byte) bool { return bytes.Contains(raw, []byte(`"id"`)) }

// closing is where the text that opens at i ends.
func closing(raw []byte, i int) int {
	for i++; i < len(raw); i++ {
		switch raw[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

// firstScalar is the text or number that raw begins with.
func firstScalar(raw []byte) string {
	raw = bytes.TrimLeft(raw, " \t\r\n")
	end := bytes.IndexAny(raw, ",}] \t\r\n")
	if len(raw) > 0 && raw[0] == '"' {
		if end = closing(raw, 0); end > 0 {
			end++
		}
	}
	if end <= 0 || raw[0] == '{' || raw[0] == '[' {
		return ""
	}
	if v := valueOf(raw[:end]); v.Kind == Text || v.Kind == Int {
		return v.String()
	}
	return ""
}
