// Protobuf's text format, as far as a file of settings uses it
// (https://protobuf.dev/reference/protobuf/textformat-spec/): where each field begins and ends, and what it says.

package tfconfig

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

const maxDepth = 16

// field is one field of a message.
type field struct {
	name               string
	value              string // of a scalar, without quotes
	message            bool
	fields             []field
	from, until, close int // in the text; close is the bracket that ends a message
}

// text is the value of a field of c that stands once or more; the last counts, as readers have it.
func (c field) text(name string) (value string) {
	for _, f := range c.fields {
		if f.name == name && !f.message {
			value = f.value
		}
	}
	return value
}

// said is the same for every way to write c; the order of fields of one name is kept.
func (c field) said() string {
	if !c.message {
		return fmt.Sprintf("%s:%q", c.name, c.value)
	}
	var all []string
	for _, f := range c.fields {
		all = append(all, f.said())
	}
	slices.SortStableFunc(all, func(a, b string) int {
		a, _, _ = strings.Cut(a, ":")
		b, _, _ = strings.Cut(b, ":")
		return strings.Compare(a, b)
	})
	return c.name + ":{" + strings.Join(all, " ") + "}"
}

type parser struct {
	text string
	at   int
}

// withoutComments is a text whose comments are blank; no field of a file of settings that is empty has a # in it.
func withoutComments(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		before, _, _ := strings.Cut(line, "#")
		b.WriteString(before)
	}
	return b.String()
}

func (p *parser) space() {
	for p.at < len(p.text) {
		switch c := p.text[p.at]; {
		case c == '#':
			if n := strings.IndexByte(p.text[p.at:], '\n'); n >= 0 {
				p.at += n
			} else {
				p.at = len(p.text)
			}
		case c == ' ', c == '\t', c == '\n', c == '\r':
			p.at++
		default:
			return
		}
	}
}

func (p *parser) is(c byte) bool { return p.at < len(p.text) && p.text[p.at] == c }

func (p *parser) accept(c byte) bool {
	if p.is(c) {
		p.at++
		return true
	}
	return false
}

// fields reads as far as a closing bracket, or the end.
func (p *parser) fields(depth int) (out []field, err error) {
	if depth > maxDepth {
		return nil, errors.New("it is nested too deep")
	}
	for {
		p.space()
		if p.at == len(p.text) || p.is('}') || p.is('>') {
			return out, nil
		}
		f := field{from: p.at}
		f.name = p.word()
		if f.name == "" {
			return nil, fmt.Errorf("%q begins no field", p.text[p.at])
		}
		p.space()
		colon := p.accept(':')
		p.space()
		switch {
		case p.is('{'), p.is('<'):
			f.message = true
			ends := map[byte]byte{'{': '}', '<': '>'}[p.text[p.at]]
			p.at++
			if f.fields, err = p.fields(depth + 1); err != nil {
				return nil, err
			}
			if f.close = p.at; !p.accept(ends) {
				return nil, fmt.Errorf("%s has no end", f.name)
			}
		case !colon:
			return nil, fmt.Errorf("%s has no value", f.name)
		case p.is('['):
			return nil, fmt.Errorf("%s is a list in brackets; repeat the field instead", f.name)
		default:
			if f.value, err = p.scalar(); err != nil {
				return nil, fmt.Errorf("%s: %w", f.name, err)
			}
		}
		f.until = p.at
		p.space()
		if p.is(',') || p.is(';') {
			p.at++
			f.until = p.at
		}
		out = append(out, f)
	}
}

func (p *parser) word() string {
	from := p.at
	for p.at < len(p.text) {
		c := p.text[p.at]
		if c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '.' && c != '-' && c != '+' {
			break
		}
		p.at++
	}
	return p.text[from:p.at]
}

// scalar reads a number, a word, or strings that stand beside one another.
func (p *parser) scalar() (string, error) {
	if !p.is('"') && !p.is('\'') {
		if w := p.word(); w != "" {
			return w, nil
		}
		return "", errors.New("it has no value")
	}
	var b strings.Builder
	for p.is('"') || p.is('\'') {
		quote := p.text[p.at]
		p.at++
		for !p.accept(quote) {
			if p.at >= len(p.text) || p.is('\n') {
				return "", errors.New("its text has no end")
			}
			if p.is('\\') {
				if err := p.escaped(&b); err != nil {
					return "", err
				}
				continue
			}
			b.WriteByte(p.text[p.at])
			p.at++
		}
		p.space()
	}
	return b.String(), nil
}

func (p *parser) escaped(b *strings.Builder) error {
	p.at++
	if p.at == len(p.text) {
		return errors.New("its text has no end")
	}
	c := p.text[p.at]
	plain := map[byte]byte{'n': '\n', 't': '\t', 'r': '\r', '"': '"', '\'': '\'', '\\': '\\', '?': '?'}
	if to, ok := plain[c]; ok {
		b.WriteByte(to)
		p.at++
		return nil
	}
	return fmt.Errorf("\\%c is not read here", c)
}
