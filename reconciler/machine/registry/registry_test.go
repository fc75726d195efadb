// A registry keeps the promises of a bucket: one in this process, and a real one.

package registry

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/peers"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/registrytest"
)

// atRegistry is the repository name of the registry at url, with small parts and short waits.
func atRegistry(t testing.TB, url, name string, change ...func(*Options)) port.Bucket {
	t.Helper()
	o := Options{URL: "oci://" + strings.TrimPrefix(strings.TrimPrefix(url, "https://"), "http://") + "/" + name, pause: time.Millisecond, least: 1000}
	for _, c := range change {
		c(&o)
	}
	b, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// vars are variables of an environment.
func vars(set map[string]string) func(*Options) {
	return func(o *Options) {
		o.Lookup = func(name string) (string, bool) { v, ok := set[name]; return v, ok }
	}
}

func TestARegistryIsABucket(t *testing.T) {
	at := peers.NewBetween(t, registrytest.Memory()).URL
	n := 0
	porttest.Bucket(t, func(t *testing.T) port.Bucket { n++; return atRegistry(t, at, fmt.Sprintf("team/suite-%d", n)) })
}

func TestARealRegistryIsABucket(t *testing.T) {
	at := registrytest.New(t, "", "").Address
	n := 0
	porttest.Bucket(t, func(t *testing.T) port.Bucket { n++; return atRegistry(t, at, fmt.Sprintf("team/suite-%d", n)) })
}

func put(t testing.TB, b port.Bucket, key string, p []byte) {
	t.Helper()
	if _, err := b.Put(t.Context(), key, bytes.NewReader(p), int64(len(p))); err != nil {
		t.Fatalf("put %s: %v (%s)", key, err, fault.HintOf(err))
	}
}

func get(t testing.TB, b port.Bucket, key string, r port.Range) ([]byte, error) {
	t.Helper()
	body, _, err := b.Get(t.Context(), key, r)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(body)
}

// TestARealGarbageCollectionKeepsEverything: objects in one part, in many, of no bytes,
// two of the same bytes, one put twice; and takes what was deleted or replaced.
func TestARealGarbageCollectionKeepsEverything(t *testing.T) {
	r := registrytest.New(t, "", "")
	b := atRegistry(t, r.Address, "team/vishwa")
	many := noise(10_500)
	kept := map[string][]byte{"sha256/ab/one": []byte("one"), "sha256/ab/twin": []byte("one"), "sha256/cd/many": many, "empty": nil, "braces": []byte("{}"), "checkpoints/x/1": []byte("new")}
	put(t, b, "checkpoints/x/1", []byte("old"))
	put(t, b, "sha256/ef/gone", noise(3000)[1500:])
	put(t, b, "sha256/ef/twin-gone", []byte("one"))
	for key, p := range kept {
		put(t, b, key, p)
		put(t, b, key, p)
	}
	if err := b.Delete(t.Context(), "sha256/ef/gone", "sha256/ef/twin-gone"); err != nil {
		t.Fatal(err)
	}
	before := blobs(t, r)
	r.Stop()
	r.Collect()
	r.Start()
	if after := blobs(t, r); after >= before {
		t.Errorf("%d blobs after the collection, %d before: what was deleted is still there", after, before)
	}
	fresh := atRegistry(t, r.Address, "team/vishwa")
	for key, want := range kept {
		if o, err := fresh.Stat(t.Context(), key); err != nil || o.Size != int64(len(want)) {
			t.Errorf("stat %s: %+v, %v", key, o, err)
		}
		if got, err := get(t, fresh, key, port.All); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s has %d bytes, %v", key, len(got), err)
		}
	}
	put(t, fresh, "sha256/ef/gone", noise(3000)[1500:])
	if got, err := get(t, fresh, "sha256/ef/gone", port.All); err != nil || len(got) != 1500 {
		t.Errorf("what was deleted cannot be put again: %d bytes, %v", len(got), err)
	}
}

func blobs(t *testing.T, r *registrytest.Registry) (n int) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(r.Folder, "docker/registry/v2/blobs"), func(_ string, e os.DirEntry, err error) error {
		if err == nil && e.Name() == "data" {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestWhatACollectionTookIsPutAgain: a registry that lost the bytes of a manifest that
// it has is one that does not have the object.
func TestWhatACollectionTookIsPutAgain(t *testing.T) {
	r := registrytest.New(t, "", "")
	b := atRegistry(t, r.Address, "team/vishwa")
	put(t, b, "model", noise(2500))
	r.Stop()
	lost := 0
	err := filepath.WalkDir(filepath.Join(r.Folder, "docker/registry/v2/blobs"), func(p string, e os.DirEntry, err error) error {
		if err != nil || e.Name() != "data" {
			return err
		}
		info, err := e.Info()
		if err == nil && info.Size() == 500 { // the last part
			lost++
			err = os.RemoveAll(filepath.Dir(p))
		}
		return err
	})
	if err != nil || lost != 1 {
		t.Fatal(lost, err)
	}
	r.Start()
	if _, err := b.Stat(t.Context(), "model"); fault.Of(err) != fault.Missing || err == nil {
		t.Errorf("%v, want Missing", err)
	}
	if _, err := get(t, b, "model", port.All); fault.Of(err) != fault.Missing || err == nil {
		t.Errorf("%v, want Missing", err)
	}
	put(t, b, "model", noise(2500))
	if got, err := get(t, b, "model", port.All); err != nil || !bytes.Equal(got, noise(2500)) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// TestPiecesAcrossParts: whatever is asked for, it is those bytes.
func TestPiecesAcrossParts(t *testing.T) {
	for name, at := range map[string]string{"in this process": peers.NewBetween(t, registrytest.Memory()).URL, "real": ""} {
		t.Run(name, func(t *testing.T) {
			if at == "" {
				at = registrytest.New(t, "", "").Address
			}
			b, p := atRegistry(t, at, "x"), noise(4321)
			put(t, b, "k", p)
			for _, off := range []int64{0, 1, 999, 1000, 1001, 2500, 4000, 4320, 4321, 9000} {
				for _, n := range []int64{-1, 0, 1, 999, 1000, 1001, 3000, 9000} {
					from := min(off, int64(len(p)))
					to := int64(len(p))
					if n >= 0 {
						to = min(to, from+n)
					}
					if got, err := get(t, b, "k", port.Range{Offset: off, Length: n}); err != nil || !bytes.Equal(got, p[from:to]) {
						t.Errorf("%d bytes from %d: %d, %v; want %d", n, off, len(got), err, to-from)
					}
				}
			}
		})
	}
}

// TestARealListHasPagesAndOthersTags: more checkpoints than a page has, among tags of other tools.
func TestARealListHasPagesAndOthersTags(t *testing.T) {
	r := registrytest.New(t, "", "")
	b := atRegistry(t, r.Address, "team/vishwa").(*repository)
	b.repo.TagListPageSize = 7
	var want []string
	var g errgroup.Group
	g.SetLimit(8)
	for i := range 40 {
		for _, key := range []string{fmt.Sprintf("checkpoints/a/%03d-x", i), fmt.Sprintf("sha256/%02x/y", i)} {
			g.Go(func() error {
				_, err := b.Put(t.Context(), key, strings.NewReader(key), int64(len(key)))
				return err
			})
		}
		want = append(want, fmt.Sprintf("checkpoints/a/%03d-x", i))
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	desc, err := b.repo.Resolve(t.Context(), "vishwa.sha256.00.y")
	if err != nil {
		t.Fatal(err)
	}
	for _, tag := range []string{"latest", "Vishwa", "vishwa", "vishwa.-zz", "v1.0.0", "vishwa.checkpoints.a.z"} {
		if err := b.repo.Tag(t.Context(), desc, tag); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for o, err := range b.List(t.Context(), "checkpoints/a/") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, o.Key)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for range b.List(t.Context(), "checkpoints/a/") {
		break // who wants one gets one
	}
}

// TestARealRegistryAsksWhoItIs: Docker's configuration, a credential helper and variables
// let in; nothing, and a wrong password, are Denied, with the way out and no secret.
func TestARealRegistryAsksWhoItIs(t *testing.T) {
	r := registrytest.New(t, "vera", "hunter2")
	folder := func(text string) string {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	auths := func(password string) string {
		return fmt.Sprintf(`{"auths": {%q: {"auth": %q}}}`, r.Address, base64.StdEncoding.EncodeToString([]byte("vera:"+password)))
	}
	home := t.TempDir()
	if err := os.Rename(folder(auths("hunter2")), filepath.Join(home, ".docker")); err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "docker-credential-test"), fmt.Appendf(nil, "#!/bin/sh\nread at\ntest \"$1 $at\" = 'get %s' && echo '{\"Username\": \"vera\", \"Secret\": \"hunter2\"}'\n", r.Address), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	helper := fmt.Sprintf(`{"credHelpers": {%q: "test"}}`, r.Address)
	for name, c := range map[string]struct {
		set map[string]string
		in  bool
	}{
		"Docker's folder":       {map[string]string{"DOCKER_CONFIG": folder(auths("hunter2"))}, true},
		"Docker's usual folder": {map[string]string{"HOME": home}, true},
		"a credential helper":   {map[string]string{"DOCKER_CONFIG": folder(helper)}, true},
		"variables":             {map[string]string{"VISHWA_OCI_REGISTRY": r.Address, "VISHWA_OCI_USERNAME": "vera", "VISHWA_OCI_PASSWORD": "hunter2"}, true},
		"nothing":               {nil, false},
		"a wrong password":      {map[string]string{"DOCKER_CONFIG": folder(auths("hunter3"))}, false},
		"variables of another":  {map[string]string{"VISHWA_OCI_REGISTRY": "ghcr.io", "VISHWA_OCI_USERNAME": "vera", "VISHWA_OCI_PASSWORD": "hunter2"}, false},
		"variables of nobody":   {map[string]string{"VISHWA_OCI_USERNAME": "vera", "VISHWA_OCI_PASSWORD": "hunter2"}, false},
		"a helper that fails":   {map[string]string{"DOCKER_CONFIG": folder(`{"credsStore": "none-such"}`)}, false},
		"a spoilt file":         {map[string]string{"DOCKER_CONFIG": folder(`{"auths": hunter2`)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := atRegistry(t, r.Address, "team/vishwa", vars(c.set))
			_, err := b.Put(t.Context(), "k", strings.NewReader("x"), 1)
			if c.in {
				if got, now := get(t, b, "k", port.All); err != nil || now != nil || string(got) != "x" {
					t.Error(err, now, string(got))
				}
				return
			}
			if k := fault.Of(err); err == nil || k != fault.Denied && k != fault.Invalid || fault.HintOf(err) == "" || strings.Contains(err.Error()+fault.HintOf(err), "hunter") {
				t.Errorf("%v (%v; %s)", err, k, fault.HintOf(err))
			}
		})
	}
}

// noise is bytes that nothing can guess.
func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{7}).Read(b)
	return b
}
