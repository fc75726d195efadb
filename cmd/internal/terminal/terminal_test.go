// What goes to a terminal is harmless but for the program's own.

package terminal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
)

func TestOnlyTheProgramSteers(t *testing.T) {
	var out bytes.Buffer
	w := New(&out)
	fmt.Fprint(w, "a\x1b[31m")
	if err := w.Steer("\x1b[0m"); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(w, "::error::\xe2\x80")
	fmt.Fprint(w, "\xae\r")
	if err := w.End(); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), "a�[31m\x1b[0m:∶error::� "; got != want {
		t.Errorf("%q is printed, want %q", got, want)
	}
}

// TestLinesOfSeveralAreWhole: what is written at once stays together.
func TestLinesOfSeveralAreWhole(t *testing.T) {
	var out bytes.Buffer
	w := New(&out)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				fmt.Fprint(w, strings.Repeat("x", 20)+"\x1b\n")
			}
		})
	}
	all.Wait()
	if got := strings.Count(out.String(), strings.Repeat("x", 20)+"�\n"); got != 800 {
		t.Errorf("%d lines are whole", got)
	}
}

// TestLogsAreHarmless: in both forms, in keys, messages and values; JSON keeps what it was.
func TestLogsAreHarmless(t *testing.T) {
	const evil = "x\x1b[2J\n::error::\u009b\u202e\x7f\u2028 level=ERROR msg=forged"
	for name, handler := range map[string]func(*bytes.Buffer) slog.Handler{
		"text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(New(b), nil) },
		"json": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(JSON(New(b)), nil) },
	} {
		var out bytes.Buffer
		slog.New(handler(&out)).Info(evil, "a", evil, evil, fmt.Errorf("%s", evil))
		got := strings.TrimSuffix(out.String(), "\n")
		if strings.ContainsAny(got, "\x1b\u009b\u202e\x7f\u2028\n") || strings.Contains(got, `" level=ERROR msg=forged`) {
			t.Errorf("%s: %q", name, got)
		}
		if name == "json" {
			var read map[string]any
			if err := json.Unmarshal([]byte(got), &read); err != nil || read["msg"] != evil || read["a"] != evil || read[evil] != evil {
				t.Errorf("a parser reads %v, %q", err, read)
			}
		}
	}
}
