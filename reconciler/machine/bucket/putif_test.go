// A conditional put writes over nothing that its caller did not see: on a double of S3, and on a real MinIO.

package bucket

import (
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/peers"
)

func TestAConditionalPutWritesOverNothingUnseen(t *testing.T) {
	for name, endpoint := range map[string]func(t *testing.T) string{
		"double": func(t *testing.T) string {
			web := httptest.NewServer(peers.S3())
			t.Cleanup(web.Close)
			return web.URL
		},
		"minio": func(t *testing.T) string { return peers.MinIO(t) },
	} {
		t.Run(name, func(t *testing.T) {
			b := made(t, endpoint(t), "conditional")
			put := func(text, etag string) (port.Object, error) {
				return b.(port.ConditionalPutter).PutIf(t.Context(), "folder/key", strings.NewReader(text), int64(len(text)), etag)
			}
			conflicts := func(what string, err error) {
				t.Helper()
				if err == nil || fault.Of(err) != fault.Conflict || fault.HintOf(err) == "" {
					t.Errorf("%s: %v (%v)", what, err, fault.Of(err))
				}
			}
			one, err := put("one", "")
			if err != nil {
				t.Fatal(err)
			}
			_, err = put("two", "")
			conflicts("it is there", err)
			two, err := put("two", one.ETag)
			if err != nil {
				t.Fatal(err)
			}
			_, err = put("three", one.ETag)
			conflicts("it is another one", err)
			body, o, err := b.Get(t.Context(), "folder/key", port.All)
			if err != nil {
				t.Fatal(err)
			}
			if raw, err := io.ReadAll(body); err != nil || string(raw) != "two" || o.ETag != two.ETag {
				t.Errorf("it holds %q of %s, and %s was told: %v", raw, o.ETag, two.ETag, err)
			}
			body.Close()
			if err := b.Delete(t.Context(), "folder/key"); err != nil {
				t.Fatal(err)
			}
			_, err = put("four", two.ETag)
			conflicts("it is gone", err)

			var all sync.WaitGroup
			var won atomic.Int32
			for n := range 8 {
				all.Go(func() {
					if _, err := put(fmt.Sprint(n), ""); err == nil {
						won.Add(1)
					} else if fault.Of(err) != fault.Conflict {
						t.Error(err)
					}
				})
			}
			all.Wait()
			if won.Load() != 1 {
				t.Errorf("%d of 8 at once were the first", won.Load())
			}
		})
	}
}
