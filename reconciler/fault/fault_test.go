// The laws of kinds: what is known of an error survives whatever is put around it.

package fault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
)

func TestTheKindNearestToTheSurfaceCounts(t *testing.T) {
	inner := New(Missing, "no file")
	for name, c := range map[string]struct {
		err  error
		want Kind
	}{
		"itself":              {inner, Missing},
		"wrapped":             {fmt.Errorf("read: %w", inner), Missing},
		"hinted":              {WithHint(fmt.Errorf("read: %w", inner), "add it"), Missing},
		"named anew":          {New(Corrupt, "store: %w", inner), Corrupt},
		"joined":              {errors.Join(io.EOF, inner), Missing},
		"cancelled":           {fmt.Errorf("wait: %w", context.Canceled), Cancelled},
		"expired":             {context.DeadlineExceeded, Cancelled},
		"cancelled and named": {New(Transient, "ask: %w", context.Canceled), Transient},
		"plain":               {io.EOF, Internal},
		"hinted plain":        {WithHint(io.EOF, "go on"), Internal},
	} {
		if got := Of(c.err); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestTheWayOutNearestToTheSurfaceCounts(t *testing.T) {
	inner := WithHint(New(Missing, "no file"), "add %s", "it")
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"none":        {nil, ""},
		"plain":       {io.EOF, ""},
		"without":     {New(Missing, "x"), ""},
		"itself":      {inner, "add it"},
		"named anew":  {New(Corrupt, "store: %w", fmt.Errorf("read: %w", inner)), "add it"},
		"hinted anew": {WithHint(inner, "look elsewhere"), "look elsewhere"},
	} {
		if got := HintOf(c.err); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestWhatIsMadeOfSeveralKeepsThemAll(t *testing.T) {
	err := New(Missing, "%w; %w", WithHint(io.EOF, "go on"), io.ErrClosedPipe)
	if !errors.Is(err, io.EOF) || !errors.Is(err, io.ErrClosedPipe) || HintOf(err) != "go on" || HintOf(New(Missing, "%w", errors.Join(io.EOF, err))) != "go on" {
		t.Errorf("%v: %q", err, HintOf(err))
	}
}

func TestHintKeepsTextAndCause(t *testing.T) {
	err := WithHint(New(Denied, "open: %w", io.EOF), "ask for it")
	if err.Error() != "open: EOF" || !errors.Is(err, io.EOF) || WithHint(nil, "x") != nil {
		t.Error(err)
	}
}

func TestEveryKindHasAName(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range Kinds() {
		if seen[k.String()] || k.String() == "" {
			t.Errorf("kind %d is called %q", k, k)
		}
		seen[k.String()] = true
	}
	if Kind(200).String() != "internal" {
		t.Error("an unknown kind is internal")
	}
}
