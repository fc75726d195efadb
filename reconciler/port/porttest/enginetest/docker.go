// A Docker engine of the test's own: Debian's, with its own firewall rules, bridge and images.

package enginetest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"
)

// DockerEngine is a running engine.
type DockerEngine struct {
	Host   string // as in DOCKER_HOST
	Socket string // the path in it
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
	d := &DockerEngine{Host: "unix://" + at("docker.sock"), Socket: at("docker.sock"), node: n}
	d.args = []string{program, "--host", d.Host, "--data-root", at("data"), "--exec-root", at("exec"), "--pidfile", at("docker.pid"),
		"--storage-driver", "overlay2", "--exec-opt", "native.cgroupdriver=cgroupfs", "--cgroup-parent", "/" + n.groups, "--log-level", "warn"}
	return d, d.start()
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
