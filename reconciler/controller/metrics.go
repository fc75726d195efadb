// What Prometheus reads. Adapters tell their part by the methods, handed to them as
// functions: there is no global registry.

package controller

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Metrics counts. Its methods may be called side by side.
type Metrics struct {
	registry *prometheus.Registry
	passes   *prometheus.HistogramVec
	errors   *prometheus.CounterVec
	waiting  prometheus.Gauge
	runs     *prometheus.CounterVec
	runTime  *prometheus.HistogramVec
	entries  *prometheus.GaugeVec
	git      *prometheus.CounterVec
	webhooks *prometheus.CounterVec
	up       *prometheus.GaugeVec
	room     *prometheus.CounterVec
	steps    *prometheus.CounterVec
	keys     prometheus.Gauge
	replicas prometheus.Gauge
	held     prometheus.Gauge
	watch    *watchMetrics
}

// NewMetrics registers the metrics in registry; nil makes one with those of the process.
func NewMetrics(registry *prometheus.Registry, version string) *Metrics {
	if registry == nil {
		registry = prometheus.NewRegistry()
		registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	seconds := func(name, help, label string, from float64) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: prometheus.ExponentialBuckets(from, 4, 9)}, []string{label})
	}
	m := &Metrics{
		registry: registry,
		passes:   seconds("vishwa_reconcile_duration_seconds", "How long passes took.", "kind", 0.05),
		errors:   counter("vishwa_reconcile_errors_total", "Passes and looks that failed, by kind of fault.", "kind", "reason"),
		waiting:  prometheus.NewGauge(prometheus.GaugeOpts{Name: "vishwa_queue_depth", Help: "Branches and pull requests that wait for a pass."}),
		runs:     counter("vishwa_training_runs_total", "Training runs that ended, by result.", "config", "result"),
		runTime:  seconds("vishwa_training_duration_seconds", "How long training runs took.", "config", 1),
		entries:  prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "vishwa_ledger_entries", Help: "Entries on the ledger."}, []string{"repository"}),
		git:      counter("vishwa_git_requests_total", "Requests to Git remotes.", "repository", "operation"),
		webhooks: counter("vishwa_webhooks_total", "Webhooks that came in, by what became of them.", "event", "result"),
		room:     counter("vishwa_connections_ended_total", "Connections that were ended to make room for others.", "reason"),
	}
	m.steps = counter("vishwa_step_failures_total", "Steps of passes that failed, recorded anew or not, by kind of declaration and of fault.", "repository", "kind", "reason")
	m.replicas = prometheus.NewGauge(prometheus.GaugeOpts{Name: "vishwa_replicas", Help: "Replicas of the controller that are alive, as this one sees it; 0 where it has none."})
	m.held = prometheus.NewGauge(prometheus.GaugeOpts{Name: "vishwa_repositories", Help: "Repositories that this replica works on; 0 where the controller has no replicas."})
	m.keys = prometheus.NewGauge(prometheus.GaugeOpts{Name: "vishwa_keys_open", Help: "1 where the controller's keys are open, 0 where they cannot be opened."})
	m.up = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "vishwa_deployment_up", Help: "1 where a deployment answers, 0 where it does not."}, []string{"repository", "deployment"})
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "vishwa_build_info", Help: "Always 1; the label is Vishwa's version."}, []string{"version"})
	build.WithLabelValues(version).Set(1)
	registry.MustRegister(m.passes, m.errors, m.waiting, m.runs, m.runTime, m.entries, m.git, m.webhooks, m.up, m.room, m.steps, m.keys, m.replicas, m.held, build)
	m.watch = newWatchMetrics(registry)
	for _, why := range []string{forPlaces, forBytes} {
		m.room.WithLabelValues(why)
	}
	for _, kind := range []string{"branch", "pull"} {
		m.passes.WithLabelValues(kind)
	}
	return m
}

// Trained is a run of a training config that ended.
type Trained struct {
	Repository, Config string
	Result             string // success, or its cause
	Took               time.Duration
	Entry              int64 // of the ledger
}

// Training counts a run that ended. How long a run took that is not known is zero.
func (m *Metrics) Training(t Trained) {
	with := exemplar(t.Repository, t.Entry)
	count(m.runs.WithLabelValues(t.Config, t.Result), with)
	if o, ok := m.runTime.WithLabelValues(t.Config).(prometheus.ExemplarObserver); ok && t.Took > 0 {
		o.ObserveWithExemplar(t.Took.Seconds(), with)
	}
}

// Step counts a step of a pass that failed: kind is its declaration's, in lower case.
func (m *Metrics) Step(repository, kind string, err error) {
	m.steps.WithLabelValues(repository, kind, fault.Of(err).String()).Inc()
}

func (m *Metrics) keysOpen(err error) {
	m.keys.Set(map[bool]float64{true: 1}[err == nil])
}

// shared tells how many replicas are alive, and how many repositories are this one's.
func (m *Metrics) shared(replicas, repositories int) {
	m.replicas.Set(float64(replicas))
	m.held.Set(float64(repositories))
}

// Ledger tells how long a repository's ledger is.
func (m *Metrics) Ledger(repository string, entries int) {
	m.entries.WithLabelValues(repository).Set(float64(entries))
}

// Git counts a request to a remote: operation is ls-remote, fetch, push or clone.
func (m *Metrics) Git(repository, operation string) {
	m.git.WithLabelValues(repository, operation).Inc()
}

// Handler serves the metrics, as OpenMetrics where that is asked for: it alone has exemplars.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second, EnableOpenMetrics: true})
}

// mostDeployments of a repository are told one by one.
const mostDeployments = 500

// deployments tells of each deployment of a repository whether it answers.
func (m *Metrics) deployments(repository string, all []Deployment, ill []Unserved) {
	m.up.DeletePartialMatch(prometheus.Labels{"repository": repository})
	down := map[string]bool{}
	for _, u := range ill {
		down[u.Deployment] = true
	}
	for _, d := range all[:min(len(all), mostDeployments)] {
		up := 1.0
		if down[d.Name] {
			up = 0
		}
		m.up.WithLabelValues(repository, d.Name).Set(up)
	}
}

func (m *Metrics) passed(kind string, took time.Duration, err error) {
	m.passes.WithLabelValues(kind).Observe(took.Seconds())
	if Next(err, 1) > 0 {
		m.failed(kind, err)
	}
}

func (m *Metrics) failed(kind string, err error) {
	m.errors.WithLabelValues(kind, fault.Of(err).String()).Inc()
}

func (m *Metrics) queue(delta int) {
	if delta != 0 {
		m.waiting.Add(float64(delta))
	}
}

func (m *Metrics) madeRoom(why string) { m.room.WithLabelValues(why).Inc() }

func (m *Metrics) webhook(event, result string) { m.webhooks.WithLabelValues(event, result).Inc() }
