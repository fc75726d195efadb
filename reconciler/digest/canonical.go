// Canonical JSON (RFC 8785) gives structured values bytes to be named by. The
// plain cases of what encoding/json writes, which are nearly all, are put in order here; whatever
// holds an escape, a fraction or a key beyond ASCII is left to the reference library.

package digest

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/cyberphone/json-canonicalization/go/src/webpki.org/jsoncanonicalizer"
)

// Canonical is v as canonical JSON: keys sorted, numbers and strings in one
// spelling, no white space (RFC 8785). Values that JSON cannot hold are an error.
func Canonical(v any) ([]byte, error) { return new(Namer).Canonical(v) }

// Namer names one value after another, and has the room for it made once: of that, one value takes more than what comes of it.
// The zero value has none yet. It is for one goroutine at a time.
type Namer struct{ room room }

// Canonical is Canonical.
func (n *Namer) Canonical(v any) ([]byte, error) {
	b, err := n.room.canonical(v)
	return bytes.Clone(b), err // with no room to spare: it may be kept
}

// JSON is JSON.
func (n *Namer) JSON(v any) (Digest, error) {
	b, err := n.room.canonical(v)
	if err != nil {
		return "", err
	}
	return Of(b), nil
}

// Member is one of an object.
type Member struct {
	Name  string
	Value any
}

// Members are an object, by its members in the order of their names, which are plain. Who knows them makes no map of them. Each of
// their values may be Members too, or an iter.Seq[Members], which is a list of such.
type Members []Member

// Object names an object as JSON does.
func (n *Namer) Object(members Members) (Digest, error) {
	r := &n.room
	r.made()
	out, err := r.members(r.out[:0], members, 1)
	if err != nil {
		return "", err
	}
	r.out = out
	return Of(out), nil
}

// Plain tells whether text stands in JSON as it is, so that it may be the name of a member.
func Plain(text string) bool { return isText(text) }

// room is where values are put in order, one after another.
type room struct {
	out, was []byte
	names    []string // of the maps that are being written
}

// made has room for a value of the usual size.
func (r *room) made() {
	if r.out == nil {
		r.out, r.names = make([]byte, 0, 512), make([]string, 0, 16)
	}
}

// canonical lends v as canonical JSON until it is called again.
func (r *room) canonical(v any) ([]byte, error) {
	r.made()
	out, err := r.append(r.out[:0], v, 0)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	r.out = out
	return out, nil
}

// reference is one value's canonical form, by the library.
func reference(raw []byte) ([]byte, error) {
	// It takes only objects and arrays at the top.
	out, err := jsoncanonicalizer.Transform(slices.Concat([]byte{'['}, raw, []byte{']'}))
	if err != nil {
		return nil, err
	}
	return out[1 : len(out)-1], nil
}

// canonical reads what json.Marshal wrote: valid JSON without white space.
type canonical struct {
	raw []byte
	at  int
	out []byte
	was []byte // room for an object that is put in order
}

func (c *canonical) value() error {
	switch c.raw[c.at] {
	case '{':
		return c.object()
	case '[':
		return c.array()
	case '"':
		return c.text()
	default:
		return c.word()
	}
}

func (c *canonical) array() error {
	c.out, c.at = append(c.out, '['), c.at+1
	for c.raw[c.at] != ']' {
		if c.raw[c.at] == ',' {
			c.out, c.at = append(c.out, ','), c.at+1
		}
		if err := c.value(); err != nil {
			return err
		}
	}
	c.out, c.at = append(c.out, ']'), c.at+1
	return nil
}

// member is a name and its value in the output; both lie between from and to.
type member struct {
	name     []byte
	from, to int
}

func (c *canonical) object() error {
	begin, from := c.at, len(c.out)
	var few [16]member
	members, plain, sorted := few[:0], true, true
	c.out, c.at = append(c.out, '{'), c.at+1
	for c.raw[c.at] != '}' {
		if c.raw[c.at] == ',' {
			c.out, c.at = append(c.out, ','), c.at+1
		}
		m := member{from: len(c.out)}
		name := c.at
		if err := c.text(); err != nil {
			return err
		}
		m.name = c.raw[name+1 : c.at-1]
		plain = plain && isPlain(m.name)
		c.out, c.at = append(c.out, ':'), c.at+1
		if err := c.value(); err != nil {
			return err
		}
		m.to = len(c.out)
		if n := len(members); n > 0 && bytes.Compare(members[n-1].name, m.name) >= 0 {
			sorted = false
		}
		members = append(members, m)
	}
	c.out, c.at = append(c.out, '}'), c.at+1
	switch {
	case !plain: // keys are ordered by UTF-16
		return c.instead(from, begin)
	case sorted:
		return nil
	}
	return c.order(members, from)
}

// order puts the members of the object at from in order of their names.
func (c *canonical) order(members []member, from int) error {
	slices.SortFunc(members, func(a, b member) int { return bytes.Compare(a.name, b.name) })
	c.was = append(c.was[:0], c.out[from:]...)
	c.out = append(c.out[:from], '{')
	for i, m := range members {
		if i > 0 {
			if bytes.Equal(members[i-1].name, m.name) {
				return fmt.Errorf("key %q is given twice in one object", m.name)
			}
			c.out = append(c.out, ',')
		}
		c.out = append(c.out, c.was[m.from-from:m.to-from]...)
	}
	c.out = append(c.out, '}')
	return nil
}

// isPlain tells whether bytes order a name as UTF-16 does, and say what it is.
func isPlain(name []byte) bool {
	for _, b := range name {
		if b >= 0x80 || b == '\\' {
			return false
		}
	}
	return true
}

func (c *canonical) text() error {
	from, begin, escaped := len(c.out), c.at, false
	for c.at++; c.raw[c.at] != '"'; c.at++ {
		if c.raw[c.at] == '\\' {
			escaped = true
			c.at++
		}
	}
	c.at++
	if escaped {
		return c.instead(from, begin)
	}
	c.out = append(c.out, c.raw[begin:c.at]...)
	return nil
}

// word is a number or a literal.
func (c *canonical) word() error {
	from, begin := len(c.out), c.at
	for c.at < len(c.raw) && c.raw[c.at] != ',' && c.raw[c.at] != ']' && c.raw[c.at] != '}' {
		c.at++
	}
	w := c.raw[begin:c.at]
	if !isLiteral(w) && !isWhole(w) {
		return c.instead(from, begin)
	}
	c.out = append(c.out, w...)
	return nil
}

func isLiteral(w []byte) bool { return w[0] == 't' || w[0] == 'f' || w[0] == 'n' }

// isWhole tells whether w is a whole number that every reader takes exactly, in
// its one spelling.
func isWhole(w []byte) bool {
	if w[0] == '-' {
		w = w[1:]
		if w[0] == '0' {
			return false
		}
	}
	if len(w) > 15 {
		return false
	}
	for _, b := range w {
		if b < '0' || b > '9' {
			return false
		}
	}
	return true
}

// instead lets the library write what lies between begin and here.
func (c *canonical) instead(from, begin int) error {
	out, err := reference(c.raw[begin:c.at])
	c.out = append(c.out[:from], out...)
	return err
}
