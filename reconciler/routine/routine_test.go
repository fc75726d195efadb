package routine

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

type login struct{ password string }

func decode(raw []byte) byte { return raw[7] }

// TestAPanicIsTheErrorOfItsGroup: whoever waits for the group gets it, and the others of the group are told to stop.
func TestAPanicIsTheErrorOfItsGroup(t *testing.T) {
	g, ctx := WithContext(t.Context())
	g.Start(func() error { <-ctx.Done(); return nil })
	g.Start(func() error { decode(nil); return nil })
	err := g.Wait()
	if err == nil || fault.Of(err) != fault.Internal || !strings.Contains(err.Error(), "index out of range [7] with length 0, in reconciler/routine.decode (routine_test.go:") {
		t.Fatalf("%v", err)
	}
	if !strings.Contains(fault.Stack(err), "errgroup") {
		t.Errorf("its stack is %q", fault.Stack(err))
	}
	var plain Group
	plain.SetLimit(1)
	if !plain.TryStart(func() error { panic(login{"hunter2"}) }) {
		t.Fatal("there was room")
	}
	if err := plain.Wait(); err == nil || !strings.Contains(err.Error(), "panic: a value of routine.login") || strings.Contains(err.Error()+fault.Stack(err), "hunter2") {
		t.Errorf("%v", err)
	}
	why := errors.New("no")
	plain.Start(func() error { return why })
	if err := plain.Wait(); err == nil { // the first error stays
		t.Error("no error")
	}
}

// TestAPanicReachesWhoWaitsForTheSet: with the place where it first was.
func TestAPanicReachesWhoWaitsForTheSet(t *testing.T) {
	done := 0
	err := fault.Guard(func() error {
		var all Set
		all.Start(func() { decode(nil) })
		all.Start(func() { done++ })
		all.Wait()
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "in reconciler/routine.decode") || done != 1 {
		t.Errorf("%v; %d done", err, done)
	}
	var calm Set
	calm.Start(func() { done++ })
	calm.Wait()
	if done != 2 {
		t.Errorf("%d done", done)
	}
}

// TestAPanicOfWhatNobodyWaitsForIsSaid: it is the log that tells.
func TestAPanicOfWhatNobodyWaitsForIsSaid(t *testing.T) {
	var out bytes.Buffer
	said, over := Logged(slog.New(slog.NewTextHandler(&out, nil)), "the watch"), make(chan struct{})
	ctx, end := context.WithCancel(t.Context())
	fault.Go(func() { defer end(); decode(nil) }, func(err error) {
		<-ctx.Done() // what was deferred comes first
		said(err)
		close(over)
	})
	<-over
	for _, want := range []string{"the watch ended by a panic", "decode (routine_test.go:", "stack=", "report it"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s: nothing of %q", out.String(), want)
		}
	}
}
