// Large objects go in parts side by side, and what has arrived is not sent again.

package bucket

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/routine"
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

// upload is an object that is sent in parts.
type upload struct {
	key, id string
	checks  bool         // it was begun as one whose parts have checksums of their own
	plain   bool         // it is to be begun as one whose parts have none
	signs   *atomic.Bool // a part whose payload was not signed was denied
	there   map[int]minio.ObjectPart
	r       io.ReaderAt
	size    int64
	name    digest.Digest // of all of it, where that is known
}

// putParts sends an object in parts. Where an earlier try was cut off, it goes on with
// that one's upload; parts that arrived are known by their tags.
func (b *s3) putParts(ctx context.Context, key string, r io.ReaderAt, size int64, name digest.Digest) (port.Object, error) {
	u, err := b.begun(ctx, key)
	if err != nil {
		return port.Object{}, err
	}
	was := u.id
	u.r, u.size, u.name = r, size, name
	o, err := b.upload(ctx, u)
	if unknown := (*unknownChecks)(nil); errors.As(err, &unknown) { // what was begun with checksums takes no part without
		_ = b.core.AbortMultipartUpload(context.WithoutCancel(ctx), b.bucket, b.prefix+key, unknown.upload)
		if o, err = b.upload(ctx, upload{key: key, r: r, size: size, name: name, plain: true}); err == nil {
			b.plain.Store(true)
		}
		return o, err
	}
	if was != "" && minio.ToErrorResponse(err).Code == minio.NoSuchUpload {
		// Somebody else, who sent the same, completed it or gave it up.
		o, err = b.upload(ctx, upload{key: key, r: r, size: size, name: name})
	}
	return o, err
}

// begun finds the newest upload of the object that we began and that was not completed. Of one that somebody else began, they said who may read the object and
// how it is kept. A server that does not tell, or not to us, has none.
func (b *s3) begun(ctx context.Context, key string) (u upload, err error) {
	none := upload{key: key}
	there, err := b.unfinished(ctx, key)
	if err != nil || len(there) == 0 {
		return none, b.untold(ctx, err)
	}
	for _, l := range there {
		if _, ours := b.ours.Load(l.UploadID); ours {
			u.id = l.UploadID
		}
	}
	if u.id != "" {
		return b.arrived(ctx, key, u.id)
	}
	// Who we are to the server shows in what we begin, so that what another process of ours began is known.
	if err := b.begin(ctx, &none); err != nil {
		return none, err
	}
	if there, err = b.unfinished(ctx, key); err != nil {
		return none, b.untold(ctx, err)
	}
	us := ""
	for _, l := range there {
		if l.UploadID == none.id {
			us = l.Initiator.ID
		}
	}
	for _, l := range there {
		if us != "" && l.Initiator.ID == us && l.UploadID != none.id {
			u.id = l.UploadID
		}
	}
	if u.id == "" {
		return none, nil
	}
	if u, err = b.arrived(ctx, key, u.id); err != nil || u.id == "" {
		return none, err
	}
	_ = b.core.AbortMultipartUpload(context.WithoutCancel(ctx), b.bucket, b.prefix+key, none.id)
	b.ours.Delete(none.id)
	return u, nil
}

// unfinished are the uploads of an object that were not completed, the newest last.
func (b *s3) unfinished(ctx context.Context, key string) ([]minio.ObjectMultipartInfo, error) {
	list, err := b.core.ListMultipartUploads(ctx, b.bucket, b.prefix+key, "", "", "", mostParts/10)
	all := slices.DeleteFunc(list.Uploads, func(l minio.ObjectMultipartInfo) bool { return l.Key != b.prefix+key })
	slices.SortStableFunc(all, func(x, y minio.ObjectMultipartInfo) int { return x.Initiated.Compare(y.Initiated) })
	return all, err
}

// arrived is an upload of the object with the parts that the server has; without an id where the server does not tell.
func (b *s3) arrived(ctx context.Context, key, id string) (u upload, err error) {
	none := upload{key: key}
	u = upload{key: key, id: id, there: map[int]minio.ObjectPart{}}
	for after, more := 0, true; more; {
		parts, err := b.core.ListObjectParts(ctx, b.bucket, b.prefix+key, u.id, after, mostParts/10)
		if err != nil {
			return none, b.untold(ctx, err)
		}
		for _, p := range parts.ObjectParts {
			u.there[p.PartNumber] = p
		}
		u.checks = parts.ChecksumAlgorithm == algorithm
		more = parts.IsTruncated && parts.NextPartNumberMarker > after
		after = parts.NextPartNumberMarker
	}
	return u, nil
}

// untold is nil where a question was refused, and not the whole of S3 is out of reach.
func (b *s3) untold(ctx context.Context, err error) error {
	if ctx.Err() == nil && minio.ToErrorResponse(err).StatusCode/100 == 4 {
		return nil
	}
	return err
}

// upload sends the parts that are not there, and completes the object: where its name is known, once all of it was read and is that.
func (b *s3) upload(ctx context.Context, u upload) (o port.Object, err error) {
	if u.id == "" {
		if err := b.begin(ctx, &u); err != nil {
			return o, err
		}
	}
	u.signs = new(atomic.Bool)
	each := partSize(u.size)
	parts := make([]minio.CompletePart, (u.size+each-1)/each)
	whole := sha256.New()
	g, within := routine.WithContext(ctx)
	g.SetLimit(abreast)
	for i := range parts {
		if within.Err() != nil {
			break
		}
		p := part{number: i + 1, off: int64(i) * each}
		p.size = min(each, u.size-p.off)
		if u.name != "" { // in their order, while others are under way
			if err = p.readBytes(within, u.r, whole); err != nil {
				p.kept.giveBack()
				break
			}
		}
		g.Start(func() error {
			defer func() { p.kept.giveBack() }()
			sent, err := b.sendPart(within, u, &p)
			parts[p.number-1] = minio.CompletePart{PartNumber: p.number, ETag: sent.ETag}
			if u.checks {
				parts[p.number-1].ChecksumCRC32C = sent.ChecksumCRC32C
			}
			return err
		})
	}
	if gone := g.Wait(); gone != nil && (err == nil || ctx.Err() == nil && fault.Of(err) == fault.Cancelled) {
		err = gone
	}
	if err == nil {
		err = ctx.Err()
	}
	if err == nil && u.name != "" {
		err = misnamed(u.name, digest.FromSum(whole.Sum(nil)))
	}
	if err != nil {
		if kind := fault.Of(err); kind == fault.Conflict || kind == fault.Corrupt { // it is not what it was, and never comes again
			_ = b.core.AbortMultipartUpload(context.WithoutCancel(ctx), b.bucket, b.prefix+u.key, u.id)
		}
		return o, err
	}
	info, err := b.core.CompleteMultipartUpload(ctx, b.bucket, b.prefix+u.key, u.id, parts, minio.PutObjectOptions{})
	if err != nil {
		return o, err
	}
	b.ours.Delete(u.id)
	return port.Object{Key: u.key, Size: u.size, ETag: info.ETag, Version: info.VersionID, Modified: info.LastModified}, nil
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
