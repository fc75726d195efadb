// Package airflow shows Airflow, whose DAGs wait for assets, what a ledger records: an event of an asset says
// that a dataset has other data, or that a model was released. The newest state alone is told, so that a ledger of years begins no hundred
// runs. Whoever may send events sends any, so an event that is there for it already is one that a controller signed.
package airflow

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/airflow"
	"github.com/vishwaops/vishwa/reconciler/machine/dial"
	"github.com/vishwaops/vishwa/reconciler/machine/httpx"
	"github.com/vishwaops/vishwa/reconciler/machine/token"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// TokenVariable has Airflow's bearer token, or user:password, where no file of one is declared.
const TokenVariable = "VISHWA_TRACKER_AIRFLOW"

const (
	mostNotes = 20
	patience  = 20 * time.Second
)

// Options are what Airflow is reached with.
type Options struct {
	Env       port.Env
	Sign      func(text string) (proof string, err error)      // says that this controller sent something
	Signed    func(text, proof string) bool                    // tells that one of the ledger's controllers did
	Transport http.RoundTripper                                // asks it; nil is the usual way
	Sleep     func(ctx context.Context, d time.Duration) error // waits between tries; nil is the usual way
}

type events struct {
	spec   schemas.AirflowTracker
	o      Options
	client *airflow.Client
	bad    error // why there is no client
}

// New tells of data and releases by events of assets. It shows no runs.
func New(spec schemas.AirflowTracker, o Options) port.Tracker {
	next := o.Transport
	if next == nil {
		next = dial.Paced(httpx.Transport(httpx.Options{}), dial.Pace{Window: httpx.Answers, Least: 1, Whole: 4 * httpx.Answers})
	}
	e := &events{spec: spec, o: o}
	e.client, e.bad = airflow.New(spec.URL, airflow.Options{
		Transport:  &httpx.Retry{Next: next, Who: "Airflow", Now: o.Env.Now, Log: o.Env.Log, Limit: patience, Sleep: o.Sleep},
		Credential: func() (string, error) { return credential(spec, o.Env.Lookup) },
		Declared:   "spec.trackers.airflow.url", May: "read assets and create asset events",
	})
	if err := o.Env.MayAsk(spec.URL); err != nil {
		e.bad = err
	}
	return e
}

// event is what an event says.
type event struct {
	Of          string        `json:"vishwa_of"`
	Environment string        `json:"vishwa_environment,omitempty"`
	Digest      digest.Digest `json:"vishwa_digest"`
	Revision    string        `json:"vishwa_revision"`
	Entry       int64         `json:"vishwa_entry"`
	Ledger      string        `json:"vishwa_ledger"`
	Proof       string        `json:"vishwa_proof,omitempty"`
}

// sent is what is signed of an event: what it says, and of which asset of which server it says that. Elsewhere it proves nothing.
func (a *events) sent(asset string, e event) string {
	return fmt.Sprintf("event of Airflow\nserver %q\nasset %q\nledger %q\nentry %d\nof %q\nenvironment %q\ndigest %q\nrevision %q\n",
		httpx.Server(a.spec.URL), asset, e.Ledger, e.Entry, e.Of, e.Environment, e.Digest, e.Revision)
}

// says tells whether a controller sent what was found, and it says what is to be told.
func (a *events) says(found json.RawMessage, asset string, newest event) bool {
	var said event
	if json.Unmarshal(found, &said) != nil { // those of others say anything
		return false
	}
	proof := said.Proof
	said.Proof = ""
	return said == newest && a.o.Signed(a.sent(asset, newest), proof)
}

// Record implements port.Tracker.
func (a *events) Record(ctx context.Context, p port.Projection, dry bool) (out port.Recorded, err error) {
	if a.bad != nil {
		return out, a.bad
	}
	for _, of := range a.spec.Assets {
		newest, there := newestOf(of, p)
		if !there {
			continue
		}
		id, err := a.client.Asset(ctx, of.Asset)
		if err != nil {
			return out, err
		}
		if id == 0 {
			if len(out.Notes) < mostNotes {
				out.Notes = append(out.Notes, fmt.Sprintf("Airflow has no asset %s: it gets one with a DAG that names it", of.Asset))
			}
			continue
		}
		told, err := a.client.HasEvent(ctx, id, func(e airflow.Event) bool { return a.says(e.Extra, of.Asset, newest) })
		if err != nil {
			return out, err
		}
		if told {
			continue
		}
		out.Writes++
		if dry {
			continue
		}
		if newest.Proof, err = a.o.Sign(a.sent(of.Asset, newest)); err != nil {
			return out, err
		}
		if err := a.client.Post(ctx, "/assets/events", map[string]any{"asset_id": id, "extra": newest}); err != nil {
			return out, err
		}
	}
	return out, nil
}

// newestOf is what the ledger says last of what an asset stands for.
func newestOf(of schemas.AirflowAsset, p port.Projection) (e event, there bool) {
	e = event{Of: of.Of.String(), Environment: of.Environment, Ledger: p.Ledger}
	if of.Of.Kind.Traits().Pinned {
		for _, d := range p.Data {
			if d.Name == of.Of.Name {
				e.Digest, e.Revision, e.Entry = d.Digest, d.Tags[port.TagRevision], d.Entry
				return e, true
			}
		}
		return e, false
	}
	for _, m := range p.Models {
		if m.Name != of.Of.Name || len(m.Versions) == 0 {
			continue
		}
		last := m.Versions[len(m.Versions)-1]
		entry := last.Entry
		if of.Environment != "" {
			last, entry = port.TrackerVersion{}, 0
			for _, move := range m.Moves {
				if move.Environment != of.Environment {
					continue
				}
				last, entry = port.TrackerVersion{}, 0 // where it serves none any more, there is nothing to wait for
				for _, v := range m.Versions {
					if v.Key == move.Key {
						last, entry = v, move.Entry
					}
				}
			}
		}
		e.Digest, e.Revision, e.Entry = last.Digest, last.Tags[port.TagRevision], entry
		return e, entry > 0
	}
	return e, false
}

// credential is a bearer token, or user:password, which goes nowhere in the clear.
func credential(spec schemas.AirflowTracker, lookup func(string) (string, bool)) (string, error) {
	text, err := token.Read(lookup, token.Place{Who: "Airflow", File: spec.Token, Variable: TokenVariable})
	if err != nil {
		return "", err
	}
	if text == "" {
		return "", fault.WithHint(fault.New(fault.Denied, "there is no token for Airflow"), "put a bearer token, or user:password, into %s, or name a file as the tracker's token", TokenVariable)
	}
	if at, err := url.Parse(spec.URL); err != nil || at.Scheme != "https" && !dial.Loopback(at.Hostname()) {
		return "", fault.WithHint(fault.New(fault.Denied, "Airflow is at a plain http address, and its credential would go there in the clear"), "write https:// in the tracker's url")
	}
	return text, nil
}
