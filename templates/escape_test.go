// Text that is put into Markdown stays text.

package templates

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/vishwaops/vishwa/reconciler/app/chatops"
	"github.com/vishwaops/vishwa/reconciler/harmless"
)

// spans are code spans, and what follows.
var spans = regexp.MustCompile("`+")

// outside is line without its code spans; ok says that each of them ends.
func outside(line string) (rest string, ok bool) {
	for {
		at := spans.FindStringIndex(line)
		if at == nil {
			return rest + line, true
		}
		ticks := line[at[0]:at[1]]
		rest += line[:at[0]] + "\x00"
		line = line[at[1]:]
		end := -1
		for _, m := range spans.FindAllStringIndex(line, -1) {
			if line[m[0]:m[1]] == ticks {
				end = m[1]
				break
			}
		}
		if end < 0 {
			return rest, false
		}
		line = line[end:]
	}
}

// active are signs that Markdown, HTML or a forge reads something out of.
var active = regexp.MustCompile("[<>@#&*~\\\\|\\[\\]!{}$^`]|://|\\bwww\\.|__|--|[\n\r]")

func FuzzMarkdown(f *testing.F) {
	for _, s := range []string{
		evil, "", "plain words", "`", "``` ```", "a|b", "@team", "#1", "<!-- vishwa:state {} -->", "<!-- vishwa:report -->", "![x](http://evil.test/x.png)",
		"[a](javascript:b)", "<details>", "~~~\nx", "```\n</details>\n```", "\u202eevil", "\x1b[2J", "https://evil.test", "http://a.test/)@octocat", "&#64;me", "\\`x", "1. a", "- a", "GH-1",
	} {
		f.Add(s, 200)
	}
	f.Fuzz(func(t *testing.T, s string, n int) {
		n = max(1, min(n&0xffff, 5000))
		for what, text := range map[string]string{"prose": prose(s, n), "code": code(s, n), "codes": codes([]string{s, s}, 1), "link": link("here", s)} {
			rest, closed := outside(text)
			if what == "link" && address.MatchString(s) && len(s) <= addressLimit {
				if text != "[here]("+s+")" || strings.ContainsAny(s, " ()<>@\n`") {
					t.Errorf("a link to %q is %q", s, text)
				}
				continue
			}
			if m := active.FindString(strings.ReplaceAll(rest, "!", "")); !closed || m != "" {
				t.Errorf("%s of %q lets %q through, all spans closed: %v: %q", what, s, m, closed, text)
			}
			shownAll(t, what, s, text)
		}
		block := fenced("text", s, n)
		lines := strings.Split(strings.TrimSuffix(block, "\n"), "\n")
		fence := strings.TrimSuffix(lines[0], "text")
		for _, l := range lines[1 : len(lines)-1] {
			if trimmed := strings.TrimLeft(l, " "); strings.HasPrefix(trimmed, fence) {
				t.Errorf("a fence of %q ends early: %q", s, block)
			}
			shownAll(t, "a fence", s, l)
		}
		if lines[len(lines)-1] != fence || strings.Trim(fence, "`") != "" {
			t.Errorf("a fence of %q does not end: %q", s, block)
		}
		// What a comment says of others is never taken for what it hides for Vishwa.
		want := chatops.State{Head: "ours"}
		if got, ok := chatops.DecodeState(block + prose(s, n) + "\n" + chatops.EncodeState(want)); !ok || got.Head != want.Head {
			t.Errorf("the state of a comment with %q is %+v", s, got)
		}
	})
}

func shownAll(t *testing.T, what, from, text string) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Errorf("%s of %q is not text: %q", what, from, text)
	}
	for _, r := range text {
		if !harmless.Shown(r) {
			t.Errorf("%s of %q shows %q: %q", what, from, r, text)
		}
	}
}
