// A store in a DVC remote keeps the port's promises, and DVC's objects are none of its business.

package app

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/vishwaops/vishwa/reconciler/data"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/bucket"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/peers"
	"github.com/vishwaops/vishwa/schemas"
)

func environ(variables map[string]string) port.Env {
	return port.Env{Lookup: func(name string) (string, bool) {
		v, ok := variables[name]
		return v, ok
	}}
}

// remoteStore is the store of a new machine in the remote that config configures.
func remoteStore(t *testing.T, config string, env port.Env) (port.Store, StoreRef) {
	t.Helper()
	checkout := t.TempDir()
	if err := os.Mkdir(filepath.Join(checkout, ".dvc"), 0o700); err != nil {
		t.Fatal(err)
	}
	at, err := data.PlaceOf(fstest.MapFS{".dvc/config": {Data: []byte(config)}}, "", checkout)
	if err != nil {
		t.Fatal(err)
	}
	place := StoreRef{Dir: filepath.Join(t.TempDir(), "near"), Away: &schemas.Store{DVC: &schemas.DVCRemote{}}, DVC: &at}
	again, err := ParseStoreRef(place.String()) // as a supervisor has it
	if err != nil {
		t.Fatal(err)
	}
	s, err := OpenStore(again, env)
	if err != nil {
		t.Fatal(err)
	}
	return s, place
}

func forgotten(t *testing.T, near string, d digest.Digest) {
	t.Helper()
	if err := os.Remove(filepath.Join(near, "sha256", d.Hex()[:2], d.Hex()[2:])); err != nil {
		t.Fatal(err)
	}
}

func TestAStoreInADVCRemoteKeepsThePromises(t *testing.T) {
	porttest.Store(t, func(t *testing.T) (port.Store, func(digest.Digest)) {
		remote := filepath.Join(t.TempDir(), "remote")
		s, place := remoteStore(t, "[core]\n    remote = team\n['remote \"team\"']\n    url = "+remote+"\n", environ(nil))
		return s, func(d digest.Digest) {
			forgotten(t, place.Dir, d)
			path := filepath.Join(remote, "vishwa", "sha256", d.Hex()[:2], d.Hex()[2:])
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			b[len(b)/2] ^= 1
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestRealStoreInADVCRemoteKeepsThePromises runs the suite against MinIO, which make test-real installs.
func TestRealStoreInADVCRemoteKeepsThePromises(t *testing.T) {
	endpoint := peers.MinIO(t)
	c, err := minio.New(strings.TrimPrefix(endpoint, "http://"), &minio.Options{Creds: credentials.NewStaticV4("minioadmin", "minioadmin", "")})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.MakeBucket(t.Context(), "team", minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	env := environ(map[string]string{"AWS_ACCESS_KEY_ID": "minioadmin", "AWS_SECRET_ACCESS_KEY": "minioadmin"})
	n := 0
	porttest.Store(t, func(t *testing.T) (port.Store, func(digest.Digest)) {
		n++
		prefix := fmt.Sprintf("suite-%d", n)
		s, place := remoteStore(t, "[core]\n    remote = team\n['remote \"team\"']\n    url = s3://team/"+prefix+"\n    endpointurl = "+endpoint+"\n", env)
		return s, func(d digest.Digest) {
			forgotten(t, place.Dir, d)
			b, err := bucket.S3(bucket.S3Options{Bucket: "team", Prefix: prefix, Endpoint: endpoint, Lookup: env.Lookup})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := b.Put(context.WithoutCancel(t.Context()), "vishwa/sha256/"+d.Hex()[:2]+"/"+d.Hex()[2:], strings.NewReader("other"), 5); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestThePlaceIsTheRevisionsAndTheSignInTheMachines: what is not reviewed names no address,
// and what is told to other processes holds no secret.
func TestThePlaceIsTheRevisionsAndTheSignInTheMachines(t *testing.T) {
	tracked := fstest.MapFS{".dvc/config": {Data: []byte("[core]\n    remote = team\n['remote \"team\"']\n    url = s3://ours/x\n    secret_access_key = hunter2\n    profile = ci\n")}}
	checkout := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(checkout, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	at, err := data.PlaceOf(tracked, "", checkout)
	if err != nil {
		t.Fatal(err)
	}
	place := StoreRef{Dir: t.TempDir(), Away: &schemas.Store{DVC: &schemas.DVCRemote{}}, DVC: &at}
	if strings.Contains(place.String(), "hunter2") || !strings.Contains(place.String(), "s3://ours/x") {
		t.Errorf("told: %s", place)
	}
	if _, err := data.PlaceOf(tracked, "", ""); fault.Of(err) != fault.Denied || strings.Contains(err.Error(), "hunter2") || fault.HintOf(err) == "" {
		t.Errorf("where there is no checkout: %v", err)
	}
	write("creds", "[default]\ncredential_process = touch "+filepath.Join(checkout, "ran")+"\n")
	for name, config := range map[string]string{
		"beside it": "['remote \"team\"']\n    url = s3://theirs/x\n    credentialpath = ../creds\n",
		"whole":     "['remote \"team\"']\n    credentialpath = " + filepath.Join(checkout, "creds") + "\n",
		"by a link": "['remote \"team\"']\n    credentialpath = " + filepath.Join(t.TempDir(), "link") + "\n",
	} {
		write(".dvc/config.local", config)
		if _, link, ok := strings.Cut(config, "credentialpath = /"); ok && name == "by a link" {
			if err := os.Symlink(filepath.Join(checkout, "creds"), "/"+strings.TrimSpace(link)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := OpenStore(place, environ(nil)); fault.Of(err) != fault.Denied || fault.HintOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := os.Stat(filepath.Join(checkout, "ran")); err == nil {
		t.Error("a program that a change names ran")
	}
	for name, c := range map[string]struct {
		tree fstest.MapFS
		want string
	}{
		"no configuration": {fstest.MapFS{}, "no .dvc/config"},
		"no default":       {fstest.MapFS{".dvc/config": {Data: []byte("['remote \"a\"']\n    url = /x\n")}}, "no default"},
	} {
		if _, err := data.PlaceOf(c.tree, "", checkout); fault.Of(err) != fault.Missing || !strings.Contains(err.Error(), c.want) || fault.HintOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAMirrorHasNoFolderThatPathsAreBelow: a controller keeps artifacts in a folder that is
// named by its whole path, and says what to do about another.
func TestAMirrorHasNoFolderThatPathsAreBelow(t *testing.T) {
	whole := filepath.Join(t.TempDir(), "team")
	open := func(url string) (port.Store, error) {
		t.Helper()
		at, err := data.PlaceOf(fstest.MapFS{".dvc/config": {Data: []byte("['remote \"team\"']\n    url = " + url + "\n")}}, "team", "")
		if err != nil {
			t.Fatal(err)
		}
		return OpenStore(StoreRef{Dir: t.TempDir(), Away: &schemas.Store{DVC: &schemas.DVCRemote{Remote: "team"}}, DVC: &at}, environ(nil))
	}
	s, err := open(whole)
	if err != nil {
		t.Fatal(err)
	}
	d, _, err := s.Put(t.Context(), strings.NewReader("weights"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(whole, "vishwa", "sha256", d.Hex()[:2], d.Hex()[2:])); err != nil {
		t.Error(err)
	}
	for _, url := range []string{"../team", "ssh://host/team"} {
		if _, err := open(url); fault.Of(err) != fault.Invalid || fault.HintOf(err) == "" {
			t.Errorf("%s: %v", url, err)
		}
	}
}
