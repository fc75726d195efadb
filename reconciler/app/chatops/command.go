// Package chatops reads what people tell Vishwa in comments, and the hidden markers
// by which Vishwa finds its own. It is pure.
package chatops

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/schemas"
)

// Verb is what a comment asks for.
type Verb string

const (
	Plan    Verb = "plan"    // look again
	Train   Verb = "train"   // run what the pull request changes
	Apply   Verb = "apply"   // carry out the tracked branch again, after a merge
	Approve Verb = "approve" // count as the writer's approval of the plan that is shown
	Retry   Verb = "retry"   // let a key that failed be tried again
	Cancel  Verb = "cancel"  // stop the pull request's runs
	// Rollback, below a merged pull request, has a deployment serve what it served before.
	Rollback Verb = "rollback"
	// Resume, there too, lets a suspended deployment go on.
	Resume  Verb = "resume"
	Explain Verb = "explain" // say why a step is done, or why not
	Help    Verb = "help"
)

// Command is one line that begins with /vishwa, outside of code.
type Command struct {
	Verb Verb
	Ref  schemas.Ref // of rollback and resume; of retry and explain, where zero is all
	Line int         // in the comment, from 1
	Text string      // the line as it was written, shortened
	Err  error       // why the line is not understood, of the kind Invalid with its way out; Verb is then empty
}

// String is the command as it is understood; "" where it is not.
func (c Command) String() string {
	switch {
	case c.Verb == "":
		return ""
	case c.Ref == schemas.Ref{}:
		return word + " " + string(c.Verb)
	default:
		return word + " " + string(c.Verb) + " " + c.Ref.String()
	}
}

// Use tells how one command is given, for a help text.
type Use struct {
	Command string // "/vishwa retry [REF]"
	Does    string // what it does, without a full stop
}

// Usage lists the commands in the order in which a pull request meets them.
func Usage() []Use {
	return []Use{
		{word + " plan", "look again, and plan anew"},
		{word + " train", "run the trainings that this pull request changes"},
		{word + " cancel", "stop this pull request's runs"},
		{word + " retry [REF]", "let what failed be tried again: REF, such as training/enrollment, or all"},
		{word + " explain [REF]", "say why a step is done, or why not"},
		{word + " approve", "count as your approval of the plan that is shown"},
		{word + " apply", "carry out the tracked branch again, after the merge"},
		{word + " rollback REF", "have a deployment serve what it served before, after the merge"},
		{word + " resume REF", "let a deployment go on that is suspended, by a rollback or by somebody"},
		{word + " help", "list the commands"},
	}
}

const (
	word       = "/vishwa"
	bodyLimit  = 64 << 10 // bytes of a comment that are read
	mostParsed = 20       // commands of one comment that are understood
)

var verbs = []Verb{Plan, Train, Apply, Approve, Retry, Cancel, Rollback, Resume, Explain, Help}

// Parse finds the commands of a comment: lines that begin with /vishwa and stand
// neither in code, however it is marked, nor in an HTML comment, nor in a block quote.
func Parse(body string) (out []Command) {
	for _, l := range spoken(bounded(body)) {
		rest, ours := strings.CutPrefix(l.text, word)
		if after, _ := utf8.DecodeRuneInString(rest); !ours || rest != "" && !unicode.IsSpace(after) {
			continue
		}
		c := Command{Line: l.number, Text: shortened(strings.Join(append([]string{word}, strings.Fields(rest)...), " "))}
		if l.quoted {
			c.Err = fault.WithHint(fault.New(fault.Invalid, "the command belongs to the quotation above it"),
				"leave an empty line between the quotation and the command")
		} else {
			c.Verb, c.Ref, c.Err = understand(strings.Fields(rest))
		}
		if out = append(out, c); len(out) == mostParsed {
			return out
		}
	}
	return out
}

// bounded is the whole lines of body that are read: half a line could be another command.
func bounded(body string) string {
	if len(body) > bodyLimit {
		body = body[:strings.LastIndexAny(body[:bodyLimit], "\r\n")+1]
	}
	return strings.ReplaceAll(strings.ReplaceAll(body, "\r\n", "\n"), "\r", "\n")
}

// understand reads the words after /vishwa.
func understand(words []string) (Verb, schemas.Ref, error) {
	none := schemas.Ref{}
	if len(words) == 0 {
		return "", none, invalid("no command is given", "write one of: "+listed())
	}
	verb := Verb(words[0])
	if !slices.Contains(verbs, verb) {
		way := "write one of: " + listed()
		if near := schemas.Nearest(shortened(words[0]), known()); near != "" {
			way = "did you mean " + word + " " + near + "? The commands are " + listed()
		}
		return "", none, invalid("there is no command "+quoted(words[0]), way)
	}
	words = words[1:]
	needsRef := verb == Rollback || verb == Resume
	takesRef := needsRef || verb == Retry || verb == Explain
	switch {
	case len(words) == 0 && needsRef:
		return "", none, invalid(string(verb)+" takes a deployment", "write "+word+" "+string(verb)+" deployment/NAME")
	case len(words) == 0:
		return verb, none, nil
	case !takesRef:
		return "", none, invalid(string(verb)+" takes nothing after it, and "+quoted(words[0])+" was given", "write "+word+" "+string(verb)+" alone on its line")
	case len(words) > 1:
		return "", none, invalid(string(verb)+" takes one ref, and "+quoted(words[1])+" follows it", "write one command a line, such as "+word+" "+string(verb)+" training/enrollment")
	}
	ref, err := schemas.ParseRef(words[0])
	if err != nil {
		return "", none, invalid(quoted(words[0])+" is not a ref", "write kind/name or kind/name:output in lower case, such as training/enrollment:xgboost")
	}
	if kinds := kinds(); !slices.Contains(kinds, string(ref.Kind)) {
		way := "the kinds are " + strings.Join(kinds, ", ")
		if near := schemas.Nearest(string(ref.Kind), kinds); near != "" {
			ref.Kind = schemas.Kind(near)
			way = "did you mean " + ref.String() + "?"
		}
		return "", none, invalid("there is no kind of declaration such as in "+quoted(words[0]), way)
	}
	return verb, ref, nil
}

func invalid(text, way string) error {
	return fault.WithHint(fault.New(fault.Invalid, "%s", text), "%s", way)
}

func known() []string {
	out := make([]string, len(verbs))
	for i, v := range verbs {
		out[i] = string(v)
	}
	return out
}

func listed() string { return strings.Join(known(), ", ") }

func kinds() []string {
	var out []string
	for _, k := range schemas.Kinds() {
		out = append(out, string(k.Kind))
	}
	slices.Sort(out)
	return out
}

// shortened is as much of a word as an error repeats.
func shortened(s string) string {
	const most = 60
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

func quoted(s string) string {
	return `"` + strings.ReplaceAll(harmless.Line(shortened(s)), `"`, "\uFFFD") + `"`
}
