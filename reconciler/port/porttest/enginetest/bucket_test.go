// A bucket of MinIO, into which a run writes by a request that the test signed: it holds no credentials.

package enginetest

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// putCode is a program that writes to the address that it is given.
const putCode = `
import sys, urllib.request
urllib.request.urlopen(urllib.request.Request(sys.argv[1], data=b"kept", method="PUT"), timeout=20)
print("written")
`

type bucket struct{ client *minio.Client }

func newBucket(t *testing.T) bucket {
	t.Helper()
	c, err := minio.New(strings.TrimPrefix(MinIO(t), "http://"), &minio.Options{Creds: credentials.NewStaticV4("minioadmin", "minioadmin", "")})
	if err == nil {
		err = c.MakeBucket(t.Context(), "out", minio.MakeBucketOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	return bucket{c}
}

// mayPut signs the right to write one object.
func (b bucket) mayPut(t *testing.T, key string) string {
	t.Helper()
	u, err := b.client.PresignedPutObject(t.Context(), "out", key, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return u.String()
}

func (b bucket) get(t *testing.T, key string) string {
	t.Helper()
	object, err := b.client.GetObject(t.Context(), "out", key, minio.GetObjectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer object.Close()
	raw, err := io.ReadAll(object)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
