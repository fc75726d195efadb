// Just enough of HCL to find blocks in the program's own configuration, which people
// write by hand: names, strings, comments and braces.

package provisioner

import (
	"errors"
	"regexp"
	"strconv"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

// block is one, as it stands in a text.
type block struct {
	kind, label string
	body        string
	blocks      []block
}

var (
	opening  = lazyregexp.New(`([A-Za-z_][-A-Za-z0-9_]*)[ \t]*("(?:[^"\\\n]|\\.)*")?[ \t]*=?[ \t]*$`)
	literals = lazyregexp.New(`"(?:[^"\\\n]|\\.)*"`)
)

// readBlock reads a text as the inside of a block.
func readBlock(text string) (block, error) {
	out := block{body: uncommented(text)}
	text = out.body
	if strings.HasPrefix(strings.TrimSpace(text), "{") {
		return block{}, errors.New("it is JSON")
	}
	depth, from, head := 0, 0, ""
	last := 0 // where the text between blocks begins
	err := outside(text, func(at int, c byte) error {
		switch {
		case c == '{':
			if depth++; depth == 1 {
				head, from = text[last:at], at+1
			}
		case c == '}':
			if depth--; depth < 0 {
				return errors.New("a brace is closed that was never opened")
			}
			if depth > 0 {
				return nil
			}
			if m := opening.FindStringSubmatch(head); m != nil {
				inner, err := readBlock(text[from:at])
				if err != nil {
					return err
				}
				inner.kind, inner.label = m[1], m[2]
				out.blocks = append(out.blocks, inner)
			}
			last = at + 1
		}
		return nil
	})
	if err == nil && depth > 0 {
		err = errors.New("a brace is never closed")
	}
	return out, err
}

// outside calls do for each byte that stands in no string.
func outside(text string, do func(at int, c byte) error) error {
	in := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case in && c == '\\':
			i++
		case c == '"':
			in = !in
		case in && c == '\n':
			return errors.New("a string is never closed")
		case !in:
			if err := do(i, c); err != nil {
				return err
			}
		}
	}
	if in {
		return errors.New("a string is never closed")
	}
	return nil
}

// uncommented is text with its comments blank.
func uncommented(text string) string {
	var out strings.Builder
	in := false
	for i := 0; i < len(text); i++ {
		rest := text[i:]
		switch {
		case in && text[i] == '\\' && i+1 < len(text):
			out.WriteString(text[i : i+2])
			i++
			continue
		case text[i] == '"':
			in = !in
		case text[i] == '\n':
			in = false
		case !in && (text[i] == '#' || strings.HasPrefix(rest, "//")):
			if end := strings.IndexByte(rest, '\n'); end >= 0 {
				i += end - 1
				continue
			}
			return out.String()
		case !in && strings.HasPrefix(rest, "/*"):
			end := strings.Index(rest[2:], "*/")
			if end < 0 {
				return out.String()
			}
			out.WriteByte(' ')
			i += end + 3
			continue
		}
		out.WriteByte(text[i])
	}
	return out.String()
}

// inner is the block's first block of a kind; nil where it has none.
func (b block) inner(kind string) *block {
	for i := range b.blocks {
		if b.blocks[i].kind == kind {
			return &b.blocks[i]
		}
	}
	return nil
}

// value is the string that an attribute of the block is set to; "" where it is not.
func (b block) value(name string) string {
	m := regexp.MustCompile(`(?m)^\s*` + regexp.QuoteMeta(name) + `\s*=\s*("(?:[^"\\\n]|\\.)*")`).FindStringSubmatch(b.body)
	if m == nil {
		return ""
	}
	s, _ := strconv.Unquote(m[1])
	return s
}

// strings are all that stand in the block.
func (b block) strings() (all []string) {
	for _, q := range literals.FindAllString(b.body, -1) {
		if s, err := strconv.Unquote(q); err == nil {
			all = append(all, s)
		}
	}
	return all
}
