// What monitors found and which models are released, as metrics. They are told anew after a start,
// from the ledger and its evidence.

package controller

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
)

// Verdicts are those of a monitor, each a series of its own.
var Verdicts = []string{"well", "drifted", "fault", "unknown"}

// Watched is what a monitor found last.
type Watched struct {
	Repository, Monitor, Model string
	Verdict                    string
	Entry                      int64 // of the ledger
	At                         time.Time
	Compared, Drifting         int // columns
	Columns                    []WatchedColumn
	New                        bool // it was measured now, and not read from the ledger
}

// WatchedColumn is one column of it.
type WatchedColumn struct {
	Name, Method string
	Score        float64 // NaN: there is none
	Drift        bool
}

// Model is a model as it was released last.
type Model struct {
	Name    string // of the declaration
	Version string // the ledger's entry that released it
	Digest  string
	Commit  string
}

// watchMetrics are those of monitors and models.
type watchMetrics struct {
	score, detected, ratio, at, verdict, model, incidents *prometheus.GaugeVec
	windows, alerts                                       *prometheus.CounterVec

	mu     sync.Mutex
	models map[string]map[string]Model // repository -> name
}

const (
	// mostColumns of a monitor are told one by one: those that have drifted first.
	mostColumns = 200
	// mostModels of a repository are told.
	mostModels = 200
)

func newWatchMetrics(registry *prometheus.Registry) *watchMetrics {
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, append([]string{"repository"}, labels...))
	}
	m := &watchMetrics{
		score:     gauge("vishwa_drift_score", "Score of a column by its method, as Evidently computes it; a p-value or a distance.", "monitor", "model", "column", "method"),
		detected:  gauge("vishwa_drift_detected", "1 where a column has drifted by the monitor's verdict, else 0.", "monitor", "model", "column"),
		ratio:     gauge("vishwa_drift_columns_ratio", "Share of the compared columns that have drifted.", "monitor", "model"),
		at:        gauge("vishwa_drift_last_run_timestamp_seconds", "When a monitor recorded what it found last.", "monitor", "model"),
		verdict:   gauge("vishwa_monitor_verdict", "1 of the verdict that a monitor found last, 0 of the others.", "monitor", "model", "verdict"),
		model:     gauge("vishwa_model_info", "Always 1; the labels say which model was released last: its ledger entry, digest and commit.", "model", "version", "digest", "commit"),
		incidents: gauge("vishwa_incidents_open", "Findings of monitors that are not over, and that alerts were declared for."),
		windows: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "vishwa_monitor_windows_total", Help: "Windows that monitors measured, by verdict."},
			[]string{"repository", "monitor", "verdict"}),
		alerts: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "vishwa_alerts_sent_total", Help: "Alerts that were sent, by kind of receiver and what came of it."},
			[]string{"receiver", "result"}),
		models: map[string]map[string]Model{},
	}
	registry.MustRegister(m.score, m.detected, m.ratio, m.at, m.verdict, m.model, m.incidents, m.windows, m.alerts)
	return m
}

// exemplar names the entry of the ledger that a count is of. Its labels have 128 characters at most
// (OpenMetrics); a longer name of a repository is left out.
func exemplar(repository string, entry int64) prometheus.Labels {
	l := prometheus.Labels{"entry": strconv.FormatInt(entry, 10)}
	if utf8.RuneCountInString("entry"+l["entry"]+"repository"+repository) <= prometheus.ExemplarMaxRunes {
		l["repository"] = repository
	}
	return l
}

// mostLabel is how many bytes of a name that data gives are told.
const mostLabel = 200

// labelOf is a name that data gives as a label may be: whoever writes a file's header chooses its
// bytes, and a label that is no UTF-8 ends the process.
func labelOf(name string) string {
	return strings.ToValidUTF8(name[:min(len(name), mostLabel)], "\ufffd")
}

// count adds one, with the entry that says why.
func count(c prometheus.Counter, with prometheus.Labels) {
	if e, ok := c.(prometheus.ExemplarAdder); ok {
		e.AddWithExemplar(1, with)
		return
	}
	c.Inc()
}

// Watched tells what a monitor found, in place of what it found before.
func (m *Metrics) Watched(w Watched) {
	t := m.watch
	t.forget(w.Repository, w.Monitor)
	for _, v := range Verdicts {
		t.verdict.WithLabelValues(w.Repository, w.Monitor, w.Model, v).Set(map[bool]float64{true: 1}[v == w.Verdict])
	}
	t.at.WithLabelValues(w.Repository, w.Monitor, w.Model).Set(float64(w.At.UnixMilli()) / 1000)
	if w.Compared > 0 {
		t.ratio.WithLabelValues(w.Repository, w.Monitor, w.Model).Set(float64(w.Drifting) / float64(w.Compared))
	}
	columns := slices.Clone(w.Columns)
	slices.SortStableFunc(columns, func(a, b WatchedColumn) int {
		return cmp.Compare(map[bool]int{true: 1}[b.Drift], map[bool]int{true: 1}[a.Drift])
	})
	told := map[string]bool{}
	for _, c := range columns[:min(len(columns), mostColumns)] {
		name := labelOf(c.Name)
		if told[name] { // of two that are shown alike, the one that has drifted
			continue
		}
		told[name] = true
		t.detected.WithLabelValues(w.Repository, w.Monitor, w.Model, name).Set(map[bool]float64{true: 1}[c.Drift])
		if !math.IsNaN(c.Score) {
			t.score.WithLabelValues(w.Repository, w.Monitor, w.Model, name, c.Method).Set(c.Score)
		}
	}
	if w.New {
		count(t.windows.WithLabelValues(w.Repository, w.Monitor, w.Verdict), exemplar(w.Repository, w.Entry))
	}
}

// Unwatched forgets monitors that are not declared any more.
func (m *Metrics) Unwatched(repository string, monitors []string) {
	for _, name := range monitors {
		m.watch.forget(repository, name)
	}
}

func (t *watchMetrics) forget(repository, monitor string) {
	for _, v := range []*prometheus.GaugeVec{t.score, t.detected, t.ratio, t.at, t.verdict} {
		v.DeletePartialMatch(prometheus.Labels{"repository": repository, "monitor": monitor})
	}
}

// Models tells the models of a repository as they were released last.
func (m *Metrics) Models(repository string, all []Model) {
	t := m.watch
	t.mu.Lock()
	defer t.mu.Unlock()
	now := map[string]Model{}
	for _, one := range all[:min(len(all), mostModels)] {
		now[one.Name] = one
	}
	if maps.Equal(t.models[repository], now) {
		return
	}
	t.models[repository] = now
	t.model.DeletePartialMatch(prometheus.Labels{"repository": repository})
	for _, one := range now {
		t.model.WithLabelValues(repository, one.Name, one.Version, one.Digest, one.Commit).Set(1)
	}
}

// Alert counts an alert that was sent to a kind of receiver, and what came of it.
func (m *Metrics) Alert(receiver, result string) {
	m.watch.alerts.WithLabelValues(receiver, result).Inc()
}

// Incidents tells how many findings of a repository are not over.
func (m *Metrics) Incidents(repository string, open int) {
	m.watch.incidents.WithLabelValues(repository).Set(float64(open))
}
