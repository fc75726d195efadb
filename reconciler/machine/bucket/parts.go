// Large objects go in parts side by side, and what has arrived is not sent again.

package bucket

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"golang.org/x/sync/errgroup"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/ended"
	"github.com/vishwaops/vishwa/reconciler/port"
)

const (
	leastPart = 16 << 20 // bytes
	mostParts = 10_000   // of an object (S3's limit)
	abreast   = 4        // parts of one object that are under way at once
	unwanted  = 7 * 24 * time.Hour
)

// partSize is how large the parts of an object of size bytes are. It depends on nothing
// else, so that a later try cuts the same parts.
func partSize(size int64) int64 {
	n := int64(leastPart)
	for n*mostParts < size {
		n *= 2
	}
	return n
}

// sums are what a server checks bytes by.
type sums struct{ md5, sha256 []byte }

// summed reads n bytes from off on. Fewer are a Conflict: they change while they are read.
func summed(ctx context.Context, r io.ReaderAt, off, n int64) (sums, error) {
	m, s := md5.New(), sha256.New()
	got, err := io.Copy(io.MultiWriter(m, s), ended.Reader(ctx, io.NewSectionReader(r, off, n), "copy"))
	if err == nil && got != n {
		err = fault.WithHint(fault.New(fault.Conflict, "there are %d bytes and not %d: it changed while it was read", off+got, off+n), "let nothing write the file meanwhile, and run the command again")
	}
	return sums{m.Sum(nil), s.Sum(nil)}, err
}

func (s sums) base64() string { return base64.StdEncoding.EncodeToString(s.md5) }
func (s sums) hex() string    { return hex.EncodeToString(s.sha256) }

// etag is what a part's tag is, but for one that the server encrypts with a key of KMS.
func (s sums) etag() string { return hex.EncodeToString(s.md5) }

// putParts sends an object in parts. Where an earlier try was cut off, it goes on with
// that one's upload; parts that arrived are known by their tags.
func (b *s3) putParts(ctx context.Context, key string, r io.ReaderAt, size int64) (port.Object, error) {
	upload, there, err := b.begun(ctx, key)
	if err != nil {
		return port.Object{}, err
	}
	o, err := b.upload(ctx, key, upload, there, r, size)
	if upload != "" && minio.ToErrorResponse(err).Code == minio.NoSuchUpload {
		// Somebody else, who sent the same, completed it or gave it up.
		o, err = b.upload(ctx, key, "", nil, r, size)
	}
	return o, err
}

// begun finds the newest upload of the object that was not completed. A server that
// does not tell, or not to us, has none.
func (b *s3) begun(ctx context.Context, key string) (id string, there map[int]minio.ObjectPart, err error) {
	list, err := b.core.ListMultipartUploads(ctx, b.bucket, b.prefix+key, "", "", "", mostParts/10)
	if err != nil {
		return "", nil, b.untold(ctx, err)
	}
	var when time.Time
	for _, u := range list.Uploads {
		if u.Key == b.prefix+key && !u.Initiated.Before(when) {
			id, when = u.UploadID, u.Initiated
		}
	}
	if id == "" {
		return "", nil, nil
	}
	there = map[int]minio.ObjectPart{}
	for after, more := 0, true; more; {
		parts, err := b.core.ListObjectParts(ctx, b.bucket, b.prefix+key, id, after, mostParts/10)
		if err != nil {
			return "", nil, b.untold(ctx, err)
		}
		for _, p := range parts.ObjectParts {
			there[p.PartNumber] = p
		}
		more = parts.IsTruncated && parts.NextPartNumberMarker > after
		after = parts.NextPartNumberMarker
	}
	return id, there, nil
}

// untold is nil where a question was refused, and not the whole of S3 is out of reach.
func (b *s3) untold(ctx context.Context, err error) error {
	if ctx.Err() == nil && minio.ToErrorResponse(err).StatusCode/100 == 4 {
		return nil
	}
	return err
}

// upload sends the parts that are not there, and completes the object.
func (b *s3) upload(ctx context.Context, key, id string, there map[int]minio.ObjectPart, r io.ReaderAt, size int64) (o port.Object, err error) {
	if id == "" {
		if id, err = b.core.NewMultipartUpload(ctx, b.bucket, b.prefix+key, b.putting()); err != nil {
			return o, err
		}
	}
	each := partSize(size)
	parts := make([]minio.CompletePart, (size+each-1)/each)
	g, within := errgroup.WithContext(ctx)
	g.SetLimit(abreast)
	for i := range parts {
		if within.Err() != nil {
			break
		}
		g.Go(func() error {
			off := int64(i) * each
			n := min(each, size-off)
			sum, err := summed(within, r, off, n)
			if err != nil {
				return err
			}
			part := there[i+1]
			if part.Size != n || strings.Trim(part.ETag, `"`) != sum.etag() {
				part, err = b.core.PutObjectPart(within, b.bucket, b.prefix+key, id, i+1, io.NewSectionReader(r, off, n), n,
					minio.PutObjectPartOptions{Md5Base64: sum.base64(), Sha256Hex: sum.hex(), SSE: b.sse, DisableContentSha256: true})
			}
			parts[i] = minio.CompletePart{PartNumber: i + 1, ETag: part.ETag}
			return err
		})
	}
	if err = g.Wait(); err == nil {
		err = ctx.Err()
	}
	if err != nil {
		if fault.Of(err) == fault.Conflict { // it is not what it was, and never comes again
			_ = b.core.AbortMultipartUpload(context.WithoutCancel(ctx), b.bucket, b.prefix+key, id)
		}
		return o, err
	}
	info, err := b.core.CompleteMultipartUpload(ctx, b.bucket, b.prefix+key, id, parts, minio.PutObjectOptions{})
	if err != nil {
		return o, err
	}
	return port.Object{Key: key, Size: size, ETag: info.ETag, Version: info.VersionID, Modified: info.LastModified}, nil
}

// Tidy gives up the uploads below the prefix that nobody has gone on with for a week.
// Servers charge for their parts.
func (b *s3) Tidy(ctx context.Context, now time.Time) error {
	ctx = asking(ctx)
	for key, upload := "", ""; ; {
		list, err := b.core.ListMultipartUploads(ctx, b.bucket, b.prefix, key, upload, "", mostParts/10)
		if err != nil {
			if err = b.untold(ctx, err); err != nil {
				return b.classed(ctx, "", err)
			}
			return nil
		}
		for _, u := range list.Uploads {
			if !strings.HasPrefix(u.Key, b.prefix) || now.Sub(u.Initiated) < unwanted {
				continue
			}
			err := b.core.AbortMultipartUpload(ctx, b.bucket, u.Key, u.UploadID)
			if err != nil && minio.ToErrorResponse(err).Code != minio.NoSuchUpload {
				return b.classed(ctx, strings.TrimPrefix(u.Key, b.prefix), err)
			}
		}
		if !list.IsTruncated {
			return nil
		}
		key, upload = list.NextKeyMarker, list.NextUploadIDMarker
	}
}
