// S3 and what speaks its protocol, through minio-go.

package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/encrypt"

	"github.com/vishwaops/vishwa/reconciler/fault"
	dialling "github.com/vishwaops/vishwa/reconciler/machine/dial"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// S3 opens a bucket. Nothing is asked of it yet.
func S3(o S3Options) (port.Bucket, error) {
	if o.Bucket == "" {
		return nil, fault.WithHint(fault.New(fault.Invalid, "no bucket is named"), "give its address as s3://bucket/prefix")
	}
	host, secure, err := o.endpoint()
	if err != nil {
		return nil, err
	}
	transport, err := o.transport(host, secure)
	if err != nil {
		return nil, err
	}
	style := minio.BucketLookupAuto
	if o.PathStyle != nil && *o.PathStyle || o.PathStyle == nil && o.Endpoint != "" {
		style = minio.BucketLookupPath
	} else if o.PathStyle != nil {
		style = minio.BucketLookupDNS
	}
	creds := o.credentials()
	c, err := minio.New(host, &minio.Options{
		Creds: creds, Secure: secure, Region: o.region(), BucketLookup: style, Transport: held(paced(transport, o.jobs()), o.pace),
	})
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Invalid, "open s3://%s: %w", o.Bucket, err), "correct the bucket, its endpoint, region and encryption: s3://bucket/prefix, https://host:port")
	}
	b := &s3{c: c, creds: creds, core: minio.Core{Client: c}, bucket: o.Bucket, alone: secure || dialling.Loopback(c.EndpointURL().Hostname())}
	for name, v := range o.Access {
		if b.access == nil {
			b.access = map[string]string{}
		}
		b.access["x-amz-"+name] = v
	}
	if b.prefix = strings.Trim(o.Prefix, "/"); b.prefix != "" {
		b.prefix += "/"
	}
	switch o.Encryption {
	case "":
	case "AES256":
		b.sse = encrypt.NewSSE()
	case "aws:kms":
		if b.sse, err = encrypt.NewSSEKMS(o.KMSKey, nil); err != nil {
			return nil, fault.WithHint(fault.New(fault.Invalid, "open s3://%s: %w", o.Bucket, err), "correct the bucket, its endpoint, region and encryption: s3://bucket/prefix, https://host:port")
		}
	default:
		return nil, fault.WithHint(fault.New(fault.Invalid, "open s3://%s: encryption %q is unknown", o.Bucket, o.Encryption), "choose AES256 or aws:kms")
	}
	return b, nil
}

type s3 struct {
	c              *minio.Client
	creds          *credentials.Credentials // c's
	core           minio.Core
	bucket, prefix string
	sse            encrypt.ServerSide
	access         map[string]string // headers
	alone          bool              // nobody else writes to the line: it is of TLS, or of this machine
	ours           sync.Map          // ids of uploads that this process began
	plain          atomic.Bool       // the server was seen not to hold parts against their checksums
}

func (b *s3) name(key string) string { return "s3://" + b.bucket + "/" + b.prefix + key }

func (b *s3) object(key string, o minio.ObjectInfo) port.Object {
	return port.Object{Key: key, Size: o.Size, ETag: o.ETag, Version: o.VersionID, Modified: o.LastModified}
}

func (b *s3) Stat(ctx context.Context, key string) (port.Object, error) {
	ctx = asking(ctx)
	if err := checkKey(key); err != nil {
		return port.Object{}, err
	}
	o, err := b.c.StatObject(ctx, b.bucket, b.prefix+key, minio.StatObjectOptions{})
	if err != nil {
		return port.Object{}, b.classed(ctx, key, err)
	}
	return b.object(key, o), nil
}

func (b *s3) List(ctx context.Context, prefix string) iter.Seq2[port.Object, error] {
	return func(yield func(port.Object, error) bool) {
		ctx, cancel := context.WithCancel(asking(ctx))
		defer cancel()
		for o := range b.c.ListObjects(ctx, b.bucket, minio.ListObjectsOptions{Prefix: b.prefix + prefix, Recursive: true}) {
			if o.Err != nil {
				yield(port.Object{}, b.classed(ctx, prefix, o.Err))
				return
			}
			if strings.HasSuffix(o.Key, "/") {
				continue // a folder as consoles draw it
			}
			if !yield(b.object(strings.TrimPrefix(o.Key, b.prefix), o), nil) {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(port.Object{}, fault.New(fault.Cancelled, "list %s: %w", b.name(prefix), err))
		}
	}
}

func (b *s3) Get(ctx context.Context, key string, r port.Range) (io.ReadCloser, port.Object, error) {
	if err := checkKey(key); err != nil {
		return nil, port.Object{}, err
	}
	if r.Length == 0 {
		info, err := b.Stat(ctx, key)
		return http.NoBody, info, err
	}
	body, left, o, err := b.open(ctx, key, r)
	if err != nil {
		return nil, o, err
	}
	return &answer{b: b, ctx: ctx, body: body, key: key, etag: o.ETag, at: r.Offset, left: left}, o, nil
}

// open begins an answer, which has left bytes; r is not empty.
func (b *s3) open(ctx context.Context, key string, r port.Range) (body io.ReadCloser, left int64, got port.Object, err error) {
	ctx = asking(ctx)
	var o minio.GetObjectOptions
	if r.ETag != "" {
		if err := o.SetMatchETag(r.ETag); err != nil {
			return nil, 0, got, fault.New(fault.Invalid, "read %s: %w", b.name(key), err)
		}
	}
	whole := r.Offset == 0 && r.Length < 0
	if !whole {
		end := int64(0) // to the end
		if r.Length > 0 {
			end = r.Offset + r.Length - 1
		}
		if err := o.SetRange(r.Offset, end); err != nil {
			return nil, 0, got, fault.New(fault.Invalid, "read %s: %w", b.name(key), err)
		}
	}
	body, info, head, err := b.core.GetObject(ctx, b.bucket, b.prefix+key, o)
	if err != nil {
		return nil, 0, got, b.classed(ctx, key, err)
	}
	got, left = b.object(key, info), info.Size
	if span := head.Get("Content-Range"); span != "" { // bytes 0-9/100
		var from, to int64
		if _, err := fmt.Sscanf(span, "bytes %d-%d/%d", &from, &to, &got.Size); err != nil || from != r.Offset {
			body.Close()
			return nil, 0, got, fault.WithHint(fault.New(fault.Corrupt, "read %s: the server answers the range %q", b.name(key), span), "the server, or a proxy before it, answers ranges wrongly: correct it, or set endpoint to one that does not")
		}
		left = to - from + 1
	} else if r.Offset > 0 {
		body.Close()
		return nil, 0, got, fault.WithHint(fault.New(fault.Corrupt, "read %s: the server answers the whole where a piece was asked for", b.name(key)), "the server, or a proxy before it, answers no ranges: set endpoint to one that does")
	}
	return body, left, got, nil
}

// classed gives an answer its kind. Nothing of a signature or a query is told.
func (b *s3) classed(ctx context.Context, key string, err error) error {
	name := b.name(key)
	if last := verdict(ctx); last != nil {
		err = last
	}
	var known *fault.Error
	switch {
	case errors.As(err, &known):
		return fault.WithHint(fault.New(known.Kind, "%s: %w", name, known), "%s", fault.HintOf(known))
	case ctx.Err() != nil:
		return fault.New(fault.Cancelled, "%s: %w", name, ctx.Err())
	}
	r := minio.ToErrorResponse(err)
	text := fmt.Sprintf("%s: %s", name, r.Code)
	switch r.Code {
	case "NoSuchKey", "NotFound", "NoSuchVersion":
		return fault.New(fault.Missing, "%s", text)
	case "NoSuchBucket":
		return fault.WithHint(fault.New(fault.Missing, "the bucket %s (NoSuchBucket): %w", b.bucket, port.ErrAbsent), "make the bucket, or correct its name")
	case "PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException":
		return fault.WithHint(fault.New(fault.Invalid, "%s: the bucket is in another region", text), "set region (and endpoint, if one is set) to where the bucket is")
	case "PreconditionFailed", "ConditionalRequestConflict":
		return fault.WithHint(fault.New(fault.Conflict, "%s has changed", name), "run the command again: it looks at the bucket anew")
	case "RequestTimeTooSkewed":
		return fault.WithHint(fault.New(fault.Denied, "%s", text), "set this machine's clock: the server's differs by more than it allows")
	case "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired":
		return fault.WithHint(fault.New(fault.Denied, "%s", text), "the credentials have expired: renew them")
	case "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "AllAccessDisabled", "InvalidToken":
		return fault.WithHint(fault.New(fault.Denied, "%s", text), "allow these credentials to use the bucket, or give others: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or the remote's own")
	case "XMinioStorageFull", "QuotaExceeded", "InsufficientStorage":
		return fault.WithHint(fault.New(fault.Transient, "%s: the server has no room left", text), "make room there, then run the command again")
	case "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch", "BadDigest":
		return fault.WithHint(fault.New(fault.Transient, "%s: what arrived was not what was sent", text), "try again; if it stays, look for a proxy that changes what passes, and check the machine's memory")
	}
	switch {
	case r.StatusCode == http.StatusNotFound:
		return fault.New(fault.Missing, "%s", name)
	case r.StatusCode == http.StatusUnauthorized, r.StatusCode == http.StatusForbidden:
		return fault.WithHint(fault.New(fault.Denied, "%s", text), "allow these credentials to use the bucket")
	case r.StatusCode >= 500, r.StatusCode == http.StatusTooManyRequests, r.StatusCode == http.StatusRequestTimeout:
		return fault.New(fault.Transient, "%s", text)
	case r.StatusCode >= 400:
		return fault.WithHint(fault.New(fault.Invalid, "%s", text), "correct the bucket, its region or its endpoint")
	}
	var unreached *url.Error
	if errors.As(err, &unreached) {
		err = unreached.Err // its address holds the query
	}
	return fault.WithHint(fault.New(fault.Transient, "%s: %w", name, err), "try again when the server answers")
}
