// What tests of servers ask of one, whichever tool serves.

package porttest

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Serve has s serve r, or fails the test.
func Serve(t testing.TB, s port.Server, r port.Release) port.Live {
	t.Helper()
	l, err := s.Apply(context.Background(), r)
	if err != nil {
		t.Fatalf("Apply: %v (%s)", err, fault.HintOf(err))
	}
	return l
}

// Look is how what s serves under name is, or fails the test.
func Look(t testing.TB, s port.Server, name string) port.Live {
	t.Helper()
	l, err := s.Observe(context.Background(), name)
	if err != nil {
		t.Fatalf("Observe: %v", err)
	}
	return l
}

// Answer is what url says to client, which is to be with 200.
func Answer(t testing.TB, client *http.Client, url string) string {
	t.Helper()
	a, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	if err != nil || a.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %v %s", url, a.Status, err, body)
	}
	return string(body)
}

// Until waits until something is so, or fails the test after a while; but, where it is not nil, says what is instead.
func Until(t testing.TB, within time.Duration, what string, is func() bool, but func() any) {
	t.Helper()
	for deadline := time.Now().Add(within); !is(); time.Sleep(10 * time.Millisecond) {
		if !time.Now().After(deadline) {
			continue
		}
		if but == nil {
			t.Fatalf("still not: %s", what)
		}
		t.Fatalf("still not: %s; it is %+v", what, but())
	}
}
