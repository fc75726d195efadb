// What parts are held against, by the server and before it has all of them.

package bucket

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/peers"
)

// looks is next as a server that holds parts against their checksums, as S3 does.
func looks(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if want := r.Header.Get("X-Amz-Checksum-Crc32c"); want != "" {
			raw, err := io.ReadAll(r.Body)
			if err != nil || base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.Checksum(raw, castagnoli))) != want {
				refuses(w, "BadDigest")
				return
			}
			w.Header().Set("X-Amz-Checksum-Crc32c", want)
			r.Body = io.NopCloser(bytes.NewReader(raw))
		}
		next.ServeHTTP(w, r)
	})
}

func refuses(w http.ResponseWriter, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(http.StatusBadRequest)
	_, _ = io.WriteString(w, `<?xml version="1.0"?><Error><Code>`+code+`</Code><Message>no</Message></Error>`)
}

// sent are the requests that had a part.
type sent struct {
	sync.Mutex
	all []http.Header
}

func (s *sent) between(t *testing.T, next http.Handler) *peers.Between {
	between := peers.NewBetween(t, next)
	between.Meddle(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.URL.Query().Has("partNumber") {
			s.Lock()
			s.all = append(s.all, r.Header.Clone())
			s.Unlock()
		}
		next.ServeHTTP(w, r)
	})
	return between
}

func TestPartsAreHeldAgainstAChecksum(t *testing.T) { partsAreHeld(t, looks(peers.S3())) }

func TestRealPartsAreHeldAgainstAChecksum(t *testing.T) {
	partsAreHeld(t, peers.Proxy(t, peers.MinIO(t)))
}

// partsAreHeld: a server that looks at checksums gets one of each part and nothing else, once. What changes on its way is sent again.
func partsAreHeld(t *testing.T, server http.Handler) {
	var s sent
	between := s.between(t, server)
	b := made(t, between.URL, "held")
	data := noise(3*leastPart + 7)
	if _, err := b.(port.NamedPutter).PutNamed(t.Context(), "k", bytes.NewReader(data), int64(len(data)), digest.Of(data)); err != nil {
		t.Fatal(err)
	}
	if len(s.all) != 4 {
		t.Errorf("%d parts were sent, of 4", len(s.all))
	}
	for _, h := range s.all {
		if h.Get("X-Amz-Checksum-Crc32c") == "" || h.Get("X-Amz-Content-Sha256") != "UNSIGNED-PAYLOAD" || h.Get("Content-Md5") != "" {
			t.Errorf("a part was sent with %v", h)
		}
	}
	b.(*s3).alone = false // somebody else may write to the line
	s.all = nil
	if _, err := b.Put(t.Context(), "signed", bytes.NewReader(data), int64(len(data))); err != nil {
		t.Fatal(err)
	}
	for _, h := range s.all {
		if len(h.Get("X-Amz-Content-Sha256")) != 64 || h.Get("Content-Md5") == "" {
			t.Errorf("a part was sent with %v", h)
		}
	}
	for _, key := range []string{"k", "signed"} {
		if got, err := whole(t, b, key); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: %d bytes came back, %v", key, len(got), err)
		}
	}
}

func whole(t *testing.T, b port.Bucket, key string) ([]byte, error) {
	t.Helper()
	body, _, err := b.Get(t.Context(), key, port.All)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(body)
}

// TestAServerThatDoesNotLookIsSentMore: where it ignores checksums, refuses requests that have some, or takes no payload that is not signed, parts
// have their MD5 and SHA-256, and what changes on its way is found.
func TestAServerThatDoesNotLookIsSentMore(t *testing.T) {
	data := noise(leastPart + 7)
	for name, refuse := range map[string]func(r *http.Request) bool{
		"ignores":            func(*http.Request) bool { return false },
		"knows no algorithm": func(r *http.Request) bool { return r.Header.Get("X-Amz-Checksum-Algorithm") != "" },
		"knows no checksum": func(r *http.Request) bool {
			return r.Header.Get("X-Amz-Checksum-Crc32c") != "" && r.Header.Get("Content-Md5") == ""
		},
		"knows no checksum of a part": func(r *http.Request) bool { return r.Header.Get("X-Amz-Checksum-Crc32c") != "" },
		"wants signatures": func(r *http.Request) bool {
			return r.URL.Query().Has("partNumber") && r.Header.Get("X-Amz-Content-Sha256") == "UNSIGNED-PAYLOAD"
		},
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			md5s, spoilt := 0, false
			between := peers.NewBetween(t, peers.S3())
			between.Meddle(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				if refuse(r) {
					_, _ = io.Copy(io.Discard, r.Body)
					refuses(w, "InvalidArgument")
					return
				}
				mu.Lock()
				if r.Header.Get("Content-Md5") != "" {
					if md5s++; !spoilt {
						spoilt = true
						r.Body = peers.Garble(r.Body)
					}
				}
				mu.Unlock()
				next.ServeHTTP(w, r)
			})
			b := made(t, between.URL, "blind")
			for _, key := range []string{"first", "second"} {
				if _, err := b.(port.NamedPutter).PutNamed(t.Context(), key, bytes.NewReader(data), int64(len(data)), digest.Of(data)); err != nil {
					t.Fatal(err)
				}
				if got, err := whole(t, b, key); err != nil || !bytes.Equal(got, data) {
					t.Errorf("%d bytes came back, %v", len(got), err)
				}
				if key == "first" && !spoilt {
					t.Error("no part had an MD5")
				} else if key == "first" {
					md5s = 0
				}
			}
			if md5s != 2 {
				t.Errorf("%d parts had an MD5, of 2", md5s)
			}
		})
	}
}

// TestAServerThatRefusesChecksumsKeepsNoHalves: it takes an upload whose parts have checksums, and none of the parts. The upload is begun once more, and
// what was begun before is given up, whether in this command or in one before.
func TestAServerThatRefusesChecksumsKeepsNoHalves(t *testing.T) {
	data := noise(3*leastPart + 7)
	for _, size := range []int{leastPart + 7, len(data)} {
		var begun, ended atomic.Int64
		between := peers.NewBetween(t, peers.S3())
		between.Meddle(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			q := r.URL.Query()
			switch {
			case q.Has("uploads") && r.Method == http.MethodPost:
				begun.Add(1)
				r.Header.Del("X-Amz-Checksum-Algorithm")
			case q.Has("uploadId") && r.Method == http.MethodDelete:
				ended.Add(1)
			case q.Has("partNumber") && r.Header.Get("X-Amz-Checksum-Crc32c") != "":
				_, _ = io.Copy(io.Discard, r.Body)
				refuses(w, "NotImplemented")
				return
			}
			next.ServeHTTP(w, r)
		})
		b := made(t, between.URL, "refuses")
		for i, key := range []string{"first", "second"} {
			if _, err := b.(port.NamedPutter).PutNamed(t.Context(), key, bytes.NewReader(data[:size]), int64(size), digest.Of(data[:size])); err != nil {
				t.Fatalf("%s: %v", key, err)
			}
			if got, err := whole(t, b, key); err != nil || !bytes.Equal(got, data[:size]) {
				t.Errorf("%d bytes came back, %v", len(got), err)
			}
			if begun.Load() != int64(2+i) || ended.Load() != 1 {
				t.Errorf("%s: %d uploads were begun and %d given up", key, begun.Load(), ended.Load())
			}
		}
	}
}

// TestWhoIsDeniedLearnsNothingOfChecksums: a credential or a clock that is wrong, for one part or for all, does not have the next object sent as to a
// server that knows no checksums.
func TestWhoIsDeniedLearnsNothingOfChecksums(t *testing.T) {
	data := noise(leastPart + 7)
	for _, code := range []string{"AccessDenied", "RequestTimeTooSkewed"} {
		for what, at := range map[string]func(r *http.Request) bool{
			"beginning": func(r *http.Request) bool { return r.URL.Query().Has("uploads") && r.Method == http.MethodPost },
			"each part": func(r *http.Request) bool { return r.URL.Query().Has("partNumber") },
			"unsigned payload": func(r *http.Request) bool {
				return r.URL.Query().Has("partNumber") && r.Header.Get("Content-Md5") == ""
			},
		} {
			between := peers.NewBetween(t, looks(peers.S3()))
			between.Meddle(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				if at(r) {
					_, _ = io.Copy(io.Discard, r.Body)
					refuses(w, code)
					return
				}
				next.ServeHTTP(w, r)
			})
			b := made(t, between.URL, "denied").(*s3)
			_, err := b.PutNamed(t.Context(), "k", bytes.NewReader(data), int64(len(data)), digest.Of(data))
			if what == "unsigned payload" && err != nil || what != "unsigned payload" && fault.Of(err) != fault.Denied {
				t.Errorf("%s at %s: %v", code, what, err)
			}
			if b.plain.Load() {
				t.Errorf("%s at %s: the server is taken for one that knows no checksums", code, what)
			}
		}
	}
}

// TestWhatIsNotWhatItIsNamedIsNotKept: neither it nor parts of it, small or large, whole or cut short.
func TestWhatIsNotWhatItIsNamedIsNotKept(t *testing.T) {
	b := made(t, peers.NewBetween(t, looks(peers.S3())).URL, "named").(*s3)
	for name, c := range map[string]struct {
		is, named []byte
		size      int64
		want      fault.Kind
	}{
		"small":          {[]byte("one"), []byte("two"), 3, fault.Corrupt},
		"large":          {noise(2*leastPart + 1), noise(2 * leastPart), 2*leastPart + 1, fault.Corrupt},
		"one bit":        {append(noise(2*leastPart), 1), append(noise(2*leastPart), 0), 2*leastPart + 1, fault.Corrupt},
		"longer":         {noise(2*leastPart + 9), noise(2*leastPart + 9), 2*leastPart + 1, fault.Corrupt},
		"shorter":        {noise(leastPart + 9), noise(leastPart + 9), 2*leastPart + 1, fault.Conflict},
		"small, shorter": {[]byte("one"), []byte("one"), 9, fault.Conflict},
	} {
		_, err := b.PutNamed(t.Context(), "k", bytes.NewReader(c.is), c.size, digest.Of(c.named))
		if fault.Of(err) != c.want || fault.HintOf(err) == "" {
			t.Errorf("%s: %v (%s)", name, err, fault.HintOf(err))
		}
		if _, err := b.Stat(t.Context(), "k"); fault.Of(err) != fault.Missing {
			t.Errorf("%s: it is there (%v)", name, err)
		}
		if l, err := b.core.ListMultipartUploads(t.Context(), b.bucket, b.prefix, "", "", "", 10); err != nil && minio.ToErrorResponse(err).Code != minio.NoSuchUpload || len(l.Uploads) != 0 {
			t.Errorf("%s: %d uploads are left, %v", name, len(l.Uploads), err)
		}
	}
}
