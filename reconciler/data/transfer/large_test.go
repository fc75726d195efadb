package transfer

import (
	"bytes"
	"context"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
	"github.com/vishwaops/vishwa/reconciler/machine/bucket"
	"github.com/vishwaops/vishwa/reconciler/machine/dvccache"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/peers"
)

// counted counts the bytes of answers.
type counted struct {
	http.ResponseWriter
	n *atomic.Int64
}

func (c counted) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.n.Add(int64(n))
	return n, err
}

// distant is a remote over HTTP with one large object.
func distant(t *testing.T, data []byte) (*peers.Between, *Remote, dvc.OID) {
	t.Helper()
	between := peers.NewBetween(t, peers.S3())
	b, err := bucket.S3(bucket.S3Options{Bucket: "remote", Endpoint: between.URL, AccessKey: "x", SecretKey: "x"})
	if err != nil {
		t.Fatal(err)
	}
	oid := dvccache.SumOf(data).OID
	r := &Remote{Name: "far", Bucket: b, Pieces: true}
	if _, err := b.Put(t.Context(), r.key(oid), bytes.NewReader(data), int64(len(data))); err != nil {
		t.Fatal(err)
	}
	return between, r, oid
}

func opened(t *testing.T, root string) *dvccache.Cache {
	t.Helper()
	c, err := dvccache.Open(root, dvccache.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func someBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// halfway fetches until some of it is safe, and then no more.
func halfway(t *testing.T, between *peers.Between, r *Remote, into *dvccache.Cache, oid dvc.OID, come int64) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var sent atomic.Int64
	var begun atomic.Bool // the first piece was sent: what counts has no gap before it
	between.Meddle(func(w http.ResponseWriter, q *http.Request, next http.Handler) {
		next.ServeHTTP(counted{w, &sent}, q)
		if strings.HasPrefix(q.Header.Get("Range"), "bytes=0-") {
			begun.Store(true)
		}
		if begun.Load() && sent.Load() > come {
			cancel()
		}
	})
	if _, err := r.Fetch(ctx, into, []dvc.OID{oid}, nil); fault.Of(err) != fault.Cancelled || err == nil {
		t.Fatalf("%v, want Cancelled", err)
	}
	if into.Has(oid) {
		t.Fatal("half of it looks whole")
	}
}

func TestALargeFetchGoesOnWhereItWasCutOff(t *testing.T) {
	data := someBytes(128 << 20)
	between, r, oid := distant(t, data)
	root := t.TempDir()
	halfway(t, between, r, opened(t, root), oid, 90<<20)
	// Another program begins, which sweeps what was left behind.
	var sent atomic.Int64
	between.Meddle(func(w http.ResponseWriter, q *http.Request, next http.Handler) {
		next.ServeHTTP(counted{w, &sent}, q)
	})
	c := opened(t, root)
	if _, err := r.Fetch(t.Context(), c, []dvc.OID{oid}, nil); err != nil {
		t.Fatal(err)
	}
	if sent.Load() > int64(len(data))*31/32 { // some of what was sent may not have been read
		t.Errorf("%d bytes were sent again of %d", sent.Load(), len(data))
	}
	if sum, err := c.Check(oid); err != nil || sum.Size != int64(len(data)) {
		t.Errorf("%+v, %v", sum, err)
	}
	left(t, root)
}

// halves are what is under way.
func halves(t *testing.T, root string) []os.DirEntry {
	t.Helper()
	names, err := os.ReadDir(filepath.Join(root, "files", "md5", ".vishwa", "half"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return names
}

// left insists that nothing is under way.
func left(t *testing.T, root string) {
	t.Helper()
	if n := len(halves(t, root)); n > 0 {
		t.Errorf("%d halves are left", n)
	}
}

// TestALargeObjectThatIsAnother is refused, and what came of it is forgotten.
func TestALargeObjectThatIsAnother(t *testing.T) {
	data := someBytes(large + 1)
	_, r, oid := distant(t, data)
	data[large/2] ^= 1
	if _, err := r.Bucket.Put(t.Context(), r.key(oid), bytes.NewReader(data), int64(len(data))); err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	c := opened(t, root)
	if _, err := r.Fetch(t.Context(), c, []dvc.OID{oid}, nil); fault.Of(err) != fault.Corrupt || err == nil {
		t.Errorf("%v, want Corrupt", err)
	}
	if c.Has(oid) {
		t.Error("it was kept")
	}
	left(t, root)
}

// TestTwoFetchOneLargeObject: neither spoils what the other has, and both have it.
func TestTwoFetchOneLargeObject(t *testing.T) {
	data := someBytes(large + 1)
	_, r, oid := distant(t, data)
	root := t.TempDir()
	var both sync.WaitGroup
	for range 3 {
		both.Go(func() {
			if _, err := r.Fetch(t.Context(), opened(t, root), []dvc.OID{oid}, nil); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	if _, err := opened(t, root).Check(oid); err != nil {
		t.Error(err)
	}
	left(t, root)
}

// TestHalvesAreAbandoned: one goes when its object came in another way, or by will.
func TestHalvesAreAbandoned(t *testing.T) {
	data := someBytes(128 << 20)
	between, r, oid := distant(t, data)
	root := t.TempDir()
	c := opened(t, root)
	halfway(t, between, r, c, oid, 90<<20)
	if opened(t, root); len(halves(t, root)) != 1 {
		t.Fatal("it is gone before the next try")
	}
	if _, _, _, err := c.Insert(t.Context(), bytes.NewReader(data), oid); err != nil {
		t.Fatal(err)
	}
	opened(t, root)
	left(t, root)
}
