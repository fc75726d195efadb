// What every receiver of alerts keeps to, whatever it is.

package porttest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Told is a receiver, and what stands behind it.
type Told struct {
	Receiver port.Receiver
	// Open and Closed are the incidents that people see as going on, and as over, by what they
	// are shown.
	Open, Closed func(t *testing.T) []string
	// Answer has the next questions answered with this status; 0: as usual.
	Answer func(status int)
	// Gone takes the receiver away.
	Gone    func(t *testing.T)
	Secrets []string // of its address and credentials
}

// Incident is an alert for tests.
func Incident() port.Alert {
	return port.Alert{
		ID: "0123456789abcdef", Repository: "github.com/acme/models", Monitor: "homes", Deployment: "price-staging", Model: "price", Finding: "drifted",
		Summary: "drift in 1 of 5 columns, of 2000 rows", Columns: []string{"area"}, Entry: 12, Pull: 7, Since: time.Now().UTC().Add(-time.Hour).Truncate(time.Second),
	}
}

// Receiver insists on port.Receiver's promises. open gives a receiver of its own.
func Receiver(t *testing.T, open func(t *testing.T) Told) {
	t.Helper()
	shows := func(t *testing.T, all []string, want int, what string) {
		t.Helper()
		if len(all) != want {
			t.Fatalf("%d incidents %s, want %d: %q", len(all), what, want, all)
		}
		for _, one := range all {
			for _, part := range []string{"homes", "price-staging", "1 of 5 columns"} {
				if !strings.Contains(one, part) {
					t.Errorf("it does not say %s: %s", part, one)
				}
			}
		}
	}
	over := func(a port.Alert) port.Alert {
		a.Over = a.Since.Add(30 * time.Minute)
		return a
	}
	for name, law := range map[string]func(t *testing.T, r Told){
		"AnIncidentBeginsAndEnds": func(t *testing.T, r Told) {
			a := Incident()
			if err := r.Receiver.Tell(t.Context(), a); err != nil {
				t.Fatal(err)
			}
			shows(t, r.Open(t), 1, "go on")
			if err := r.Receiver.Tell(t.Context(), over(a)); err != nil {
				t.Fatal(err)
			}
			shows(t, r.Open(t), 0, "go on")
			shows(t, r.Closed(t), 1, "are over")
		},
		"ToldTwiceIsOneIncident": func(t *testing.T, r Told) {
			a := Incident()
			for range 2 {
				if err := r.Receiver.Tell(t.Context(), a); err != nil {
					t.Fatal(err)
				}
			}
			shows(t, r.Open(t), 1, "go on")
			for range 2 {
				if err := r.Receiver.Tell(t.Context(), over(a)); err != nil {
					t.Fatal(err)
				}
			}
			shows(t, r.Closed(t), 1, "are over")
		},
		"AStackThatHasDriftedIsNamed": func(t *testing.T, r Told) {
			a := Incident()
			a.Monitor, a.Deployment, a.Model, a.Columns, a.Pull = "", "", "", nil, 0
			a.Stack, a.Summary, a.Resources = "network", "1 resource is not as declared", []string{"aws_vpc.main"}
			if err := r.Receiver.Tell(t.Context(), a); err != nil {
				t.Fatal(err)
			}
			all := r.Open(t)
			if len(all) != 1 {
				t.Fatalf("%d incidents go on: %q", len(all), all)
			}
			for _, part := range []string{"network", "1 resource is not as declared", "aws_vpc.main"} {
				if !strings.Contains(all[0], part) {
					t.Errorf("it does not say %s: %s", part, all[0])
				}
			}
			if err := r.Receiver.Tell(t.Context(), over(a)); err != nil {
				t.Fatal(err)
			}
			if left := r.Open(t); len(left) != 0 {
				t.Errorf("it is over, and goes on: %q", left)
			}
		},
		"WhatItAnswersHasItsKind": func(t *testing.T, r Told) {
			for status, want := range map[int]fault.Kind{500: fault.Transient, 401: fault.Denied} {
				r.Answer(status)
				err := r.Receiver.Tell(t.Context(), Incident())
				if err == nil || fault.Of(err) != want || fault.HintOf(err) == "" {
					t.Errorf("%d is %v (%v), what to do: %q", status, err, fault.Of(err), fault.HintOf(err))
				}
				r.quiet(t, err)
			}
		},
		"OneThatIsGoneIsTransient": func(t *testing.T, r Told) {
			r.Gone(t)
			err := r.Receiver.Tell(t.Context(), Incident())
			if fault.Of(err) != fault.Transient {
				t.Errorf("%v (%v)", err, fault.Of(err))
			}
			r.quiet(t, err)
		},
		"ACancelledOneIsCalledSo": func(t *testing.T, r Told) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := r.Receiver.Tell(ctx, Incident()); err == nil || fault.Of(err) != fault.Cancelled {
				t.Errorf("%v (%v)", err, fault.Of(err))
			}
		},
	} {
		t.Run(name, func(t *testing.T) { law(t, open(t)) })
	}
}

func (r Told) quiet(t *testing.T, err error) {
	t.Helper()
	for _, secret := range r.Secrets {
		if err != nil && (strings.Contains(err.Error(), secret) || strings.Contains(fault.HintOf(err), secret)) {
			t.Errorf("the error tells a secret: %v", err)
		}
	}
}
