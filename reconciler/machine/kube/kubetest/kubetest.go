// Package kubetest is a Kubernetes cluster in one process, for tests: an API server with the
// objects that Vishwa uses, with uids, versions, watches, rights and strict fields, and beside
// it as much of the controllers as tells whether a client understands them: Jobs, a scheduler,
// a kubelet that carries out containers as processes of this machine, a garbage collector,
// Kueue's queues, Kubeflow's TrainJobs, KServe's InferenceServices, Seldon's Models, Servers and SeldonDeployments. What it says, it says in the words of the real ones
// (Kubernetes 1.35, Kueue 0.17, Trainer 2.2); the same suites run on those.
package kubetest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	rbacv1 "k8s.io/api/rbac/v1"
)

// Namespace is the one that there is, besides kube-system.
const Namespace = "team-a"

// quiet is how long nothing is looked at where nothing changed: what goes by the clock alone is seen that late.
const quiet = 100 * time.Millisecond

// Options are what a cluster is; the zero value has one node of 8 cores, 16Gi and no GPU.
type Options struct {
	CPU, Memory string
	GPUs        int
	Labels      map[string]string // of the node
	Images      []string          // that can be pulled
	Queues      map[string]string // LocalQueues, and how many cores each has
	// Programs are what is begun here in place of the first word of a command, for pods that go on for ever.
	Programs map[string][]string
	Packages map[string]string  // images of data that pods mount, each the folder that is in it
	Lacks    []string           // resources that the cluster does not have
	Runtimes map[string]Runtime // of KServe, by name
	Canaries bool               // KServe is 0.20 or newer: an InferenceService has spec.canary
	NoInit   bool               // Knative takes no containers that run before the others, as it is set up at first
	OwnHost  string             // that Knative gives its own routes; "": by its usual domain-template
	// Seldon is how the servers of Seldon load a model: the state of it, such as ModelAvailable, and why.
	Seldon func(storageURI string, requirements []string) (state, why string)
	// ServerConfigs are those of Seldon, by what each offers.
	ServerConfigs map[string][]string
	Page          int // of a list; zero is 3, so that few objects are several pages
	// Rules are the rights of the client; nil is every right.
	Rules []rbacv1.PolicyRule
}

// Cluster is one.
type Cluster struct {
	Server *httptest.Server

	t     testing.TB
	o     Options
	dir   string
	mu    sync.Mutex
	store store
	known map[string]reading // as they were when they were last read, by key

	hashes map[*appsv1.Deployment]string // of their templates
	nodes  kubelet

	stopped  map[string]bool      // controllers
	ways     []way                // of requests, as its Gateway knows them
	coming   []coming             // from when on they go so
	carries  []way                // and how they go now
	heard    map[string]time.Time // since when there are the Services that its Gateway hears of
	ksvcs    map[string]*knativeService
	cordoned bool
	quota    string // of the namespace, where its quota of pods is used up
	used     map[string]bool
	asked    atomic.Int64
	away     atomic.Bool
	unknown  atomic.Bool
	withheld map[string]bool // resources that the client may not list
	after    atomic.Pointer[func(*http.Request)]
	is       atomic.Pointer[string] // its version, where it tells one
	rule     atomic.Pointer[func(string, map[string]any) string]
	follows  func() []byte
	followed map[string]bool // what was applied of it
	applied  struct {        // when it was last looked at
		raw     []byte
		version int
		docs    map[string]appliedDoc // by their text
	}
}

// New starts one, and stops it with the test.
func New(t testing.TB, o Options) *Cluster {
	t.Helper()
	if o.CPU == "" {
		o.CPU = "8"
	}
	if o.Memory == "" {
		o.Memory = "16Gi"
	}
	c := &Cluster{t: t, o: o, dir: t.TempDir(), used: map[string]bool{}, known: map[string]reading{}, hashes: map[*appsv1.Deployment]string{}, stopped: map[string]bool{}, withheld: map[string]bool{}}
	c.store.init()
	c.nodes.init(c)
	for _, name := range []string{"kube-system", Namespace} {
		c.store.putObject("namespaces", map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name}})
	}
	c.Server = httptest.NewServer(http.HandlerFunc(c.serve))
	stop, done := make(chan struct{}), make(chan struct{})
	go func() { // level-triggered: it looks at everything after each change, and now and then
		defer close(done)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		seen, last := -1, time.Now()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			begun := time.Now()
			c.mu.Lock()
			if version := c.store.version; version != seen || c.nodes.news.Swap(false) || begun.Sub(last) > quiet {
				c.step() // what it changes is looked at by the next
				seen, last = version, begun
			} else {
				c.probes()
			}
			c.mu.Unlock()
			if took := time.Since(begun); took > 50*time.Millisecond { // of thousands of objects: who asks has a turn, too
				time.Sleep(3 * took)
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		<-done
		c.nodes.close()
		c.locked(c.store.close)
		c.Server.CloseClientConnections()
		c.Server.Close()
	})
	return c
}

// step has every controller look once.
func (c *Cluster) step() {
	c.follow()
	c.queues()
	c.trainJobs()
	c.jobs()
	c.inferenceServices()
	c.seldon()
	c.seldonDeployments()
	c.deployments()
	c.endpoints()
	c.routes()
	c.schedule()
	c.runPods()
	c.collect()
}

// Kubeconfig writes a kubeconfig with one context, double, and says where.
func (c *Cluster) Kubeconfig() string {
	file := filepath.Join(c.dir, "kubeconfig")
	config := map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": "double",
		"clusters": []any{map[string]any{"name": "double", "cluster": map[string]any{"server": c.Server.URL}}},
		"contexts": []any{map[string]any{"name": "double", "context": map[string]any{"cluster": "double", "user": "vishwa"}}},
		"users":    []any{map[string]any{"name": "vishwa", "user": map[string]any{}}},
	}
	raw, err := json.Marshal(config)
	if err == nil {
		err = os.WriteFile(file, raw, 0o600)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return file
}

// Asked counts the requests so far.
func (c *Cluster) Asked() int { return int(c.asked.Load()) }

// Outage has the server cut off whoever asks, until what it returns is called.
func (c *Cluster) Outage() (end func()) {
	c.away.Store(true)
	c.Server.CloseClientConnections()
	return func() { c.away.Store(false) }
}

// Expire has the server know its client no more, as when its credentials have ended, until what it returns is called.
func (c *Cluster) Expire() (end func()) {
	c.unknown.Store(true)
	return func() { c.unknown.Store(false) }
}

// Withhold has the client not list a resource any more, until what it returns is called.
func (c *Cluster) Withhold(resource string) (end func()) {
	c.locked(func() { c.withheld[resource] = true })
	return func() { c.locked(func() { delete(c.withheld, resource) }) }
}

// Upgrade has the server be of a version, which it tells.
func (c *Cluster) Upgrade(version string) { c.is.Store(&version) }

// After is called when a request was carried out and before it is answered; a panic with
// http.ErrAbortHandler leaves it unanswered.
func (c *Cluster) After(f func(*http.Request)) { c.after.Store(&f) }

// Used are the rights that were used, as verb and resource: create jobs.batch.
func (c *Cluster) Used() map[string]bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[string]bool{}
	for k := range c.used {
		out[k] = true
	}
	return out
}

// Cordon has the scheduler use the node no more, until what it returns is called.
func (c *Cluster) Cordon() (end func()) {
	c.locked(func() { c.cordoned = true })
	return func() { c.locked(func() { c.cordoned = false }) }
}

// UseUp has the namespace's quota of pods used up, until what it returns is called.
func (c *Cluster) UseUp(quota string) (end func()) {
	c.locked(func() { c.quota = quota })
	return func() { c.locked(func() { c.quota = "" }) }
}

// Anew makes the cluster another one at the same address: nothing that was there is there.
func (c *Cluster) Anew() {
	c.locked(func() {
		for _, key := range c.store.keys("") {
			c.store.drop(key)
		}
		c.store.putObject("namespaces", map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "kube-system"}})
		c.store.putObject("namespaces", map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": Namespace}})
	})
}

// Put makes an object behind the client's back. Its resource is as in a path: jobs.
func (c *Cluster) Put(resource string, object map[string]any) {
	c.locked(func() { c.store.putObject(resource, object) })
}

// Objects are all of a resource, as JSON, by name.
func (c *Cluster) Objects(resource string) map[string]string {
	out := map[string]string{}
	c.locked(func() {
		for _, key := range c.store.keys(resource) {
			raw, _ := json.Marshal(c.store.objects[key])
			out[name(c.store.objects[key])] = string(raw)
		}
	})
	return out
}

// Delete takes an object away as kubectl does, behind the client's back.
func (c *Cluster) Delete(resource, object string) {
	c.locked(func() { c.remove(resource, object) })
}

func (c *Cluster) locked(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

func (c *Cluster) fail(err error, format string, args ...any) {
	if err != nil {
		panic(fmt.Sprintf("kubetest: "+format+": %v", append(args, err)...))
	}
}
