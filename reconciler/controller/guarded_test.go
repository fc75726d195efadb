// What panics anywhere in a pass is that pass's error, and the log says where it was.

package controller

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/routine"
)

// decodes is what reads a bad input.
func decodes(raw []byte) byte { return raw[3] }

func TestAPanicBesideAPassIsThePasssErrorAndIsLogged(t *testing.T) {
	for name, pass := range map[string]func() (int, error){
		"in the pass": func() (int, error) { return int(decodes(nil)), nil },
		"in a group of it": func() (int, error) {
			g, _ := routine.WithContext(t.Context())
			g.Start(func() error { decodes(nil); return nil })
			return 1, g.Wait()
		},
		"in a set of it": func() (int, error) {
			var all routine.Set
			all.Start(func() { decodes(nil) })
			all.Wait()
			return 1, nil
		},
		"beside it": func() (int, error) {
			done := make(chan error, 1)
			fault.Go(func() { decodes(nil); done <- nil }, func(err error) { done <- err })
			return 1, <-done
		},
	} {
		t.Run(name, func(t *testing.T) {
			out := &logs{}
			_, err := guarded(slog.New(slog.NewTextHandler(out, nil)), pass)
			if err == nil || fault.Of(err) != fault.Internal || !strings.Contains(err.Error(), "index out of range [3]") || !strings.Contains(fault.HintOf(err), "log") {
				t.Errorf("%v: %s", err, fault.HintOf(err))
			}
			if said := out.String(); strings.Count(said, "level=ERROR") != 1 || !strings.Contains(said, "stack=") || !strings.Contains(said, "decodes (guarded_test.go:") {
				t.Errorf("the log says %s", said)
			}
		})
	}
	out := &logs{}
	if _, err := guarded(slog.New(slog.NewTextHandler(out, nil)), func() (int, error) { return 0, context.Canceled }); err != context.Canceled || out.String() != "" {
		t.Errorf("%v, %s", err, out.String())
	}
}
