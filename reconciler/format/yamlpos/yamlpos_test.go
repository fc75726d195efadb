// The laws of reading YAML: what is wrong has its place, and documents do not reach into
// one another.

package yamlpos

import (
	"errors"
	"io"
	"strings"
	"testing"
)

func TestWhatIsWrongHasItsPlace(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"one":                    {"a: 1\n", ""},
		"one of YAML 1.2":        {"%YAML 1.2\n---\na: 1\n", ""},
		"nothing":                {"", "EOF"},
		"a comment":              {"# a\n", "EOF"},
		"two":                    {"a: 1\n---\nb: 1\n", "3:1: holds more than one document"},
		"a syntax error":         {"a: 1\nb: c: d\n", "2:1: is not YAML: mapping values"},
		"a tab":                  {"a:\n\tb: 1\n", "2:1: is not YAML: found character that cannot start any token (a tab"},
		"an open bracket":        {"a: [1, 2\nb: 1\n", "1:1: is not YAML: did not find expected ',' or ']' (a bracket that opens in this line is not closed); close it"},
		"an open bracket below":  {"a:\n  b: 1\n  c: {d: 1\n  e: 2\nf: 1\n", "3:1: is not YAML: did not find expected ',' or '}' (a bracket that opens in this line is not closed); close it"},
		"one before a comma":     {"a:\n  b: [1,\n    2]\n  c: [1, {d: 1, e: 2]\nf: 1\n", "4:1: is not YAML: did not find expected ',' or '}'"},
		"one over two lines":     {"a:\n  b: [1,\n    2\nc: 1\n", "2:1: is not YAML: did not find expected ',' or ']'"},
		"one at the end":         {"a:\n  b: {c: 1\n", "2:1: is not YAML: did not find expected ',' or '}'"},
		"a line too far left":    {"a:\n  b: 1\n c: 2\nd: 3\n", "3:1: is not YAML: did not find expected key (a line is indented otherwise"},
		"one too far right":      {"a:\n b: {c: 1}\n  d: 2\n  e: 3\n", "3:1: is not YAML: did not find expected key (a line is indented otherwise"},
		"one in a second one":    {"a: 1\n---\n# b\nb:\n  c: 1\n d: 2", "6:1: is not YAML: did not find expected key"},
		"one of the first":       {"a: {b: 1}\n c: 2\n", "2:1: is not YAML: did not find expected key"},
		"an item too far left":   {"a:\n  - b\n  - c\n - d\n", "4:1: is not YAML: did not find expected key"},
		"a key in a list":        {"a:\n  - b\n  - c\n  d: 1\n", "4:1: is not YAML: did not find expected '-' indicator"},
		"two versions":           {"a: 1\n<<<<<<< HEAD\nb: 1\n=======\nb: 2\n>>>>>>> other\n", "2:1: is not YAML: Git's mark of a merge that it could not finish is here; write"},
		"two in a list":          {"a:\n<<<<<<< HEAD\n  - b\n||||||| base\n=======\n  - c\n>>>>>>> x\nd: 1\n", "2:1: is not YAML: Git's mark"},
		"a mark in a text":       {"a: |\n  <<<<<<< HEAD\n  >>>>>>> x\nb: c: d\n", "4:1: is not YAML: mapping"},
		"one behind a document":  {"a: 1\n---\nb: c: d\n", "3:1: is not YAML"},
		"an anchor of none":      {"a: *b\n", "1:1: is not YAML: unknown anchor"},
		"a letter that is none":  {"a: 1\nb: \xff\n", "2:4: is not UTF-8"},
		"a NUL":                  {"a: \x00\n", "1:4: holds a NUL"},
		"more than is allowed":   {"a: [" + strings.Repeat("1,", 300) + "]\n", "1:1: the document holds more than 100 values"},
		"more in its second one": {"a: 1\n---\nb: [" + strings.Repeat("1,", 300) + "]\n", "2:1: the document holds more than 100 values"},
	} {
		_, err := One([]byte(c.text), 100)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, c.want) || (c.want == "") != (got == "") {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		var wrong *Problem
		if err != nil && !errors.Is(err, io.EOF) && (!errors.As(err, &wrong) || !strings.Contains(wrong.Message, ";")) {
			t.Errorf("%s: %v says no way out", name, err)
		}
	}
}

func TestAnAnchorEndsWithItsDocument(t *testing.T) {
	d, wrong := Read([]byte("a: &x 1\n---\nb: *x\n"), 100)
	if wrong != nil {
		t.Fatal(wrong)
	}
	if _, err := d.Next(); err != nil {
		t.Fatal(err)
	}
	var p *Problem
	if _, err := d.Next(); !errors.As(err, &p) || p.Line != 3 || !strings.Contains(p.Message, "alias *x has no anchor") {
		t.Errorf("%v", err)
	}
}

func FuzzDocuments(f *testing.F) {
	for _, text := range []string{"a: &x [1, *x]\n", "%YAML 1.2\n---\na\n...\n%YAML 1.2\n---\n- b", "? a\n: !!binary b\n", "<<: {a: 1}", "\ufeffa: b"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		d, wrong := Read(text, 1000)
		if wrong != nil {
			if wrong.Line < 1 || wrong.Column < 1 {
				t.Errorf("%+v", wrong)
			}
			return
		}
		for {
			root, err := d.Next()
			if err != nil {
				return
			}
			if root == nil {
				t.Fatal("no root and no error")
			}
		}
	})
}
