// How long it takes until a model is in a registry, next to oras and crane, and how much memory.

package packager

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/beside"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/registrytest"
)

// packed is a model of two files, in a folder and in a store, and a registry that has nothing of it before each run.
type packed struct {
	b     *testing.B
	dir   string
	files map[string]digest.Digest
	to    *registrytest.Registry
}

func (p *packed) emptied() {
	if err := os.RemoveAll(filepath.Join(p.to.Folder, "docker")); err != nil {
		p.b.Fatal(err)
	}
}

// BenchmarkPackAndPush packs a model of 2 GiB in two files and sends it. crane packs a tar; oras sends the files as they are.
func BenchmarkPackAndPush(b *testing.B) {
	mib := beside.Size(2048)
	p := &packed{b, filepath.Join(b.TempDir(), "model"), map[string]digest.Digest{}, registrytest.New(b, "", "")}
	if err := os.Mkdir(p.dir, 0o755); err != nil {
		b.Fatal(err)
	}
	noise := rand.NewChaCha8([32]byte{1})
	for _, name := range []string{"one.bin", "two.bin"} {
		f, err := os.Create(filepath.Join(p.dir, name))
		if err == nil {
			p.files[name], _, err = digest.Reader(io.TeeReader(io.LimitReader(noise, int64(mib)<<19), f))
		}
		if err != nil {
			b.Fatal(err)
		}
		f.Close()
	}
	with := packaging(b, p.to.Address, nil, nil)
	art, err := artifact.PutTree(b.Context(), with.Store, p.dir)
	if err != nil {
		b.Fatal(err)
	}
	ours := beside.Side{Name: "vishwa", Before: p.emptied, Goals: map[string]float64{"peak-MiB": 200}, Run: func() beside.Cost {
		return beside.Self(func() {
			if _, err := with.Packager.Push(b.Context(), port.Package{At: with.At, Name: "bench", Model: art}); err != nil {
				b.Fatal(err)
			}
		})
	}}
	oras := beside.Command{B: b, Dir: p.dir, Env: os.Environ(), Args: []string{beside.Program(b, "oras"), "push", "--plain-http", p.to.Address + "/team/model:v1", "one.bin", "two.bin"}}.Side("oras push")
	oras.Before, oras.Goals = p.emptied, map[string]float64{"wall-ratio": 1.5}
	bare := beside.Side{Name: "the server alone", Before: p.emptied, Run: func() beside.Cost { return beside.Self(p.bare) }}
	beside.Compare(b, beside.Case{Work: fmt.Sprintf("a model of %d MiB in two files into a registry", mib), Ours: ours, Others: []beside.Side{oras, p.crane(), bare}, Asks: beside.Serving("http://" + p.to.Address)})
}

// crane appends tars, which have to be made before.
func (p *packed) crane() beside.Side {
	crane, tars := beside.Program(p.b, "crane"), p.b.TempDir()
	run := func(dir string, args ...string) beside.Cost {
		_, cost := beside.Command{B: p.b, Dir: dir, Env: os.Environ(), Args: args}.Run()
		return cost
	}
	return beside.Side{Name: "tar and crane append", Before: p.emptied, Goals: map[string]float64{"wall-ratio": 1.5}, Run: func() (all beside.Cost) {
		for _, name := range []string{"one", "two"} {
			all = all.Plus(run(filepath.Dir(p.dir), "tar", "-cf", filepath.Join(tars, name+".tar"), "model/"+name+".bin"))
		}
		all = all.Plus(run(tars, crane, "append", "--oci-empty-base", "-f", "one.tar", "-f", "two.tar", "-t", p.to.Address+"/team/model:v1"))
		for _, name := range []string{"one", "two"} {
			_ = os.Remove(filepath.Join(tars, name+".tar"))
		}
		return all
	}}
}

// bare puts each file as a blob, over a connection of its own, and does the least that a client can: the kernel hands the file to the connection, its digest was known
// before, and nothing is read or packed. What it takes is what the server does.
func (p *packed) bare() {
	var g errgroup.Group
	for name, is := range p.files {
		g.Go(func() error {
			begun, err := http.Post("http://"+p.to.Address+"/v2/team/bare/blobs/uploads/", "", nil)
			if err != nil {
				return err
			}
			begun.Body.Close()
			to, err := begun.Location()
			if err != nil {
				return err
			}
			q := to.Query()
			q.Set("digest", string(is))
			to.RawQuery = q.Encode()
			in, err := os.Open(filepath.Join(p.dir, name))
			if err != nil {
				return err
			}
			defer in.Close()
			st, err := in.Stat()
			if err != nil {
				return err
			}
			line, err := net.Dial("tcp", p.to.Address)
			if err != nil {
				return err
			}
			defer line.Close()
			if _, err = fmt.Fprintf(line, "PUT %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n", to.RequestURI(), to.Host, st.Size()); err == nil {
				_, err = io.CopyN(line, in, st.Size())
			}
			if err != nil {
				return err
			}
			r, err := http.ReadResponse(bufio.NewReader(line), nil)
			if err == nil && r.StatusCode != http.StatusCreated {
				err = fmt.Errorf("%s: %s", name, r.Status)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		p.b.Fatal(err)
	}
}
