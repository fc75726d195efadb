// Naming says where an entry is kept, who signs it, and what the commit that
// carries it says to people and to git log.

package ledger

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Folder is how many entries a folder holds.
const Folder = 1000

// Path is where entry seq is kept: entries/000/000123.sigstore.json.
func Path(seq int64) string {
	return fmt.Sprintf("entries/%03d/%06d.sigstore.json", seq/Folder, seq)
}

// RoleOf is the role whose key signs an action: what refuses, failed or
// was merely seen is signed by another key than what releases.
func RoleOf(a Action) port.Role {
	switch {
	case a == Deny, a == Fail, a == Cancel, a == Observe:
		return port.Refuse
	case a == Retire, a == RollOut, slices.Contains(standing, a):
		return port.Deploy
	default:
		return port.Build
	}
}

// trailer starts every machine-readable line of a commit message.
const trailer = "Vishwa-"

const subjectRunes = 100

// Message is the commit message of e, whose bundle is named by d: a line for
// people, then the trailers. Whatever e holds, each trailer is one line.
func Message(e Entry, d digest.Digest) string {
	subject := string(e.Action)
	if e.Ref != (schemas.Ref{}) {
		subject += " " + e.Ref.String()
	}
	if why := line(e.Reason); why != "" {
		subject += ": " + why
	}
	if r := []rune(subject); len(r) > subjectRunes {
		subject = strings.TrimSpace(string(r[:subjectRunes-3])) + "..."
	}
	return subject + "\n\n" + strings.Join(trailers(e, d), "\n") + "\n"
}

func trailers(e Entry, d digest.Digest) []string {
	var out []string
	add := func(name, value string) {
		if v := line(value); v != "" {
			out = append(out, trailer+name+": "+v)
		}
	}
	add("Action", string(e.Action))
	add("Seq", strconv.FormatInt(e.Seq, 10))
	add("Prev", string(e.Prev))
	add("Entry", string(d))
	add("Ref", refText(e.Ref))
	add("Key", string(e.Key))
	add("Revision", e.Revision)
	add("Plan", string(e.Plan))
	add("Policy", string(e.Policy))
	add("Verdict", e.Verdict)
	add("Actor", e.Actor)
	add("On-Behalf-Of", e.PullRequest.String())
	add("Trigger", e.Trigger)
	for _, by := range e.Approved {
		add("Approved-By", by)
	}
	return out
}

// line is s as a single line: a line break or control character in a reason or
// a name must not begin a trailer of its own, nor steer the terminal of git log.
// Controls have always been blanks here.
func line(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
	return strings.Join(strings.Fields(harmless.Line(s)), " ")
}

// Trailers are the Vishwa- lines that end a commit message, in their order. A
// message that has such lines elsewhere has none.
func Trailers(message string) ([]string, error) {
	head, last, ok := strings.Cut(message, "\n\n")
	if !ok || strings.Contains(head, "\n") || strings.HasPrefix(head, trailer) {
		return nil, fmt.Errorf("its message is not one line, an empty line and trailers")
	}
	body, ok := strings.CutSuffix(last, "\n")
	if !ok {
		return nil, fmt.Errorf("its message does not end with a line break")
	}
	lines := strings.Split(body, "\n")
	for _, l := range lines {
		name, value, ok := strings.Cut(l, ": ")
		if !ok || !strings.HasPrefix(name, trailer) || value == "" {
			return nil, fmt.Errorf("its message holds %q, which is not a trailer", l)
		}
	}
	return lines, nil
}

// checkTrailers tells which trailer of message is not what e says.
func checkTrailers(message string, e Entry, d digest.Digest) error {
	got, err := Trailers(message)
	if err != nil {
		return err
	}
	want := trailers(e, d)
	for i, g := range got { // earlier ones show what line leaves out now
		got[i] = harmless.Line(g)
	}
	if slices.Equal(got, want) {
		return nil
	}
	for i, w := range want {
		if i >= len(got) {
			return fmt.Errorf("its message lacks the trailer %q", w)
		}
		if got[i] != w {
			return fmt.Errorf("its message says %q where the entry says %q", got[i], w)
		}
	}
	return fmt.Errorf("its message says %q, which the entry does not", got[len(want)])
}

func refText(r schemas.Ref) string {
	if r == (schemas.Ref{}) {
		return ""
	}
	return r.String()
}
