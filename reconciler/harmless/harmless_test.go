// What is shown steers nothing, whatever it was and however it was cut into pieces.

package harmless

import (
	"bytes"
	"encoding/json"
	"io"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// bad are the characters that must never come through, listed on their own so that
// Shown is not its own judge.
var bad = regexp.MustCompile("[\x00-\x08\x0b-\x1f\x7f\u0080-\u009f\u00ad\u034f\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e01ff\U000f0000-\U0010ffff]")

// order is what a server of jobs takes for an order in a line of a log.
var order = regexp.MustCompile(`(?m)^[\s\x{fe00}-\x{fe0f}]*::|##[A-Za-z]*\[`)

var hostile = []string{
	"", "plain words, 100 %", "tab\there", "\x1b]0;owned\x07\x1b[2J\x1b[1;1H", "\u009b31m", "a\u202eb", "\u2066x\u2069", "\u200b\u200d\ufeff", "\x7f\x00\xff\xc2",
	"::error::x", "  ::set-output name=x::y", ":::", "a::b", "x\r::add-mask::y", "\r\n::warning::", "##[add-mask]x", "a ##[set-env name=x]y", "##vso[task.x]", "##teamcity[x]", "###[x]", "##a#[x]", "##a##[x]", "#\n#[", "# #[",
	"\u3164::x", "\ufe0f::x", "é ∶ ［", "👩\u200d💻", "<!-- vishwa:state {} -->", "\u2028::error::x", "\U000e0041", `{"a":"##[x]\u009b"}`,
}

func check(t interface{ Errorf(string, ...any) }, what, in, out string, lines bool) {
	if m := bad.FindString(out); m != "" {
		t.Errorf("%s of %q lets %q through: %q", what, in, m, out)
	}
	if !utf8.ValidString(out) {
		t.Errorf("%s of %q is not text: %q", what, in, out)
	}
	if !lines && strings.ContainsAny(out, "\n\t") {
		t.Errorf("%s of %q is not a line: %q", what, in, out)
	}
}

// laws checks all functions with one text.
func laws(t interface{ Errorf(string, ...any) }, s string) {
	line, text := Line(s), Text(s)
	check(t, "the line", s, line, false)
	check(t, "the text", s, text, true)
	if again := Line(line); again != line {
		t.Errorf("the line of %q is %q, and of that %q", s, line, again)
	}
	if again := Text(text); again != text {
		t.Errorf("the text of %q is %q, and of that %q", s, text, again)
	}
	if m := order.FindString(text); m != "" {
		t.Errorf("the text of %q gives the order %q: %q", s, m, text)
	}
	for what, escaped := range map[string]string{"message": Message(s), "property": Property(s)} {
		check(t, what, s, escaped, false)
		if strings.Contains(escaped, "\r") || what == "property" && strings.ContainsAny(escaped, ":,") {
			t.Errorf("the %s of %q ends it: %q", what, s, escaped)
		}
	}
	if strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) < 0 && line != s {
		t.Errorf("printable ASCII became %q: %q", s, line)
	}
	raw, err := json.MarshalIndent(map[string]any{s: []string{s}, "raw": s}, "", "  ")
	if err != nil {
		t.Errorf("%v", err)
	}
	safe := JSON(raw)
	check(t, "JSON", s, string(safe), true)
	if got := Text(string(safe)); got != string(safe) {
		t.Errorf("JSON of %q is changed where it is printed:\n%s\n%s", s, safe, got)
	}
	var before, after any
	if json.Unmarshal(raw, &before) != nil || json.Unmarshal(safe, &after) != nil || !jsonEqual(before, after) {
		t.Errorf("a parser reads %s from\n%s", safe, raw)
	}
}

func jsonEqual(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

func TestNothingThatIsShownSteers(t *testing.T) {
	for _, s := range hostile {
		laws(t, s)
	}
	rapid.Check(t, func(t *rapid.T) {
		laws(t, strings.Join(rapid.SliceOfN(rapid.OneOf(rapid.SampledFrom(hostile), rapid.String(), rapid.StringMatching("[:#\\[a-z \n\r\t\u200b\ufe0f]{0,9}")), 0, 6).Draw(t, "text"), ""))
	})
}

func FuzzHarmless(f *testing.F) {
	for _, s := range hostile {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { laws(t, s) })
}

// TestEveryCharacterIsShownOrNot: over all of Unicode, what is shown is none of the bad.
func TestEveryCharacterIsShownOrNot(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if Shown(r) && (bad.MatchString(string(r)) && utf8.ValidRune(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Bidi_Control, r)) {
			t.Errorf("%U is shown", r)
		}
		if r >= ' ' && r <= '~' && !Shown(r) {
			t.Errorf("%q is not shown", r)
		}
	}
	for _, r := range "äßжक日한🙂é’“→✓∶［�" {
		if !Shown(r) {
			t.Errorf("%q is not shown", r)
		}
	}
}

// TestPiecesReadAsTheWhole: a filter does not mind where a stream is cut.
func TestPiecesReadAsTheWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := strings.Join(rapid.SliceOfN(rapid.SampledFrom(hostile), 0, 5).Draw(t, "text"), "")
		var f Filter
		var got []byte
		for rest := []byte(s); len(rest) > 0; {
			n := rapid.IntRange(1, min(5, len(rest))).Draw(t, "piece")
			got = f.Append(got, rest[:n])
			rest = rest[n:]
		}
		if got = f.End(got); string(got) != Text(s) {
			t.Fatalf("%q in pieces is %q, at once %q", s, got, Text(s))
		}
	})
}

func TestTextReadsLikeThis(t *testing.T) {
	for in, want := range map[string]string{
		"a\r\nb\tc\n": "a\nb\tc\n", "50%\r100%": "50% 100%", "\x1b[31mred": "�[31mred", "a\u202eb": "a�b", "\u00a0x": " x",
		"::error::x": ":∶error::x", " ::x": " :∶x", "a ::x": "a ::x", "1\n::x": "1\n:∶x", "##[group]": "##［group]", "\xff\xc3": "��",
		"std::vector": "std::vector", "[1] # a": "[1] # a", "a ##vso[x]": "a ##vso［x]",
	} {
		if got := Text(in); got != want {
			t.Errorf("%q is printed as %q, want %q", in, got, want)
		}
	}
	if got, want := string(JSON([]byte("{\"a\":\"\u009b\u202e\U000e0041##[\"}"))), `{"a":"\u009b\u202e\udb40\udc41##\u005b"}`; got != want {
		t.Errorf("JSON is printed as %s", got)
	}
	if got := Message("a\n::error::\x1b%"); got != "a%0A::error::�%25" {
		t.Errorf("a message is %q", got)
	}
}

type filtered struct{ bytes.Buffer }

func (f *filtered) Steer(s string) error { _, err := f.WriteString("<" + s + ">"); return err }

func TestSteerGoesPastAFilter(t *testing.T) {
	var f filtered
	var plain strings.Builder
	for _, w := range []io.Writer{&f, &plain} {
		if err := Steer(w, "x"); err != nil {
			t.Fatal(err)
		}
	}
	if f.String() != "<x>" || plain.String() != "x" {
		t.Errorf("%q, %q", f.String(), plain.String())
	}
}

// TestWhatAProgramSaidOfItself: its end, in one line, without what addresses keep secret.
func TestWhatAProgramSaidOfItself(t *testing.T) {
	long := strings.Repeat("x", 600)
	for in, want := range map[string]string{
		"":                               "",
		"\n a \r\n\n b\n":                "a; b",
		"1\n2\n3\n4\n5\n6\n":             "2; 3; 4; 5; 6",
		"GET https://u:p@h/a?k=v#f: no":  "GET https://h/a no",
		`Get "https://h/a?k=v": refused`: `Get "https://h/a": refused`,
		"http://h:9000":                  "http://h:9000",
		"file:///a/b":                    "file:///a/b",
		"\x1b[2Jgone":                    "\ufffd[2Jgone",
		long:                             "..." + long[:500],
		"a \xff b":                       "a  b",
	} {
		if got := Said(in); got != want {
			t.Errorf("%.40q: %q, want %q", in, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.StringMatching(`[A-Z]{12}`).Draw(t, "key")
		s := rapid.StringMatching(`[a-z \n"']{0,20}`).Draw(t, "before") + "https://host.example.com/b?sig=" + key + rapid.StringMatching(`([&=%?#/@:][a-z]*){0,4}`).Draw(t, "behind")
		if strings.Contains(Said(s), key) {
			t.Fatalf("%q: %q", s, Said(s))
		}
	})
}
