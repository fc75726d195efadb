// Package enginetest gives tests real container engines: Docker, and a cluster of Kubernetes with one node.
//
// A package that wants one says so once:
//
//	func TestMain(m *testing.M) { os.Exit(enginetest.Main(m)) }
//
// and each of its tests asks for the engine by name; the first who asks starts it, the others share it, Main ends it:
//
//	func TestDockerRuns(t *testing.T) {
//		engine := enginetest.Docker(t)           // skips without VISHWA_REAL, fails where something is missing
//		image := enginetest.Python(t)            // by digest, from a registry that the engine may pull from
//		store := enginetest.MinIO(t)             // one address for this process, for containers and for pods
//		client.New(client.WithHost(engine.Host)) // a socket of its own, API 1.41
//	}
//
//	func TestKubernetesRuns(t *testing.T) {
//		cluster := enginetest.Cluster(t)
//		clientcmd.BuildConfigFromFlags("", cluster.Kubeconfig)
//		cluster.Kueue(t)   // where a test wants queues
//		cluster.Trainer(t) // where it wants TrainJobs, and JobSets
//		cluster.Kubectl(t, manifest, "create", "-n", "team", "-f", "-")
//		cluster.Crash(t, "kube-apiserver")
//		cluster.Restart(t, "kube-apiserver")
//	}
//
// Name such tests TestDocker..., TestKubernetes... or TestKubeflow..., and add the package to ENGINES in the Makefile: make test-docker
// and its sisters choose by these names. Make a namespace for each test: the cluster is one for all. A program of ours comes into a
// container by Push(t, "vishwa/worker", Image{Programs: {"/vishwa": path}}), as a base, or as a volume of the type image.
//
// With VISHWA_REAL set, Main moves the whole test process into a network namespace of its own: its loopback, its ports and its
// firewall are nobody else's, and there is no way out. So a test needs no dialer of its own, and neither do the programs that it
// starts. A server that listens at Address, as in net.Listen("tcp", enginetest.Address+":0"), is reached by containers and pods under
// that same address; what listens on 127.0.0.1 is reached from this process, its programs, and what runs with the host's network.
//
// Engines run below a first process of their own: when it ends, or this process does, in whatever way, the kernel ends the engines,
// their containers, their mounts and their networks with it. What they say is in files of their names below the folder vishwa-ENGINE-PID-*
// of the temporary folder, while they run.
package enginetest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// Address is where containers and pods reach a server of the test.
const Address = "10.231.0.1"

// shared are the engines of this process, which its tests share.
var shared struct {
	mu    sync.Mutex
	ready bool // Main is in charge
	ends  []func() error
	once  map[string]error // what became of each that was begun
}

// Main runs the tests and ends the engines that they asked for. It is for TestMain.
func Main(m *testing.M) int {
	if os.Getenv(firstEnv) != "" {
		first()
	}
	if os.Getenv("VISHWA_REAL") == "" || os.Geteuid() != 0 {
		return m.Run()
	}
	if err := enter(); err != nil {
		fmt.Fprintln(os.Stderr, "enginetest: enter a network namespace:", err)
		return 1
	}
	shared.ready = true
	code := m.Run()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	for i := len(shared.ends) - 1; i >= 0; i-- {
		if err := shared.ends[i](); err != nil {
			fmt.Fprintln(os.Stderr, "enginetest: end an engine:", err)
			code = max(code, 1)
		}
	}
	return code
}

// begun does what begins something that the tests share, at most once; who comes later learns how that went.
func begun(t testing.TB, name string, begin func() error) {
	t.Helper()
	real(t)
	shared.mu.Lock()
	defer shared.mu.Unlock()
	err, done := shared.once[name]
	if !done {
		err = begin()
		if shared.once == nil {
			shared.once = map[string]error{}
		}
		shared.once[name] = err
	}
	if err != nil {
		t.Fatalf("begin %s: %v", name, err)
	}
}

// atEnd has Main do something after the tests. begun holds the lock.
func atEnd(do func() error) { shared.ends = append(shared.ends, do) }

// real skips a test that is not to meet real engines, and fails one that cannot.
func real(t testing.TB) {
	t.Helper()
	switch {
	case os.Getenv("VISHWA_REAL") == "":
		t.Skip("a real engine takes minutes to build: run make test-docker, make test-kubernetes or make test-kubeflow")
	case os.Geteuid() != 0:
		t.Fatal("an engine of the tests' own needs namespaces and mounts: run this as root")
	case !shared.ready:
		t.Fatal("nobody would end the engine: have TestMain call enginetest.Main")
	}
}

// tool finds a program that make built into VISHWA_TOOLS.
func tool(name string) (string, error) {
	found, err := exec.LookPath(filepath.Join(os.Getenv("VISHWA_TOOLS"), name))
	if err != nil {
		return "", fmt.Errorf("%s is missing: make test-docker, make test-kubernetes and make test-kubeflow build what they need", name)
	}
	return filepath.Abs(found)
}

// debian finds a program that Debian brings.
func debian(name, pkg string) (string, error) {
	for _, at := range []string{name, filepath.Join("/usr/sbin", name), filepath.Join("/sbin", name)} {
		if found, err := exec.LookPath(at); err == nil {
			return found, nil
		}
	}
	return "", fmt.Errorf("%s is missing: apt-get install %s", name, pkg)
}
