// Writing to a bucket and deleting from it.

package bucket

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

func (b *s3) Put(ctx context.Context, key string, r io.ReaderAt, size int64) (port.Object, error) {
	return b.putContent(ctx, key, r, size, "")
}

// PutNamed implements port.NamedPutter.
func (b *s3) PutNamed(ctx context.Context, key string, r io.ReaderAt, size int64, name digest.Digest) (port.Object, error) {
	return b.putContent(ctx, key, r, size, name)
}

func (b *s3) putContent(ctx context.Context, key string, r io.ReaderAt, size int64, name digest.Digest) (port.Object, error) {
	ctx = asking(ctx)
	if err := checkKey(key); err != nil {
		return port.Object{}, err
	}
	put := b.putWhole
	if size > leastPart {
		put = b.putParts
	}
	var o port.Object
	var err error
	for try := 1; ; try++ {
		o, err = put(ctx, key, r, size, name)
		if try == tries || !garbled(err) {
			break
		}
	}
	if err != nil {
		return port.Object{}, b.classed(ctx, key, err)
	}
	return o, nil
}

// garbled tells that other bytes arrived than were sent.
func garbled(err error) bool {
	code := minio.ToErrorResponse(err).Code
	return code == "XAmzContentSHA256Mismatch" || code == "XAmzContentChecksumMismatch" || code == "BadDigest"
}

func (b *s3) putWhole(ctx context.Context, key string, r io.ReaderAt, size int64, name digest.Digest) (port.Object, error) {
	sum, err := summed(ctx, io.NewSectionReader(r, 0, size))
	if err == nil && name != "" {
		err = misnamed(name, digest.FromSum(sum.sha256))
	}
	if err != nil {
		return port.Object{}, err
	}
	o := b.putting()
	o.DisableContentSha256 = true // in chunks: it is known
	info, err := b.core.PutObject(ctx, b.bucket, b.prefix+key, io.NewSectionReader(r, 0, size), size, sum.base64(), sum.hex(), o)
	return port.Object{Key: key, Size: size, ETag: info.ETag, Version: info.VersionID, Modified: info.LastModified}, err
}

// PutIf implements port.ConditionalPutter, for what is sent in one piece.
func (b *s3) PutIf(ctx context.Context, key string, r io.ReaderAt, size int64, etag string) (port.Object, error) {
	ctx = asking(ctx)
	if err := checkKey(key); err != nil {
		return port.Object{}, err
	}
	sum, err := summed(ctx, io.NewSectionReader(r, 0, size))
	if err != nil {
		return port.Object{}, b.classed(ctx, key, err)
	}
	o := b.putting()
	o.DisableContentSha256 = true
	if etag == "" {
		o.SetMatchETagExcept("*")
	} else {
		o.SetMatchETag(etag)
	}
	info, err := b.core.PutObject(ctx, b.bucket, b.prefix+key, io.NewSectionReader(r, 0, size), size, sum.base64(), sum.hex(), o)
	if err != nil {
		if err = b.classed(ctx, key, err); fault.Of(err) == fault.Missing && !errors.Is(err, port.ErrAbsent) {
			err = fault.WithHint(fault.New(fault.Conflict, "%s was removed", b.name(key)), "run the command again: it looks at the bucket anew")
		}
		return port.Object{}, err
	}
	return port.Object{Key: key, Size: size, ETag: info.ETag, Version: info.VersionID, Modified: info.LastModified}, nil
}

func (b *s3) putting() minio.PutObjectOptions {
	return minio.PutObjectOptions{ContentType: "application/octet-stream", ServerSideEncryption: b.sse, UserMetadata: b.access}
}

func (b *s3) Delete(ctx context.Context, keys ...string) error {
	ctx, cancel := context.WithCancel(asking(ctx))
	defer cancel()
	send := make(chan minio.ObjectInfo)
	fault.Go(func() {
		defer close(send)
		for _, k := range keys {
			select {
			case send <- minio.ObjectInfo{Key: b.prefix + k}:
			case <-ctx.Done():
				return
			}
		}
	}, func(error) { cancel() })
	for _, k := range keys {
		if err := checkKey(k); err != nil {
			return err
		}
	}
	for e := range b.c.RemoveObjects(ctx, b.bucket, send, minio.RemoveObjectsOptions{}) {
		if e.Err != nil {
			return b.classed(ctx, strings.TrimPrefix(e.ObjectName, b.prefix), e.Err)
		}
	}
	return ctx.Err()
}
