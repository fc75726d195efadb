// What the program says went wrong, reduced to what may be repeated: summary,
// address, file and line. Details and snippets quote values and are only read to
// tell what kind of failure it is.

package provisioner

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

// diagnostic is one message of the program.
type diagnostic struct {
	Severity string `json:"severity"`
	Summary  string `json:"summary"`
	Detail   string `json:"detail"`
	Address  string `json:"address"`
	Range    *place `json:"range"`
	run      string // of a test file; "" where it is of none
}

type place struct {
	Filename string `json:"filename"`
	Start    struct {
		Line int `json:"line"`
	} `json:"start"`
}

// told is the diagnostic for people, without values.
func (d diagnostic) told(r *redactor) string {
	var parts []string
	if d.Range != nil && d.Range.Filename != "" {
		parts = append(parts, d.Range.Filename+":"+strconv.Itoa(d.Range.Start.Line))
	}
	if d.Address != "" {
		parts = append(parts, d.Address)
	}
	summary, _, _ := strings.Cut(d.Summary, "\n")
	return strings.Join(append(parts, clip(r.clean(summary), 200)), ": ")
}

// empty tells whether the message only accompanies another.
func (d diagnostic) empty() bool {
	return d.Summary == "execution halted" || strings.Contains(d.Summary, "encountered problems during initiali")
}

// most is how many diagnostics one error repeats.
const most = 5

func clip(s string, n int) string {
	if runes := []rune(s); len(runes) > n {
		return string(runes[:n]) + "..."
	}
	return s
}

type rule struct {
	says *lazyregexp.Regexp
	kind fault.Kind
	way  string // TOOL stands for the program's name
}

// rules tell a failure's kind, and the way out, by what the program says. The
// first that matches decides; the texts are Terraform's and OpenTofu's own.
var rules = []rule{
	{lazyregexp.New(`Lock Info:|already locked`), fault.Transient,
		"wait until the other run is done; if its holder will not come back, release the lock with TOOL force-unlock"},
	{lazyregexp.New(`Saved plan (is stale|does not match)|plan file can no longer be applied`), fault.Conflict, "plan again"},
	{lazyregexp.New(`(?i)no such host|connection (refused|reset|timed out)|i/o timeout|TLS handshake|Client\.Timeout|could not connect to|temporary failure|too many requests|status code: (429|5\d\d)|\b50[234]\b`), fault.Transient,
		"see that the network, the registry and the cloud can be reached, and try again"},
	{lazyregexp.New(`(?i)AccessDenied|access denied|unauthori[sz]ed|forbidden|permission denied|ExpiredToken|invalid credentials|no valid credential|authentication failed|status code: 40[13]`), fault.Denied,
		"give the credentials that the provider or backend needs, and name their variables so that they are passed"},
	{lazyregexp.New(`(?i)no space left on device`), fault.Internal, "free disk space"},
}

// failure makes an error of what the program said while it was to do what.
func (w *work) failure(what string, found []diagnostic, err error) error {
	if fault.Of(err) == fault.Cancelled {
		return err
	}
	var bad []diagnostic
	for _, d := range found {
		if d.Severity == "error" {
			bad = append(bad, d)
		}
	}
	if real := slices.DeleteFunc(slices.Clone(bad), diagnostic.empty); len(real) > 0 {
		bad = real
	}
	if len(bad) == 0 {
		return fault.WithHint(fault.New(fault.Internal, "%s stack %s: %s ended badly and said nothing", what, w.stack.Name, w.tool),
			"run %s by hand on the module to see why", w.tool.product)
	}
	kind, way := fault.Invalid, "correct the module or its variables"
	if what == "apply" {
		way = "correct the cause and plan again: what was done is in the state"
	}
	var text []string
	for _, d := range bad {
		if w.veil != nil {
			d = w.veil(d)
		}
		if one := d.told(w.secrets); !slices.Contains(text, one) {
			text = append(text, one)
		}
	}
	if n := len(text); n > most {
		text = append(text[:most], fmt.Sprintf("and %d more", n-most))
	}
	for _, rule := range rules {
		if slices.ContainsFunc(bad, func(d diagnostic) bool { return rule.says.MatchString(d.Summary + "\n" + d.Detail) }) {
			kind, way = rule.kind, strings.ReplaceAll(rule.way, "TOOL", w.tool.product)
			break
		}
	}
	if who := holder(bad); who != "" && w.veil == nil {
		text = append(text, "held by "+who)
	}
	return fault.WithHint(fault.New(kind, "%s stack %s: %s", what, w.stack.Name, strings.Join(text, "; ")), "%s", way)
}

// mostWarnings is how many warnings of one plan are repeated.
const mostWarnings = 20

// warnings are what the program warned of, each once.
func (w *work) warnings(all []diagnostic) (out []string) {
	more := 0
	for _, d := range all {
		if d.Severity != "warning" {
			continue
		}
		if w.veil != nil {
			d = w.veil(d)
		}
		switch one := d.told(w.secrets); {
		case slices.Contains(out, one):
		case len(out) == mostWarnings:
			more++
		default:
			out = append(out, one)
		}
	}
	if more > 0 {
		out = append(out, fmt.Sprintf("and %d more warnings", more))
	}
	return out
}

var (
	lockWho  = lazyregexp.New(`(?m)^\W*Who:[ \t]+(\S+)`)
	lockWhen = lazyregexp.New(`(?m)^\W*Created:[ \t]+(\S+ \S+?)(?:\.\d+)?(?: .*)?$`)
)

// holder is who holds the state's lock, where the program knows: user@host and since when.
func holder(all []diagnostic) string {
	for _, d := range all {
		who := lockWho.FindStringSubmatch(d.Detail)
		if who == nil {
			continue
		}
		if when := lockWhen.FindStringSubmatch(d.Detail); when != nil {
			return who[1] + " since " + when[1]
		}
		return who[1]
	}
	return ""
}

var (
	frame  = lazyregexp.New(`(?m)^[ \t]*[│╷╵|][ \t]?`)
	anchor = lazyregexp.New(`^\s*on (.+?) line (\d+)`)
)

// fromText reads diagnostics from the text that commands without JSON print:
//
//	Error: Unsupported argument
//
//	  on main.tf line 3, in resource "x" "y":
func fromText(text string) []diagnostic {
	var all []diagnostic
	for line := range strings.Lines(frame.ReplaceAllString(text, "")) {
		line = strings.TrimRight(line, "\r\n")
		summary, isError := strings.CutPrefix(strings.TrimSpace(line), "Error: ")
		switch {
		case isError && summary != "":
			all = append(all, diagnostic{Severity: "error", Summary: summary})
		case len(all) == 0:
		default:
			last := &all[len(all)-1]
			if m := anchor.FindStringSubmatch(line); m != nil && last.Range == nil {
				last.Range = &place{Filename: m[1]}
				last.Range.Start.Line, _ = strconv.Atoi(m[2]) // the pattern holds digits
			}
			last.Detail += line + "\n"
		}
	}
	return all
}
