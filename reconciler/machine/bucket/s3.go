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
	"path/filepath"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/encrypt"

	"github.com/vishwaops/vishwa/reconciler/fault"
	dialling "github.com/vishwaops/vishwa/reconciler/machine/dial"
	"github.com/vishwaops/vishwa/reconciler/machine/httpx"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// S3Options say which bucket, and how it is asked. Bucket alone is Amazon's, with
// the usual credentials.
type S3Options struct {
	Bucket, Prefix string // keys are below Prefix
	Endpoint       string // http://host:port, https://host or host; "" is Amazon's
	Region         string
	Profile        string // of the shared files
	Credentials    string // the shared file; "" is the usual one
	// Access is who may do what with objects that are put: acl, and grant-read,
	// grant-read-acp, grant-write-acp and grant-full-control, as S3 has them.
	Access     map[string]string
	PathStyle  *bool // nil: where there is an endpoint of its own
	Anonymous  bool
	Encryption string // "", AES256 or aws:kms
	KMSKey     string
	CAFile     string // of authorities that are trusted besides the system's

	AccessKey, SecretKey, SessionToken string // where they are given; else the usual places

	// Guarded has the server reached where its address is of the public internet, and
	// where Allow names it or its address; and by no proxy.
	Guarded bool
	Allow   []string

	Lookup func(name string) (string, bool) // the caller's variables; for AWS_*
	Jobs   int                              // requests under way at once; zero is 32

	metadata string        // where the machine's role is asked for; "" is its usual place
	pace     dialling.Pace // zero is steady
}

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
	c, err := minio.New(host, &minio.Options{
		Creds: o.credentials(), Secure: secure, Region: o.region(), BucketLookup: style, Transport: held(paced(transport, o.jobs()), o.pace),
	})
	if err != nil {
		return nil, fault.New(fault.Invalid, "open s3://%s: %w", o.Bucket, err)
	}
	b := &s3{c: c, core: minio.Core{Client: c}, bucket: o.Bucket}
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
			return nil, fault.New(fault.Invalid, "open s3://%s: %w", o.Bucket, err)
		}
	default:
		return nil, fault.WithHint(fault.New(fault.Invalid, "open s3://%s: encryption %q is unknown", o.Bucket, o.Encryption), "choose AES256 or aws:kms")
	}
	return b, nil
}

func (o S3Options) endpoint() (host string, secure bool, err error) {
	if o.Endpoint == "" {
		return "s3.amazonaws.com", true, nil
	}
	if !strings.Contains(o.Endpoint, "://") {
		return o.Endpoint, true, nil
	}
	u, err := url.Parse(o.Endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.Path != "" && u.Path != "/" {
		return "", false, fault.WithHint(fault.New(fault.Invalid, "the endpoint of s3://%s cannot be read", o.Bucket), "write it as https://host:port")
	}
	return u.Host, u.Scheme == "https", nil
}

func (o S3Options) lookup(name string) string {
	if o.Lookup == nil {
		return ""
	}
	v, _ := o.Lookup(name)
	return v
}

func (o S3Options) region() string {
	for _, r := range []string{o.Region, o.lookup("AWS_REGION"), o.lookup("AWS_DEFAULT_REGION")} {
		if r != "" {
			return r
		}
	}
	if o.Endpoint != "" {
		return "us-east-1" // what servers other than Amazon's answer to; saves asking where the bucket is
	}
	return ""
}

// credentials come from the first place that has some: the options, variables, the
// shared file, a web identity, the machine's role.
func (o S3Options) credentials() *credentials.Credentials {
	if o.Anonymous {
		return credentials.NewStaticV4("", "", "")
	}
	if o.AccessKey != "" {
		return credentials.NewStaticV4(o.AccessKey, o.SecretKey, o.SessionToken)
	}
	profile := o.Profile
	if profile == "" {
		profile = o.lookup("AWS_PROFILE")
	}
	var places []credentials.Provider
	if id := o.lookup("AWS_ACCESS_KEY_ID"); id != "" && o.Profile == "" {
		places = append(places, &credentials.Static{Value: credentials.Value{
			AccessKeyID: id, SecretAccessKey: o.lookup("AWS_SECRET_ACCESS_KEY"), SessionToken: o.lookup("AWS_SESSION_TOKEN"), SignerType: credentials.SignatureV4}})
	}
	file := o.Credentials
	if file == "" {
		file = o.lookup("AWS_SHARED_CREDENTIALS_FILE")
	}
	if home := o.lookup("HOME"); file == "" && home != "" {
		file = filepath.Join(home, ".aws", "credentials")
	}
	if file != "" {
		places = append(places, &credentials.FileAWSCredentials{Filename: file, Profile: profile})
	}
	// Where there is no machine's role, asking for it must not take long.
	places = append(places, &credentials.IAM{Client: &http.Client{Timeout: 2 * time.Second}, Endpoint: o.metadata})
	return credentials.New(&found{credentials.Chain{Providers: places}})
}

// found is a chain that does not end in asking without credentials.
type found struct{ credentials.Chain }

func (f *found) RetrieveWithCredContext(cc *credentials.CredContext) (credentials.Value, error) {
	v, err := f.Chain.RetrieveWithCredContext(cc)
	if err == nil && v.AccessKeyID == "" {
		err = fault.WithHint(fault.New(fault.Denied, "there are no credentials for S3"),
			"set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile in ~/.aws/credentials; what is public is read where anonymous access is declared")
	}
	return v, err
}

func (f *found) Retrieve() (credentials.Value, error) { return f.RetrieveWithCredContext(nil) }

func (o S3Options) jobs() int {
	if o.Jobs > 0 {
		return o.Jobs
	}
	return 32
}

func (o S3Options) transport(host string, secure bool) (*http.Transport, error) {
	t := httpx.Transport(httpx.Options{Dial: dial, Header: stall, PerHost: 2 * o.jobs(), Verbatim: true})
	// Small objects are many: a connection is worth keeping.
	t.Proxy, t.MaxIdleConns, t.IdleConnTimeout = http.ProxyFromEnvironment, 2*o.jobs(), stall
	t.ExpectContinueTimeout, t.WriteBufferSize, t.ReadBufferSize, t.ForceAttemptHTTP2 = 5*time.Second, 32<<10, 32<<10, false
	if o.Guarded {
		to, err := o.guard(host)
		if err != nil {
			return nil, err
		}
		t.Proxy, t.DialContext = nil, to // a proxy would be dialled in place of the address that has to be looked at
	}
	authorities := o.CAFile
	if authorities == "" {
		authorities = o.lookup("AWS_CA_BUNDLE")
	}
	if authorities == "" || !secure {
		return t, nil
	}
	roots, err := httpx.Authorities(authorities)
	if err != nil {
		return nil, fault.WithHint(fmt.Errorf("s3://%s: %w", o.Bucket, err), "correct ssl_verify, or AWS_CA_BUNDLE")
	}
	t.TLSClientConfig.RootCAs = roots
	return t, nil
}

type s3 struct {
	c              *minio.Client
	core           minio.Core
	bucket, prefix string
	sse            encrypt.ServerSide
	access         map[string]string // headers
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
			return nil, 0, got, fault.New(fault.Corrupt, "read %s: the server answers the range %q", b.name(key), span)
		}
		left = to - from + 1
	} else if r.Offset > 0 {
		body.Close()
		return nil, 0, got, fault.New(fault.Corrupt, "read %s: the server answers the whole where a piece was asked for", b.name(key))
	}
	return body, left, got, nil
}

func (b *s3) Put(ctx context.Context, key string, r io.ReaderAt, size int64) (port.Object, error) {
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
		o, err = put(ctx, key, r, size)
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
	return code == "XAmzContentSHA256Mismatch" || code == "BadDigest"
}

func (b *s3) putWhole(ctx context.Context, key string, r io.ReaderAt, size int64) (port.Object, error) {
	sum, err := summed(ctx, r, 0, size)
	if err != nil {
		return port.Object{}, err
	}
	o := b.putting()
	o.DisableContentSha256 = true // in chunks: it is known
	info, err := b.core.PutObject(ctx, b.bucket, b.prefix+key, io.NewSectionReader(r, 0, size), size, sum.base64(), sum.hex(), o)
	return port.Object{Key: key, Size: size, ETag: info.ETag, Version: info.VersionID, Modified: info.LastModified}, err
}

func (b *s3) putting() minio.PutObjectOptions {
	return minio.PutObjectOptions{ContentType: "application/octet-stream", ServerSideEncryption: b.sse, UserMetadata: b.access}
}

func (b *s3) Delete(ctx context.Context, keys ...string) error {
	ctx, cancel := context.WithCancel(asking(ctx))
	defer cancel()
	send := make(chan minio.ObjectInfo)
	go func() {
		defer close(send)
		for _, k := range keys {
			select {
			case send <- minio.ObjectInfo{Key: b.prefix + k}:
			case <-ctx.Done():
				return
			}
		}
	}()
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
	case "PreconditionFailed":
		return fault.New(fault.Conflict, "%s has changed", name)
	case "RequestTimeTooSkewed":
		return fault.WithHint(fault.New(fault.Denied, "%s", text), "set this machine's clock: the server's differs by more than it allows")
	case "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired":
		return fault.WithHint(fault.New(fault.Denied, "%s", text), "the credentials have expired: renew them")
	case "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "AllAccessDisabled", "InvalidToken":
		return fault.WithHint(fault.New(fault.Denied, "%s", text), "let these credentials at the bucket, or give others: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or the remote's own")
	case "XMinioStorageFull", "QuotaExceeded", "InsufficientStorage":
		return fault.WithHint(fault.New(fault.Transient, "%s: the server has no room left", text), "make room there, then run the command again")
	case "XAmzContentSHA256Mismatch", "BadDigest":
		return fault.New(fault.Transient, "%s: what arrived was not what was sent", text)
	}
	switch {
	case r.StatusCode == http.StatusNotFound:
		return fault.New(fault.Missing, "%s", name)
	case r.StatusCode == http.StatusUnauthorized, r.StatusCode == http.StatusForbidden:
		return fault.WithHint(fault.New(fault.Denied, "%s", text), "let these credentials at the bucket")
	case r.StatusCode >= 500, r.StatusCode == http.StatusTooManyRequests, r.StatusCode == http.StatusRequestTimeout:
		return fault.New(fault.Transient, "%s", text)
	case r.StatusCode >= 400:
		return fault.New(fault.Invalid, "%s", text)
	}
	var unreached *url.Error
	if errors.As(err, &unreached) {
		err = unreached.Err // its address holds the query
	}
	return fault.WithHint(fault.New(fault.Transient, "%s: %w", name, err), "try again when the server answers")
}

// Variables are those of the environment that say how to sign in to S3.
var Variables = []string{
	"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION",
	"AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE", "AWS_CA_BUNDLE", "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME", "AWS_WEB_IDENTITY_TOKEN_FILE",
	"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN",
}
