// One part, and what a server holds its bytes against: a CRC-32C of its own, over a line that nobody else writes to; else its MD5 and SHA-256. A server that
// did not look at the former is sent the latter.

package bucket

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"hash/crc32"
	"io"
	"maps"
	"net/http"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/ended"
)

// sums are what a server checks bytes by.
type sums struct{ md5, sha256 []byte }

// summed reads r. Fewer bytes than it has are a Conflict: they change while they are read.
func summed(ctx context.Context, r *io.SectionReader) (sums, error) {
	m, s := md5.New(), sha256.New()
	got, err := io.Copy(io.MultiWriter(m, s), ended.Reader(ctx, r, "copy"))
	if _, off, n := r.Outer(); err == nil && got != n {
		err = fewer(off+got, off+n)
	}
	return sums{m.Sum(nil), s.Sum(nil)}, err
}

func (s sums) base64() string { return base64.StdEncoding.EncodeToString(s.md5) }
func (s sums) hex() string    { return hex.EncodeToString(s.sha256) }

// etag is what a part's tag is, but for one that the server encrypts with a key of KMS.
func (s sums) etag() string { return hex.EncodeToString(s.md5) }

// fewer is a Conflict: bytes change while they are read.
func fewer(got, want int64) error {
	return fault.WithHint(fault.New(fault.Conflict, "there are %d bytes and not %d: it changed while it was read", got, want), unchanged)
}

const unchanged = "let nothing write the file meanwhile, and run the command again"

// misnamed is Corrupt where what was read is not what it is named.
func misnamed(name, is digest.Digest) error {
	if is == name {
		return nil
	}
	return fault.WithHint(fault.New(fault.Corrupt, "%s: the bytes that are there by this name are others", name),
		"restore it from a copy, or run vishwa apply, which makes it again where a step needs it")
}

// algorithm is that of the checksums that parts have of their own.
const algorithm = "CRC32C"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// part is a piece of an upload, and its checksum once it was read.
type part struct {
	number    int
	off, size int64
	checksum  string
	kept      *keptPart // its bytes, where there was room for them: they are read once, and those that were looked at are those that are sent
}

// bytes are the part's, of all that r has.
func (p *part) bytes(r io.ReaderAt) *io.SectionReader {
	if p.kept != nil {
		return io.NewSectionReader(p.kept, 0, p.size)
	}
	return io.NewSectionReader(r, p.off, p.size)
}

// readBytes reads the part, for its checksum and for whatever else is made of its bytes.
func (p *part) readBytes(ctx context.Context, r io.ReaderAt, also io.Writer) error {
	crc := crc32.New(castagnoli)
	in, to := ended.Reader(ctx, p.bytes(r), "copy"), io.MultiWriter(crc, also)
	n, err := int64(0), error(nil)
	if p.kept = keepPart(p.size); p.kept != nil {
		n, err = p.kept.fill(in, to, p.size)
	} else {
		n, err = io.Copy(to, in)
	}
	if err == nil && n != p.size {
		err = fewer(p.off+n, p.off+p.size)
	}
	p.checksum = checksum(crc)
	return err
}

// summed reads the part once more, for a server that is sent what all of them know. What it was before, if it was looked at, it must be still.
func (p *part) summed(ctx context.Context, r io.ReaderAt) (sums, error) {
	crc, m, s := crc32.New(castagnoli), md5.New(), sha256.New()
	n, err := io.Copy(io.MultiWriter(crc, m, s), ended.Reader(ctx, p.bytes(r), "copy"))
	if err == nil && n != p.size {
		err = fewer(p.off+n, p.off+p.size)
	}
	is := checksum(crc)
	if err == nil && p.checksum != "" && p.checksum != is {
		err = fault.WithHint(fault.New(fault.Conflict, "bytes %d to %d changed while they were read", p.off, p.off+p.size), unchanged)
	}
	p.checksum = is
	return sums{m.Sum(nil), s.Sum(nil)}, err
}

// checksum is a CRC-32C as S3 writes it.
func checksum(crc hash.Hash32) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc.Sum32()))
}

// begin begins an upload whose parts have checksums, or one without where the server knows none.
func (b *s3) begin(ctx context.Context, u *upload) (err error) {
	defer func() {
		if err == nil {
			b.ours.Store(u.id, true)
		}
	}()
	o := b.putting()
	u.checks = !b.plain.Load() && !u.plain
	without := false
	if u.checks {
		with := o
		with.UserMetadata = maps.Clone(o.UserMetadata)
		if with.UserMetadata == nil {
			with.UserMetadata = map[string]string{}
		}
		with.UserMetadata["x-amz-checksum-algorithm"] = algorithm
		if u.id, err = b.core.NewMultipartUpload(ctx, b.bucket, b.prefix+u.key, with); err == nil || !refused(err) || b.denied(ctx, err) {
			return err
		}
		u.checks, without = false, true
	}
	u.id, err = b.core.NewMultipartUpload(ctx, b.bucket, b.prefix+u.key, o)
	if err == nil && without {
		b.plain.Store(true)
	}
	return err
}

// denied tells a refusal that is about who asks, or when, and says nothing of checksums.
func (b *s3) denied(ctx context.Context, err error) bool {
	return fault.Of(b.classed(ctx, "", err)) == fault.Denied
}

// unknownChecks is the refusal of a part with a checksum by a server that took the upload as one of such parts, however the part was sent.
type unknownChecks struct {
	upload string
	error
}

func (u *unknownChecks) Unwrap() error { return u.error }

// refused tells that a server did not take a request as it was.
func refused(err error) bool {
	r := minio.ToErrorResponse(err)
	return (r.StatusCode/100 == 4 || r.StatusCode == http.StatusNotImplemented) && r.StatusCode != http.StatusTooManyRequests && r.StatusCode != http.StatusRequestTimeout &&
		r.Code != minio.NoSuchUpload && !garbled(err)
}

// sendPart has the server have a part.
func (b *s3) sendPart(ctx context.Context, u upload, p *part) (sent minio.ObjectPart, err error) {
	var sum sums
	known := false
	if was := u.there[p.number]; was.Size == p.size {
		if sum, err = p.summed(ctx, u.r); err != nil {
			return sent, err
		}
		known = true
		if strings.Trim(was.ETag, `"`) == sum.etag() && (!u.checks || was.ChecksumCRC32C != "") {
			return was, nil
		}
	}
	put := func(o minio.PutObjectPartOptions) (minio.ObjectPart, error) {
		o.SSE, o.DisableContentSha256 = b.sse, true
		return b.core.PutObjectPart(ctx, b.bucket, b.prefix+u.key, u.id, p.number, p.bytes(u.r), p.size, o)
	}
	blind := false // the server took the part as it is sent to those who do not look, and not as it is to those who do
	if u.checks && b.alone && !b.plain.Load() && !u.signs.Load() {
		if p.checksum == "" {
			if err := p.readBytes(ctx, u.r, io.Discard); err != nil {
				return sent, err
			}
		}
		sent, err = put(minio.PutObjectPartOptions{CustomHeader: http.Header{"X-Amz-Checksum-Crc32c": {p.checksum}}})
		if err == nil && sent.ChecksumCRC32C == p.checksum || err != nil && !refused(err) {
			return sent, err
		}
		switch {
		case err == nil: // it did not look
			b.plain.Store(true)
		case b.denied(ctx, err): // such as by a rule of this bucket that payloads are signed
			u.signs.Store(true)
		default:
			blind = true
		}
	}
	if !known {
		if sum, err = p.summed(ctx, u.r); err != nil {
			return sent, err
		}
	}
	o := minio.PutObjectPartOptions{Md5Base64: sum.base64(), Sha256Hex: sum.hex()}
	if u.checks { // the server may want those of all parts
		o.CustomHeader = http.Header{"X-Amz-Checksum-Crc32c": {p.checksum}}
	}
	sent, err = put(o)
	switch {
	case err == nil && blind:
		b.plain.Store(true)
	case u.checks && err != nil && refused(err) && !b.denied(ctx, err):
		err = &unknownChecks{u.id, err}
	}
	return sent, err
}
