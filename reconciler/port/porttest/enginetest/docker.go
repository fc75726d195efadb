// A Docker engine of the test's own: Debian's, with its own firewall rules, bridge and images.

package enginetest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
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

// SSH is the engine's address as a user of another machine has it, through Debian's own sshd, and the home of that user.
func (d *DockerEngine) SSH(t testing.TB) (host, home string) {
	t.Helper()
	home = filepath.Join(d.node.dir, "home")
	begun(t, "sshd", func() error { return d.startSSH(filepath.Join(home, ".ssh")) })
	return "ssh://root@127.0.0.1:" + sshPort + d.Socket, home
}

// sshPort is where sshd listens; the network namespace is the test's own.
const sshPort = "2222"

func (d *DockerEngine) startSSH(keys string) error {
	program, err := debian("sshd", "openssh-server")
	if err != nil {
		return err
	}
	own := filepath.Join(d.node.dir, "ssh_host")
	err = os.MkdirAll(keys, 0o700)
	for _, file := range []string{own, filepath.Join(keys, "id_ed25519")} {
		if err == nil {
			err = exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file).Run()
		}
	}
	if err != nil {
		return fmt.Errorf("make keys for SSH: %w", err)
	}
	public, err := os.ReadFile(own + ".pub")
	if err == nil {
		err = os.WriteFile(filepath.Join(keys, "known_hosts"), append([]byte("[127.0.0.1]:"+sshPort+" "), public...), 0o600)
	}
	if err != nil {
		return err
	}
	// It wants an empty folder at /run/sshd, which is the node's own.
	sshd, err := d.node.start("sshd", "/bin/sh", "-c", `mkdir -p /run/sshd && exec "$0" "$@"`, program, "-D", "-e", "-f", "/dev/null", "-o", "ListenAddress=127.0.0.1:"+sshPort, "-o", "HostKey="+own,
		"-o", "AuthorizedKeysFile="+filepath.Join(keys, "id_ed25519.pub"), "-o", "StrictModes=no", "-o", "UsePAM=no", "-o", "PidFile=none",
		"-o", "PermitRootLogin=prohibit-password", "-o", "PasswordAuthentication=no")
	if err != nil {
		return err
	}
	return sshd.await(10*time.Second, func() error {
		c, err := net.Dial("tcp", "127.0.0.1:"+sshPort)
		if err == nil {
			c.Close()
		}
		return err
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
