// A cluster of Kubernetes with one node, each of its programs the real one.

package enginetest

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Kubernetes is a running cluster.
type Kubernetes struct {
	Kubeconfig string // the path of a file that lets in its administrator
	node       *node
	program    string // all programs of Kubernetes in one
	etcd       string
	containerd string
	coredns    string
	keys       *authority
	procs      map[string]*process
}

var cluster *Kubernetes

// The cluster's networks lie within the namespace of this process alone.
const (
	services = "10.96.0.0/16"
	service1 = "10.96.0.1" // the API server's, as pods see it
	pods     = "10.244.0.0/24"
)

// Cluster is this process's cluster. Its node is ready, its namespaces are empty, names of services are answered. Pods reach a
// server of the test at Address, and so does this process.
func Cluster(t testing.TB) *Kubernetes {
	t.Helper()
	begun(t, "Kubernetes", func() (err error) {
		cluster, err = startCluster()
		return err
	})
	return cluster
}

func startCluster() (*Kubernetes, error) {
	k := &Kubernetes{procs: map[string]*process{}}
	var pause string
	var err error
	for name, at := range map[string]*string{"kubeone": &k.program, "etcd": &k.etcd, "containerd": &k.containerd, "coredns": &k.coredns, "pause": &pause} {
		var no error
		*at, no = tool(name)
		err = errors.Join(err, no)
	}
	for name, pkg := range map[string]string{"runc": "runc", "iptables": "iptables", "/usr/lib/cni/bridge": "containernetworking-plugins"} {
		_, no := debian(name, pkg)
		err = errors.Join(err, no)
	}
	if err != nil {
		return nil, err
	}
	sandbox, err := (Image{Programs: map[string]string{"/pause": pause}, Entrypoint: []string{"/pause"}}).push("vishwa/pause")
	if err != nil {
		return nil, err
	}
	if k.node, err = newNode("kubernetes"); err != nil {
		return nil, err
	}
	atEnd(k.node.end)
	k.Kubeconfig = k.at("kubeconfig")
	return k, errors.Join(k.makeKeys(), k.configure(sandbox), k.start())
}

func (k *Kubernetes) at(name string) string { return filepath.Join(k.node.dir, name) }

// makeKeys signs for the API server, the kubelet, and the administrator, who is every program of the control plane too.
func (k *Kubernetes) makeKeys() (err error) {
	if k.keys, err = newAuthority(k.at("keys")); err != nil {
		return err
	}
	err = errors.Join(
		k.keys.server("apiserver", Address, "127.0.0.1", service1, "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"),
		k.keys.server("kubelet", Address, "node1"),
		k.keys.client("admin", "admin", "system:masters"),
		k.keys.client("node1", "system:node:node1", "system:nodes"),
		k.keys.client("service-accounts", "service-accounts", "nobody"))
	return errors.Join(err, k.kubeconfig(k.Kubeconfig, "admin"), k.kubeconfig(k.at("node1.kubeconfig"), "node1"))
}

// kubeconfig writes a file that lets a user in who has a certificate.
func (k *Kubernetes) kubeconfig(file, user string) error {
	in := func(name string) string {
		raw, err := os.ReadFile(k.keys.file(name))
		if err != nil {
			panic(err) // it was written a moment ago
		}
		return base64.StdEncoding.EncodeToString(raw)
	}
	return os.WriteFile(file, fmt.Appendf(nil, `apiVersion: v1
kind: Config
clusters: [{name: tests, cluster: {server: "https://%s:6443", certificate-authority-data: %s}}]
users: [{name: %[3]s, user: {client-certificate-data: %[4]s, client-key-data: %[5]s}}]
contexts: [{name: tests, context: {cluster: tests, user: %[3]s}}]
current-context: tests
`, Address, in("ca.crt"), user, in(user+".crt"), in(user+".key")), 0o600)
}

// programs are the cluster's, in the order in which they need one another, and where each answers once it runs.
var programs = []struct{ name, network, address string }{
	{"etcd", "tcp", "127.0.0.1:2379"},
	{"containerd", "unix", "containerd.sock"},
	{"kube-apiserver", "tcp", Address + ":6443"},
	{"kube-controller-manager", "tcp", "127.0.0.1:10257"},
	{"kube-scheduler", "tcp", "127.0.0.1:10259"},
	{"kubelet", "tcp", "127.0.0.1:10248"},
	{"kube-proxy", "tcp", "127.0.0.1:10256"},
	{"coredns", "tcp", Address + ":53"},
}

// start begins every program, and waits until the node takes pods.
func (k *Kubernetes) start() error {
	for _, p := range programs {
		if err := k.run(p.name); err != nil {
			return err
		}
		// Whoever has the API server needs no other; the rest may begin side by side.
		if p.name == "etcd" || p.name == "containerd" || p.name == "kube-apiserver" {
			if err := k.await(p.name); err != nil {
				return err
			}
		}
	}
	for _, p := range programs {
		if err := k.await(p.name); err != nil {
			return err
		}
	}
	err := k.procs["kubelet"].await(3*time.Minute, func() error {
		return k.try("", "wait", "--for=condition=Ready", "node/node1", "--timeout=1s")
	})
	if err != nil {
		return err
	}
	return k.procs["kube-controller-manager"].await(time.Minute, func() error { return k.try("", "get", "serviceaccount", "default") })
}

// run begins one of the cluster's programs.
func (k *Kubernetes) run(name string) (err error) {
	words := k.words(name)
	k.procs[name], err = k.node.start(name, words[0], words[1:]...)
	return err
}

// await waits until one of the cluster's programs answers.
func (k *Kubernetes) await(name string) error {
	for _, p := range programs {
		if p.name != name {
			continue
		}
		if p.network == "unix" {
			p.address = k.at(p.address)
		}
		err := k.procs[name].await(3*time.Minute, func() error {
			c, err := net.Dial(p.network, p.address)
			if err != nil {
				return err
			}
			return c.Close()
		})
		if err != nil || name != "kube-apiserver" {
			return err
		}
	}
	return k.awaitAPI()
}

// awaitAPI waits until the API server says that it is ready.
func (k *Kubernetes) awaitAPI() error {
	pair, err := tls.LoadX509KeyPair(k.keys.file("admin.crt"), k.keys.file("admin.key"))
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AddCert(k.keys.cert)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	c := &http.Client{Transport: transport, Timeout: 5 * time.Second}
	return k.procs["kube-apiserver"].await(3*time.Minute, func() error {
		resp, err := c.Get("https://" + Address + ":6443/readyz")
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("readyz: %s", resp.Status)
		}
		return nil
	})
}

// Crash ends one of the cluster's programs at once: etcd, kube-apiserver, kube-controller-manager, kube-scheduler, containerd,
// kubelet, kube-proxy or coredns. Pods go on.
func (k *Kubernetes) Crash(t testing.TB, program string) {
	t.Helper()
	if k.procs[program] == nil {
		t.Fatalf("the cluster has no program %q", program)
	}
	k.procs[program].kill()
}

// Restart begins a program again that crashed, and waits until it answers. What it needs is to run: etcd for the API server, and that
// for the others; containerd for the kubelet.
func (k *Kubernetes) Restart(t testing.TB, program string) {
	t.Helper()
	if k.procs[program] == nil {
		t.Fatalf("the cluster has no program %q", program)
	}
	if err := errors.Join(k.run(program), k.await(program)); err != nil {
		t.Fatal(err)
	}
}

// Kubectl runs kubectl as the administrator, gives it what it is to read, and fails the test where it fails.
func (k *Kubernetes) Kubectl(t testing.TB, in string, args ...string) string {
	t.Helper()
	out, err := k.kubectl(in, args...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return out
}

// Await runs kubectl until it says what is wanted, and fails the test where it does not within the time.
func (k *Kubernetes) Await(t testing.TB, limit time.Duration, want string, args ...string) {
	t.Helper()
	late := time.Now().Add(limit)
	for {
		out, err := k.kubectl("", args...)
		if err == nil && strings.TrimSpace(out) == want {
			return
		}
		if time.Now().After(late) {
			t.Fatalf("kubectl %s: %q and not %q after %s (%v)\n%s", strings.Join(args, " "), out, want, limit, err, k.story())
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// story tells what happened of late, for who waited in vain.
func (k *Kubernetes) story() string {
	pods, _ := k.kubectl("", "get", "pods", "-A", "-o", "wide")
	events, _ := k.kubectl("", "get", "events", "-A", "--sort-by=.lastTimestamp")
	lines := strings.Split(events, "\n")
	return pods + strings.Join(lines[max(0, len(lines)-15):], "\n")
}

func (k *Kubernetes) try(in string, args ...string) error {
	_, err := k.TryKubectl(in, args...)
	return err
}

// TryKubectl runs kubectl as the administrator, gives it what it is to read, and tells what it says.
func (k *Kubernetes) TryKubectl(in string, args ...string) (string, error) {
	out, err := k.kubectl(in, args...)
	if err != nil {
		return out, fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return out, nil
}

func (k *Kubernetes) kubectl(in string, args ...string) (string, error) {
	cmd := exec.Command(k.program, append([]string{"kubectl", "--kubeconfig", k.Kubeconfig}, args...)...)
	cmd.Stdin = strings.NewReader(in)
	cmd.Env = append(os.Environ(), "HOME="+k.node.dir) // it keeps what it learns of the API there
	out, err := cmd.CombinedOutput()
	return string(out), err
}
