// Uploads that others began: they said who may read what comes of them.

package bucket

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/peers"
)

var uploadID = regexp.MustCompile(`<UploadId>([^<]*)</UploadId>`)

// telling is a server that tells who began an upload, as S3 does: whoever was named at that moment.
type telling struct {
	http.Handler
	mu    sync.Mutex
	name  string // "": it does not tell
	began map[string]string
	parts int // that were sent
}

func (s *telling) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.URL.Query().Has("partNumber") {
		s.parts++
	}
	rec := httptest.NewRecorder()
	s.Handler.ServeHTTP(rec, r)
	body := rec.Body.Bytes()
	if r.URL.Query().Has("uploads") {
		if id := uploadID.FindSubmatch(body); r.Method == http.MethodPost && id != nil {
			s.began[string(id[1])] = s.name
		}
		body = uploadID.ReplaceAllFunc(body, func(found []byte) []byte {
			if who := s.began[string(uploadID.FindSubmatch(found)[1])]; who != "" {
				found = append(bytes.Clone(found), "<Initiator><ID>"+who+"</ID></Initiator>"...)
			}
			return found
		})
	}
	rec.Header().Del("Content-Length")
	maps.Copy(w.Header(), rec.Header())
	w.WriteHeader(rec.Code)
	_, _ = w.Write(body)
}

// TestWhatOthersBeganIsNotGoneOnWith: what comes of an upload is read by whom they let who began it. What another process of ours began is gone on with.
func TestWhatOthersBeganIsNotGoneOnWith(t *testing.T) {
	data := noise(2*leastPart + 7)
	for name, c := range map[string]struct {
		began, us string
		sent      int
	}{
		"somebody else":           {"them", "us", 3},
		"another process of ours": {"us", "us", 2},
		"a server does not tell":  {"", "", 3},
	} {
		t.Run(name, func(t *testing.T) {
			server := &telling{Handler: looks(peers.S3()), name: c.began, began: map[string]string{}}
			between := peers.NewBetween(t, server)
			other := made(t, between.URL, "others").(*s3)
			theirs := upload{key: "k"}
			if err := other.begin(t.Context(), &theirs); err != nil {
				t.Fatal(err)
			}
			first := part{number: 1, size: leastPart}
			theirs.r, theirs.size, theirs.signs = bytes.NewReader(data), int64(len(data)), new(atomic.Bool)
			if _, err := other.sendPart(t.Context(), theirs, &first); err != nil {
				t.Fatal(err)
			}
			first.kept.giveBack()
			server.mu.Lock()
			server.name, server.parts = c.us, 0
			server.mu.Unlock()

			b := &s3{c: other.c, creds: other.creds, core: other.core, bucket: other.bucket, prefix: other.prefix, alone: other.alone} // of another process
			if _, err := b.Put(t.Context(), "k", bytes.NewReader(data), int64(len(data))); err != nil {
				t.Fatal(err)
			}
			body, _, err := b.Get(t.Context(), "k", port.All)
			if err != nil {
				t.Fatal(err)
			}
			defer body.Close()
			if got, err := io.ReadAll(body); err != nil || !bytes.Equal(got, data) || server.parts != c.sent {
				t.Errorf("%d bytes came back, %v; %d parts were sent, of %d", len(got), err, server.parts, c.sent)
			}
			left, err := b.unfinished(t.Context(), "k")
			if minio.ToErrorResponse(err).Code == minio.NoSuchUpload {
				err = nil
			}
			if gone := c.sent == 2; err != nil || gone && len(left) != 0 || !gone && (len(left) != 1 || left[0].UploadID != theirs.id) {
				t.Errorf("there are %+v, %v", left, err)
			}
		})
	}
}
