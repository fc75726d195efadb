// How Vishwa knows its own comment again, and what it remembers in it: a controller
// that was thrown away, and one that runs in another place, find there what was said last.

package chatops

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// Marker is the first line of Vishwa's comment called name. It is not shown.
func Marker(name string) string {
	var b strings.Builder
	last := '-'
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("./_:", r) {
			r = '-'
		}
		if r != '-' || last != '-' { // two in a row could end the HTML comment
			b.WriteRune(r)
		}
		last = r
	}
	return "<!-- vishwa:" + strings.TrimRight(b.String(), "-") + " -->"
}

// State is what a comment carries for Vishwa itself, hidden.
type State struct {
	Head       string `json:"head,omitempty"`   // revision that was looked at
	Digest     string `json:"digest,omitempty"` // of its plan
	HeadAt     int64  `json:"headAt,omitempty"` // when the revision was first shown, Unix seconds
	PlanAt     int64  `json:"planAt,omitempty"` // when the plan was
	Stage      string `json:"stage,omitempty"`
	Verdict    string `json:"verdict,omitempty"`    // its first line
	Earlier    []Past `json:"earlier,omitempty"`    // newest first
	Checkpoint string `json:"checkpoint,omitempty"` // of the ledger: a signed note, whole or not there
}

// Past is a plan that the comment has shown before.
type Past struct {
	Head    string `json:"head,omitempty"`
	Digest  string `json:"digest,omitempty"`
	Verdict string `json:"verdict,omitempty"`
}

const (
	// HideLimit is the longest that Hide returns, in bytes.
	HideLimit = 3_900

	mostPasts       = 20
	nameLimit       = 100 // bytes of a revision or a digest
	verdictLimit    = 200
	checkpointLimit = 1_500

	stateOpen  = "<!-- vishwa:state "
	stateClose = " -->"
)

// EncodeState writes state on one line that is not shown, for the end of the comment. The oldest plans are left out
// where there are many of them; a checkpoint that is too long is left out whole.
func EncodeState(state State) string {
	state.Head, state.Digest = clip(state.Head, nameLimit), clip(state.Digest, nameLimit)
	state.Stage, state.Verdict = clip(state.Stage, nameLimit), clip(state.Verdict, verdictLimit)
	if len(state.Checkpoint) > checkpointLimit || !utf8.ValidString(state.Checkpoint) {
		state.Checkpoint = ""
	}
	pasts := state.Earlier
	state.Earlier = nil
	for _, p := range pasts[:min(len(pasts), mostPasts)] {
		state.Earlier = append(state.Earlier, Past{clip(p.Head, nameLimit), clip(p.Digest, nameLimit), clip(p.Verdict, verdictLimit)})
	}
	for {
		text := stateOpen + hiddenJSON(state) + stateClose
		switch {
		case len(text) <= HideLimit:
			return text
		case len(state.Earlier) > 0:
			state.Earlier = state.Earlier[:len(state.Earlier)-1]
		case state.Checkpoint != "": // one that is mostly escapes
			state.Checkpoint = ""
		default:
			state.Verdict = ""
		}
	}
}

// hiddenJSON is v on one line of an HTML comment that nothing in it can end.
func hiddenJSON(v State) string {
	raw, err := json.Marshal(v) // escapes < > & and line separators
	if err != nil {
		panic(err) // strings always encode
	}
	return strings.NewReplacer("--", `-\u002d`, "@", `\u0040`, "`", `\u0060`).Replace(string(raw))
}

// DecodeState reads what Hide hid in a comment's body. The last one counts: Hide's line
// stands behind all that the comment repeats of the repository and its logs.
func DecodeState(body string) (State, bool) {
	at := strings.LastIndex(body, stateOpen)
	if at < 0 || at > 0 && body[at-1] != '\n' {
		return State{}, false
	}
	text := body[at+len(stateOpen):]
	text, closed := text[:min(len(text), HideLimit)], false
	if text, _, closed = strings.Cut(text, stateClose); !closed {
		return State{}, false
	}
	var s State
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return State{}, false
	}
	s.Earlier = s.Earlier[:min(len(s.Earlier), mostPasts)]
	return s, true
}

// clip shortens s to n bytes at a rune's edge.
func clip(s string, n int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}
