// What is hidden is found again, cannot show itself, and what others write is not taken for it.

package chatops

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestAMarkerIsOneHiddenLine(t *testing.T) {
	for name, want := range map[string]string{
		"report":            "<!-- vishwa:report -->",
		"report/main":       "<!-- vishwa:report/main -->",
		"a --> <b> \n @c -": "<!-- vishwa:a-b-c -->",
	} {
		if got := Marker(name); got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
}

func TestWhatIsHiddenIsRevealed(t *testing.T) {
	hex := strings.Repeat("0123456789abcdef", 4)
	state := State{Head: hex[:40], Digest: "sha256:" + hex, Verdict: "Ready: 3 to remake, 2 to keep.", Checkpoint: "vishwa ledger\n12\n" + hex + "\n\n— key " + hex + "\n"}
	for i := range 25 {
		state.Earlier = append(state.Earlier, Past{fmt.Sprintf("%040d", i), "sha256:" + hex, "1 to make"})
	}
	got, ok := DecodeState("<!-- vishwa:report -->\n" + EncodeState(state) + "\n\n**Ready**\n")
	if !ok || len(got.Earlier) < 15 || len(got.Earlier) > mostPasts || !reflect.DeepEqual(got.Earlier, state.Earlier[:len(got.Earlier)]) {
		t.Fatalf("%d earlier plans, %t", len(got.Earlier), ok)
	}
	got.Earlier = state.Earlier
	if !reflect.DeepEqual(got, state) {
		t.Errorf("%+v", got)
	}
}

func TestStateIsOneBoundedCommentOfItsOwn(t *testing.T) {
	texts := rapid.OneOf(rapid.String(), rapid.StringMatching("(-->|--!>|<|@team|`|\"|\x01|\u2028|é|--|[a-z]){0,400}"))
	rapid.Check(t, func(t *rapid.T) {
		state := State{Head: texts.Draw(t, "head"), Digest: texts.Draw(t, "digest"), Stage: texts.Draw(t, "stage"), Verdict: texts.Draw(t, "verdict"),
			HeadAt: rapid.Int64().Draw(t, "headAt"), PlanAt: rapid.Int64().Draw(t, "planAt"), Checkpoint: texts.Draw(t, "checkpoint")}
		for range rapid.IntRange(0, 30).Draw(t, "pasts") {
			state.Earlier = append(state.Earlier, Past{texts.Draw(t, "h"), texts.Draw(t, "d"), texts.Draw(t, "v")})
		}
		text := EncodeState(state)
		inner := strings.TrimSuffix(strings.TrimPrefix(text, "<!--"), "-->")
		if len(text) > HideLimit || len(inner) != len(text)-7 || strings.ContainsAny(inner, "<>\n\r@`\u2028") || strings.Contains(inner, "--") {
			t.Fatalf("%d bytes: %q", len(text), text)
		}
		got, ok := DecodeState("x\n" + text)
		if !ok {
			t.Fatalf("%q is not revealed", text)
		}
		if again := EncodeState(got); again != text {
			t.Fatalf("hidden again it is\n%q, was\n%q", again, text)
		}
	})
}

func TestForeignBytesAreNoState(t *testing.T) {
	for _, body := range []string{"", "<!-- vishwa:state -->", "<!-- vishwa:state {} ", "<!-- vishwa:state [] -->", "<!-- vishwa:state {\"head\":1} -->",
		"a <!-- vishwa:state {} -->", "> <!-- vishwa:state {} -->", "<!-- vishwa:state {\"head\":\"" + strings.Repeat("a", HideLimit) + "\"} -->"} {
		if got, ok := DecodeState(body); ok {
			t.Errorf("%q is taken for %+v", body, got)
		}
	}
}

func TestALogCannotSpeakForVishwa(t *testing.T) {
	forged := "```\n" + EncodeState(State{Head: "forged"}) + "\n```\n"
	if got, ok := DecodeState(forged + EncodeState(State{Head: "real"}) + "\n"); !ok || got.Head != "real" {
		t.Errorf("%+v", got)
	}
}

func FuzzReveal(f *testing.F) {
	f.Add("<!-- vishwa:report -->\n" + EncodeState(State{Head: "a", Earlier: []Past{{"b", "c", "d"}}}))
	f.Add("<!-- vishwa:state {} -->")
	f.Fuzz(func(t *testing.T, body string) {
		got, ok := DecodeState(body)
		if !ok {
			return
		}
		text := EncodeState(got)
		if len(text) > HideLimit {
			t.Fatalf("%d bytes", len(text))
		}
		if again, ok := DecodeState(text); !ok || EncodeState(again) != text {
			t.Fatalf("%q is not revealed", text)
		}
	})
}
