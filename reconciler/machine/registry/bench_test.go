// How fast a registry takes and gives a large object, beside a folder and MinIO.

package registry

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/vishwaops/vishwa/reconciler/machine/bucket"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/peers"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/registrytest"
)

func BenchmarkLargeObject(b *testing.B) {
	p := noise(500 << 20)
	for _, c := range []struct {
		name string
		open func(b *testing.B) port.Bucket
	}{
		{"dir", func(b *testing.B) port.Bucket {
			d, err := bucket.Dir(filepath.Join(b.TempDir(), "kept"))
			if err != nil {
				b.Fatal(err)
			}
			return d
		}},
		{"minio", func(b *testing.B) port.Bucket {
			endpoint := peers.MinIO(b)
			c, err := minio.New(endpoint[len("http://"):], &minio.Options{Creds: credentials.NewStaticV4("minioadmin", "minioadmin", "")})
			if err != nil {
				b.Fatal(err)
			}
			if err := c.MakeBucket(b.Context(), "bench", minio.MakeBucketOptions{}); err != nil {
				b.Fatal(err)
			}
			s, err := bucket.S3(bucket.S3Options{Bucket: "bench", Endpoint: endpoint, AccessKey: "minioadmin", SecretKey: "minioadmin"})
			if err != nil {
				b.Fatal(err)
			}
			return s
		}},
		{"registry", func(b *testing.B) port.Bucket {
			o, err := Open(Options{URL: "oci://" + registrytest.New(b, "", "").Address + "/bench"})
			if err != nil {
				b.Fatal(err)
			}
			return o
		}},
	} {
		at := c.open
		b.Run("put/"+c.name, func(b *testing.B) {
			to := at(b)
			b.SetBytes(int64(len(p)))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			n := 0
			for b.Loop() {
				n++
				p[n] ^= 1 // else a registry has it
				for i := 0; i < len(p); i += 1 << 20 {
					p[i] ^= byte(n)
				}
				if _, err := to.Put(b.Context(), fmt.Sprintf("k%d", n), bytes.NewReader(p), int64(len(p))); err != nil {
					b.Fatal(err)
				}
			}
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/float64(n)/(1<<20), "MiB-allocated/op")
		})
		b.Run("get/"+c.name, func(b *testing.B) {
			to := at(b)
			if _, err := to.Put(b.Context(), "k", bytes.NewReader(p), int64(len(p))); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(p)))
			for b.Loop() {
				body, _, err := to.Get(b.Context(), "k", port.All)
				if err != nil {
					b.Fatal(err)
				}
				if n, err := io.Copy(io.Discard, body); err != nil || n != int64(len(p)) {
					b.Fatal(n, err)
				}
				body.Close()
			}
		})
	}
}
