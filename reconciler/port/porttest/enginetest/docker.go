// A Docker engine of the test's own: Debian's, with its own firewall rules, bridge and images.

package enginetest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// DockerEngine is a running engine.
type DockerEngine struct {
	Host   string // as in DOCKER_HOST
	Socket string // the path in it
	TLS    string // the same engine over TLS, as in DOCKER_HOST
	Certs  string // what a user of that has, as in DOCKER_CERT_PATH
	node   *node
	daemon *process
	args   []string
}

var docker *DockerEngine

// Docker is this process's engine, with overlay2, a bridge and no images. Containers on its bridge reach a server of the test at
// Address; those on the host's network reach its loopback too.
func Docker(t testing.TB) *DockerEngine {
	t.Helper()
	begun(t, "Docker", func() (err error) {
		docker, err = startDocker()
		return err
	})
	return docker
}

func startDocker() (*DockerEngine, error) {
	program, err := debian("dockerd", "docker.io")
	if err != nil {
		return nil, err
	}
	n, err := newNode("docker")
	if err != nil {
		return nil, err
	}
	atEnd(n.end)
	at := func(name string) string { return filepath.Join(n.dir, name) }
	d := &DockerEngine{Host: "unix://" + at("docker.sock"), Socket: at("docker.sock"), TLS: "tcp://127.0.0.1:" + tlsPort, Certs: at("certs"), node: n}
	if err := d.certify(at("ca")); err != nil {
		return nil, err
	}
	d.args = []string{program, "--host", d.Host, "--data-root", at("data"), "--exec-root", at("exec"), "--pidfile", at("docker.pid"),
		"--storage-driver", "overlay2", "--exec-opt", "native.cgroupdriver=cgroupfs", "--cgroup-parent", "/" + n.groups, "--log-level", "warn",
		"--host", d.TLS, "--tlsverify", "--tlscacert", filepath.Join(d.Certs, "ca.pem"), "--tlscert", at("ca/engine.crt"), "--tlskey", at("ca/engine.key")}
	return d, d.start()
}

// tlsPort is where the engine listens for callers of other machines; the network namespace is the test's own.
const tlsPort = "2376"

// certify makes the engine's certificate, and that of one who may use it.
func (d *DockerEngine) certify(dir string) error {
	ca, err := newAuthority(dir)
	if err == nil {
		err = os.MkdirAll(d.Certs, 0o700)
	}
	if err != nil {
		return err
	}
	if err := errors.Join(ca.server("engine", "127.0.0.1"), ca.client("user", "user", "users")); err != nil {
		return err
	}
	for name, from := range map[string]string{"ca.pem": "ca.crt", "cert.pem": "user.crt", "key.pem": "user.key"} {
		raw, err := os.ReadFile(filepath.Join(dir, from))
		if err == nil {
			err = os.WriteFile(filepath.Join(d.Certs, name), raw, 0o600)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *DockerEngine) start() (err error) {
	if d.daemon, err = d.node.start("dockerd", d.args[0], d.args[1:]...); err != nil {
		return err
	}
	c := d.Client()
	defer c.CloseIdleConnections()
	return d.daemon.await(time.Minute, func() error {
		resp, err := c.Get("http://docker/_ping")
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("ping: %s", resp.Status)
		}
		return nil
	})
}

// Client speaks with the engine's API.
func (d *DockerEngine) Client() *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", d.Socket)
	}}}
}

// Crash ends the engine at once, as the kernel does when memory is short. What runs in its containers goes on until Restart, when
// the engine ends what it finds.
func (d *DockerEngine) Crash() { d.daemon.kill() }

// Restart begins the engine again where it crashed, on what it kept.
func (d *DockerEngine) Restart(t testing.TB) {
	t.Helper()
	if err := d.start(); err != nil {
		t.Fatal(err)
	}
}
