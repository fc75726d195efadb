// The reading, held against CommonMark's own examples, as they are rendered.

package chatops

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/yuin/goldmark"
	renderer "github.com/yuin/goldmark/renderer/html"
	"golang.org/x/net/html"
)

// examples are those of CommonMark's specification, which come with goldmark.
func examples(t *testing.T) (out []string) {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/yuin/goldmark").Output()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "_test", "spec.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all []struct{ Markdown string }
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		out = append(out, e.Markdown)
	}
	if len(out) < 600 {
		t.Fatalf("%d examples", len(out))
	}
	return out
}

// shown tells whether a browser shows mark as text of the page: not as code, not in an
// attribute or a comment; and whether that is in a quotation.
func shown(t *testing.T, body, mark string) (is, quoted bool) {
	t.Helper()
	var page bytes.Buffer
	if err := goldmark.New(goldmark.WithRendererOptions(renderer.WithUnsafe())).Convert([]byte(body), &page); err != nil {
		t.Fatal(err)
	}
	var open []string
	for tokens := html.NewTokenizer(&page); ; {
		switch kind := tokens.Next(); kind {
		case html.ErrorToken:
			return is, quoted
		case html.StartTagToken, html.EndTagToken, html.SelfClosingTagToken:
			name, _ := tokens.TagName()
			if i := slices.Index(open, string(name)); kind == html.EndTagToken && i >= 0 {
				open = open[:i]
			} else if kind != html.EndTagToken && (slices.Contains(codeTags, string(name)) || string(name) == "blockquote") {
				open = append(open, string(name))
			}
		case html.TextToken:
			if strings.Contains(string(tokens.Text()), mark) && !slices.ContainsFunc(open, func(tag string) bool { return slices.Contains(codeTags, tag) }) {
				is, quoted = true, slices.Contains(open, "blockquote")
			}
		}
	}
}

// Wherever a line is put into one of the examples: what is taken for a command is shown as
// text, and what is shown in a paragraph or a heading is taken for one.
func TestACommandIsWhatCommonMarkShows(t *testing.T) {
	commands, hidden := 0, 0
	for n, example := range examples(t) {
		lines := strings.Split(strings.TrimSuffix(bounded(example), "\n"), "\n")
		for at := range len(lines) + 1 {
			const mark = "/vishwa help"
			body := strings.Join(slices.Insert(slices.Clone(lines), at, mark), "\n")
			is, quoted := shown(t, body, mark)
			got := said(body)
			want := ""
			switch {
			case is && quoted:
				want = fmt.Sprintf("%d:!", at+1)
			case is:
				want = fmt.Sprintf("%d:help", at+1)
			}
			if got != want && !strings.Contains(body, "<") {
				t.Errorf("example %d, line %d: %q, want %q\n%s", n+1, at+1, got, want, body)
			}
			// HTML that is put into HTML is shown by its own rules: only what is not shown counts.
			if !is && got != "" {
				t.Errorf("example %d, line %d: %q, and it is not shown\n%s", n+1, at+1, got, body)
			}
			if got == "" {
				hidden++
			} else {
				commands++
			}
		}
	}
	if commands < 1000 || hidden < 200 {
		t.Errorf("%d commands, %d hidden", commands, hidden)
	}
}

func TestACommentOfAStrangerIsReadInTime(t *testing.T) {
	// What is known to take the square of its length is not read at all, and holds no commands.
	for evil, times := range map[string]int{"[a](": 2000, "[a]: b\n": 2000, ">": 2000, "> - 1. ": 2000, "a\n": 9000} {
		if got := said("/vishwa help\n\n" + strings.Repeat(evil, times) + "\n\n/vishwa help"); got != "" {
			t.Errorf("%q: %q", evil, got)
		}
	}
	if got := said(strings.Repeat("> a [b](c)\n", 900) + "\n/vishwa help"); got != "902:help" {
		t.Errorf("a long conversation: %q", got)
	}
	for _, evil := range []string{"`", "[", "![", "]", "[a](", "[a](<b", "![[]()", "[a]: b\n", "[a]\n", "[a][b]", "*a", "_a_", "a**b", ">", "> ", ">\n", "- ", "-\n", "1) ", "\t", " ", "<", "<a ", "<a b='", "<!--", "<?", "<!A", "<![CDATA[", "<code>", "</code>",
		"<http:a", "&", "&amp;", "\\", "\\\n", "~~~\n", "```\n", "a\n", "\n", "#\n", "===\n", "`a``b", "\x00", "é", "> - 1. ", "<pre>\n", "<div>\n\n", "[a]: <b> '", "(", "|", "a|b\n"} {
		for _, around := range [][2]string{{"", ""}, {"[", "](b)"}} {
			body := around[0] + strings.Repeat(evil, bodyLimit/2/len(evil)) + around[1] + "\n/vishwa help"
			start := time.Now()
			Parse(body)
			if took := time.Since(start); took > 20*time.Second {
				t.Errorf("%q within %q took %s", evil, around, took)
			}
		}
	}
}
