// What the log keeps to itself of people is no fault of what is served, and no drift.

package measure

import (
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/engine/drift"
	"github.com/vishwaops/vishwa/reconciler/engine/graph"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/sample"
	"github.com/vishwaops/vishwa/reconciler/format/table"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

func sideOf(t *testing.T, text string) *sample.Side {
	t.Helper()
	r, err := table.Open(strings.NewReader(text), int64(len(text)), schemas.Format{}, "a.csv")
	if err != nil {
		t.Fatal(err)
	}
	s := &sample.Side{}
	if err := s.Read(r, nil, nil, nil); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAPersonalColumnOfTheLogIsNoFault(t *testing.T) {
	base := "owner,Post\n" + strings.Repeat("asha,1\nben,2\n", 200)
	without, empty, hashed := "other\n"+strings.Repeat("1\n", 100), "owner,other\n"+strings.Repeat(",1\n", 100), "owner\n"+strings.Repeat("hmac:aa\nhmac:bb\n", 100)
	served, homes, logged := schemas.Ref{Kind: schemas.KindDeployment, Name: "price"}, schemas.Ref{Kind: schemas.KindDataset, Name: "homes"}, schemas.Ref{Kind: schemas.KindDataset, Name: "logged"}
	for name, c := range map[string]struct {
		column, window, mode string
		reference, current   schemas.Ref
		baseline             bool
		want                 drift.Verdict
		says                 string
	}{
		"left out":                         {"owner", without, "", homes, schemas.Ref{}, false, drift.Unsupported, "the log leaves it out"},
		"left out, in other letters":       {"Post", without, "drop", homes, schemas.Ref{}, false, drift.Unsupported, "the log leaves it out"},
		"left out of the newer parts":      {"owner", empty, "drop", homes, schemas.Ref{}, false, drift.Unsupported, "the log leaves it out"},
		"hashed":                           {"owner", hashed, "hash", homes, schemas.Ref{}, false, drift.Unsupported, "the log has hashes of its values"},
		"hashed, in a dataset of the log":  {"owner", hashed, "hash", homes, logged, false, drift.Unsupported, "the log has hashes of its values"},
		"hashed on both sides":             {"owner", hashed, "hash", homes, schemas.Ref{}, true, "", ""},
		"hashed in the reference, too":     {"owner", hashed, "hash", logged, schemas.Ref{}, false, "", ""},
		"as it is, in a log of others":     {"owner", base, "drop", homes, schemas.Ref{}, false, "", ""},
		"another column that is not there": {"Post", hashed, "none", homes, schemas.Ref{}, false, drift.Fault, "no such column; if it is what the model predicts, list the columns"},
		"missing from a dataset":           {"owner", without, "drop", homes, homes, false, drift.Fault, "no such column"},
	} {
		t.Run(name, func(t *testing.T) {
			personal := []string{"owner", "post"}
			if c.mode == "none" {
				personal, c.mode = personal[:1], ""
			}
			of := &schemas.Deployment{Log: &schemas.PredictionLog{Personal: c.mode}}
			s := &session{Bench: bench(&book{}, time.Now()), spec: &schemas.Monitor{Deployment: served, Reference: c.reference, Current: schemas.Current{From: c.current}},
				in: &pass.Intent{
					Graph: graph.Graph{Nodes: []graph.Node{{Ref: served, Decl: &schemas.Declaration{Spec: of}, Recipe: port.Recipe{Personal: personal}}}},
					Decls: []schemas.Declaration{
						{Kind: "Dataset", Metadata: schemas.Metadata{Name: "homes"}, Spec: &schemas.Dataset{}},
						{Kind: "Dataset", Metadata: schemas.Metadata{Name: "logged"}, Spec: &schemas.Dataset{Source: schemas.DataSource{Predictions: &schemas.LoggedData{Deployment: served}}}},
					},
				}}
			if c.baseline {
				s.baseline = &ledger.Baseline{}
			}
			now := sideOf(t, c.window)
			now.Log = c.current == schemas.Ref{}
			got, _, err := s.column(c.column, compared{base: sideOf(t, base), now: now})
			if err != nil || (c.want == drift.Unsupported || c.want == drift.Fault) && (got.Verdict != c.want || !strings.Contains(got.Why, c.says)) || c.want == "" && (got.Verdict == drift.Unsupported || got.Verdict == drift.Fault) {
				t.Errorf("%s: %s, %v", got.Verdict, got.Why, err)
			}
		})
	}
}
