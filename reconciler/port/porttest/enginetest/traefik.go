// Traefik, in front of containers and of pods.

package enginetest

import (
	"net"
	"testing"
	"time"
)

// entryPort is Traefik's, at Address; the network namespace is the test's own.
const entryPort = "8000"

// Entry is where Traefik takes requests.
const Entry = "http://" + Address + ":" + entryPort

// traefik begins Traefik by these words, with what each of the tests' has, and waits until it takes requests.
func (n *node) traefik(words ...string) (*process, error) {
	words = append(words, "--entrypoints.web.address="+Address+":"+entryPort, "--global.checknewversion=false", "--global.sendanonymoususage=false", "--log.level=WARN")
	p, err := n.start("traefik", words[0], words[1:]...)
	if err != nil {
		return nil, err
	}
	return p, p.await(time.Minute, func() error {
		c, err := net.Dial("tcp", Address+":"+entryPort)
		if err == nil {
			c.Close()
		}
		return err
	})
}

// Traefik has Traefik follow the labels of the engine's containers, until the test ends.
func (d *DockerEngine) Traefik(t testing.TB) {
	t.Helper()
	program, err := tool("traefik")
	if err != nil {
		t.Fatal(err)
	}
	p, err := d.node.traefik(program, "--providers.docker.endpoint="+d.Host, "--providers.docker.exposedbydefault=false")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("Traefik said:\n%s", p.tail())
		}
	})
}
