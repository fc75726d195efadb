// Stories with the real servers that make test-real installs.

package main

import (
	"path/filepath"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/vishwaops/vishwa/reconciler/adapter/signer"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/peers"
)

// TestRealStore: a store on S3 is shared by machines that share nothing else.
func TestRealStore(t *testing.T) {
	endpoint := peers.MinIO(t)
	c, err := minio.New(endpoint[len("http://"):], &minio.Options{Creds: credentials.NewStaticV4("minioadmin", "minioadmin", "")})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.MakeBucket(t.Context(), "models", minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	keys := filepath.Join(t.TempDir(), "keys")
	if err := signer.Generate(keys, []byte(password)); err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/real",
		Setup: func(env *testscript.Env) error {
			env.Setenv("S3", endpoint)
			env.Setenv("AWS_ACCESS_KEY_ID", "minioadmin")
			env.Setenv("AWS_SECRET_ACCESS_KEY", "minioadmin")
			return settle(t, env, keys)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "project": project, "edit": edit, "commit": commit},
	})
}
