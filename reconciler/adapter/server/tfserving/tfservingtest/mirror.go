// What lies in a bucket, for a server that reads a folder.

package tfservingtest

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/vishwaops/vishwa/reconciler/port"
)

// Mirror has in a folder what a bucket has: a Server reads no bucket by itself.
func Mirror(ctx context.Context, b port.Bucket, folder string) error {
	for o, err := range b.List(ctx, "") {
		if err != nil {
			return err
		}
		at := filepath.Join(folder, o.Key)
		mark := at + ".etag"
		if was, err := os.ReadFile(mark); err == nil && string(was) == o.ETag {
			continue
		}
		body, _, err := b.Get(ctx, o.Key, port.All)
		if err != nil {
			return err
		}
		raw, err := io.ReadAll(body)
		body.Close()
		if err := errors.Join(err, os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, raw, 0o644), os.WriteFile(mark, []byte(o.ETag), 0o644)); err != nil {
			return err
		}
	}
	return nil
}
