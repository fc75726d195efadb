// A command is what a person says outside of code, and nothing else is.

package chatops

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// said is the commands of a body as text; what is not understood is "!".
func said(body string) string {
	var out []string
	for _, c := range Parse(body) {
		text := c.String()
		if c.Err != nil {
			text = "!"
		}
		out = append(out, fmt.Sprintf("%d:%s", c.Line, strings.TrimPrefix(text, "/vishwa ")))
	}
	return strings.Join(out, " ")
}

func TestACommandStandsAtTheStartOfALineOutsideOfCode(t *testing.T) {
	for name, c := range map[string]struct{ body, want string }{
		"alone":                          {"/vishwa plan", "1:plan"},
		"with space behind":              {"/vishwa \t train \t\n", "1:train"},
		"carriage returns":               {"Looks good.\r\n\r\n/vishwa approve\r\n/vishwa apply\r\n", "3:approve 4:apply"},
		"old line ends":                  {"a\r/vishwa plan\rb", "2:plan"},
		"within a paragraph":             {"Thanks.\n/vishwa plan\nSee you.", "2:plan"},
		"several":                        {"/vishwa plan\n/vishwa cancel\n\n/vishwa help", "1:plan 2:cancel 4:help"},
		"a ref":                          {"/vishwa retry training/enrollment", "1:retry training/enrollment"},
		"a deployment":                   {"/vishwa rollback deployment/a", "1:rollback deployment/a"},
		"one that goes on":               {"/vishwa resume deployment/a", "1:resume deployment/a"},
		"a candidate":                    {"/vishwa explain training/enrollment:xgboost", "1:explain training/enrollment:xgboost"},
		"a ref left out":                 {"/vishwa retry\n/vishwa explain", "1:retry 2:explain"},
		"in the middle of a line":        {"please /vishwa apply", ""},
		"another word":                   {"/vishwaplan\n/vishwa-plan\n/vishwa/plan", ""},
		"no verb":                        {"/vishwa", "1:!"},
		"unknown":                        {"/vishwa plam", "1:!"},
		"in capitals":                    {"/vishwa Plan", "1:!"},
		"junk behind":                    {"/vishwa apply now", "1:!"},
		"junk behind a ref":              {"/vishwa retry training/a training/b", "1:!"},
		"no ref":                         {"/vishwa retry ../../etc", "1:!"},
		"no kind":                        {"/vishwa retry trainning/a", "1:!"},
		"fence":                          {"```\n/vishwa apply\n```\n/vishwa plan", "4:plan"},
		"fence with info":                {"```sh title=\"x\"\n/vishwa apply\n```\n", ""},
		"tilde fence":                    {"~~~ `x`\n/vishwa apply\n```\n/vishwa apply\n~~~\n/vishwa plan", "6:plan"},
		"longer fence":                   {"`````\n```\n/vishwa apply\n````\n/vishwa apply\n``````\n/vishwa plan", "7:plan"},
		"fence not closed":               {"```\n/vishwa apply", ""},
		"fence closed by nothing":        {"```\n/vishwa apply\n``` x\n/vishwa apply\n    ```\n/vishwa apply", ""},
		"no fence: ticks in the info":    {"``` a`b\n\n/vishwa plan", "3:plan"},
		"fence ends a paragraph":         {"text\n   ```\n/vishwa apply\n   ```\n", ""},
		"fence in a list":                {"- a\n\n  ```\n  /vishwa apply\n  ```\n\n/vishwa plan", "7:plan"},
		"fence in a list, left":          {"- ```\n  /vishwa apply\n/vishwa plan\n  ```\n/vishwa apply", "3:plan"},
		"fence in a list in a list":      {"- 1. ~~~\n     /vishwa apply\n     ~~~\n/vishwa plan", "4:plan"},
		"no list: a number in a text":    {"text\n2. b\n   ```\n/vishwa apply\n   ```\n/vishwa plan", "6:plan"},
		"list ended, then a fence":       {"- a\n\ntext\n\n  ```\n/vishwa apply\n  ```", ""},
		"indented code":                  {"a\n\n    /vishwa apply\n\t/vishwa apply\n\n  /vishwa apply", ""},
		"tick in indented code":          {"    a ` b\n/vishwa plan ", "2:plan"},
		"list item":                      {"- /vishwa apply\n* /vishwa apply\n1. /vishwa apply", ""},
		"inline code":                    {"`/vishwa apply`", ""},
		"inline code over lines":         {"a `b\n/vishwa apply\nc` d", ""},
		"inline code, two ticks":         {"a ``b ` \n/vishwa apply\nc`` d\n/vishwa plan", "4:plan"},
		"inline code not closed":         {"a ` b\n/vishwa plan", "2:plan"},
		"inline code ends with its text": {"a ` b\n\n/vishwa plan\n\n c `", "3:plan"},
		"escaped tick":                   {"a \\` b\n/vishwa plan\nc `", "2:plan"},
		"HTML comment":                   {"<!--\n\n/vishwa apply\n\n-->\n/vishwa plan", "6:plan"},
		"HTML comment in a text":         {"a <!-- b\n/vishwa apply\n--> c\n/vishwa plan", "4:plan"},
		"HTML comment not closed":        {"<!-- a\n\n/vishwa apply", ""},
		"HTML comment that is none":      {"a <!-- b\n\n/vishwa plan", "3:plan"},
		"short HTML comment":             {"<!-->\n/vishwa plan", "2:plan"},
		"pre":                            {"<PRE class=x>\n\n/vishwa apply\n</pre>\n/vishwa plan", "5:plan"},
		"code tag":                       {"a <code>\n/vishwa apply\n</code>\n/vishwa plan", "4:plan"},
		"code tag over paragraphs":       {"a <code>\n\n/vishwa apply\n\n</code>\n\n/vishwa plan", "7:plan"},
		"code tag in an HTML block":      {"<div>\n<code>\n\n/vishwa apply\n</code>", ""},
		"pre that another end leaves":    {"<pre>\n</script>\n/vishwa apply", ""},
		"quote over a line of =":         {"> a\n===\n/vishwa apply", "3:!"},
		"HTML block":                     {"<details>\n/vishwa apply\n\n/vishwa plan\n\n</details>", "4:plan"},
		"fence in an HTML block":         {"<div>\n```\n</div>\n\n```\n/vishwa apply\n```", ""},
		"block quote":                    {"> /vishwa apply\n>\n>/vishwa apply\n\n/vishwa plan", "5:plan"},
		"block quote gone on with":       {"> he said\n/vishwa apply", "2:!"},
		"behind a quoted fence":          {"> ```\n> x\n> ```\n\n/vishwa plan", "5:plan"},
		"fence in a quote":               {"> ```\n\n/vishwa plan", "3:plan"},
		"heading":                        {"# /vishwa apply\n/vishwa plan", "2:plan"},
		"heading behind a quote":         {"> a\n\n# b\n/vishwa plan", "4:plan"},
		"rule":                           {"> a\n---\n/vishwa plan", "3:plan"},
		"rule of stars":                  {"* * *\n  ```\n/vishwa apply\n  ```", ""},
		"nothing":                        {"", ""},
	} {
		if got := said(c.body); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestWhatIsNotUnderstoodSaysTheWayOut(t *testing.T) {
	for body, want := range map[string]string{
		"/vishwa":                    "plan, train, apply, approve, retry, cancel, rollback, resume, explain, help",
		"/vishwa aprove":             "did you mean /vishwa approve?",
		"/vishwa rm -rf":             "plan, train, apply",
		"/vishwa plan it":            "alone on its line",
		"/vishwa retry training":     "training/enrollment:xgboost",
		"/vishwa retry trainnig/a:b": "did you mean training/a:b?",
		"/vishwa retry a/b c/d":      "one command a line",
		"/vishwa rollback":           "write /vishwa rollback deployment/NAME",
		"/vishwa resume":             "write /vishwa resume deployment/NAME",
		"> a\n/vishwa apply":         "empty line",
	} {
		got := Parse(body)
		if len(got) != 1 || got[0].Verb != "" || fault.Of(got[0].Err) != fault.Invalid || !strings.Contains(fault.HintOf(got[0].Err), want) {
			t.Errorf("%q: %+v, way %q, want %q", body, got, fault.HintOf(got[0].Err), want)
		}
	}
	long := Parse("/vishwa " + strings.Repeat("é\u202e\x1b", 5_000))
	if text := long[0].Err.Error(); len(text) > 200 || strings.ContainsAny(text, "\u202e\x1b") || !utf8.ValidString(text) {
		t.Errorf("the message is %q", text)
	}
}

func TestALongCommentIsReadInPart(t *testing.T) {
	if got := Parse(strings.Repeat("/vishwa plan\n", 50)); len(got) != mostParsed {
		t.Errorf("%d commands are read", len(got))
	}
	// The line that the limit cuts is another one: retry of all in place of one.
	body := strings.Repeat("x", bodyLimit-len("\n/vishwa retry")) + "\n/vishwa retry training/a"
	if got := Parse(body); len(got) != 0 {
		t.Errorf("half a line is a command: %v", got)
	}
	for _, evil := range []string{"`", "<!--", "a`b``c", "<code>", "> ", "- ", "```\n", "\\", "<div>\n", "1. ", "<a", "<code", "</code>", "<!-", "<?", "\\`", "``` `", "> - ", "- 1. ", "\t"} {
		body := strings.Repeat(evil, bodyLimit/len(evil)-2)
		Parse(body) // ends in time, or the test does not
		Parse("<div>" + body + "</code>")
		Parse("x" + body + "\n/vishwa plan")
	}
}

func TestWhatIsUsedIsUnderstood(t *testing.T) {
	seen := map[Verb]bool{}
	for _, u := range Usage() {
		text := strings.NewReplacer("[REF]", "training/a", "REF", "deployment/a").Replace(u.Command)
		got := Parse(text)
		if len(got) != 1 || got[0].Err != nil || got[0].String() != text || u.Does == "" {
			t.Errorf("%s: %+v", u.Command, got)
			continue
		}
		seen[got[0].Verb] = true
	}
	for _, v := range verbs {
		if !seen[v] {
			t.Errorf("nobody is told of %s", v)
		}
	}
}

// TestCodeHidesWhatItHolds: whatever a text is, in a fence that it cannot close it commands nothing.
func TestCodeHidesWhatItHolds(t *testing.T) {
	texts := rapid.OneOf(rapid.String(), rapid.StringMatching("(/vishwa apply\n|```\n|~~~\n|> |- |`|<!--|-->|<pre>|    |[a-c]|\r\n|\n){0,20}"))
	rapid.Check(t, func(t *rapid.T) {
		text := texts.Draw(t, "text")
		fence := "`"
		for strings.Contains(text, fence) {
			fence += "`"
		}
		fence += "```"
		if got := said(fence + "\n" + text + "\n" + fence + "\n/vishwa help"); !strings.HasSuffix(got, ":help") || strings.Contains(got, " ") {
			t.Fatalf("%q", got)
		}
		for _, c := range Parse(text) {
			checkCommand(t, text, c)
		}
	})
}

func checkCommand(t interface{ Fatalf(string, ...any) }, body string, c Command) {
	if (c.Err == nil) == (c.Verb == "") || c.Line < 1 {
		t.Fatalf("%+v", c)
	}
	if c.Err != nil && (fault.Of(c.Err) != fault.Invalid || fault.HintOf(c.Err) == "") {
		t.Fatalf("%v has no way out", c.Err)
	}
	lines := strings.Split(bounded(body), "\n")
	if c.Line > len(lines) || !strings.HasPrefix(lines[c.Line-1], word) {
		t.Fatalf("line %d of %q is not a command", c.Line, body)
	}
	if again := Parse(c.String()); c.Err == nil && (len(again) != 1 || again[0].Verb != c.Verb || again[0].Ref != c.Ref) {
		t.Fatalf("%q is read as %+v", c.String(), again)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"/vishwa plan", "a\r\n/vishwa retry training/a:b", "```\n/vishwa apply\n```", "> q\n/vishwa plan", "- ~~~\n  x\n/vishwa help", "<!-- a `\n/vishwa apply -->", "1. a\n\n\t/vishwa plan", "<div>\n\n`a\n/vishwa plan\n`"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		got := Parse(body)
		if len(got) > mostParsed {
			t.Fatalf("%d commands", len(got))
		}
		for _, c := range got {
			checkCommand(t, body, c)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	body := strings.Repeat("Some text with `code` and **words**.\n\n```go\nfunc main() {}\n```\n\n- an item\n\n", 600) + "/vishwa plan\n"
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if len(Parse(body)) != 1 {
			b.Fatal("not read")
		}
	}
}
