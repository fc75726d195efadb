// Files of an artifact in a bucket of others.

package artifact

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// held is a bucket in memory, which fails once it has taken left.
type held struct {
	port.Bucket
	mu   sync.Mutex
	all  map[string]int64
	left int
}

func (h *held) Put(_ context.Context, key string, _ io.ReaderAt, size int64) (port.Object, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.left--; h.left < 0 {
		return port.Object{}, fault.New(fault.Transient, "no room")
	}
	h.all[key] = size
	return port.Object{Key: key, Size: size}, nil
}

func (h *held) List(_ context.Context, prefix string) iter.Seq2[port.Object, error] {
	return func(yield func(port.Object, error) bool) {
		for _, key := range slices.Sorted(maps.Keys(h.all)) {
			if strings.HasPrefix(key, prefix) && !yield(port.Object{Key: key, Size: h.all[key]}, nil) {
				return
			}
		}
	}
}

type open struct{ *bytes.Reader }

func (open) Close() error { return nil }

// TestAFolderOfFiftyThousandFilesIsSentOnce: cut off in the middle it goes on with those that are missing, and then nothing is.
func TestAFolderOfFiftyThousandFilesIsSentOnce(t *testing.T) {
	const n = 50_000
	m := make(digest.Manifest, n)
	content := map[digest.Digest]string{}
	for i := range m {
		text := fmt.Sprint(i)
		d := digest.Of([]byte(text))
		m[i], content[d] = digest.File{Path: fmt.Sprintf("shards/%05d.bin", i), Digest: d, Size: int64(len(text))}, text
	}
	read := func(_ context.Context, d digest.Digest) (io.ReadCloser, error) {
		return open{bytes.NewReader([]byte(content[d]))}, nil
	}
	art := port.Artifact{Name: "model", Digest: m.Digest(), Size: m.Size(), Files: m}
	b := &held{all: map[string]int64{"at/other.bin": 1}, left: 20_000}
	is, err := Look(t.Context(), b, "at/model/", art)
	if err != nil || len(is.Lacks) != n {
		t.Fatalf("%d are missing at first, %v", len(is.Lacks), err)
	}
	if sent, err := Send(t.Context(), b, "at/model/", is.Lacks, read); fault.Of(err) != fault.Transient || len(sent) != 20_000 {
		t.Errorf("cut off: %d sent, %v", len(sent), err)
	}
	b.left = n
	if is, err = Look(t.Context(), b, "at/model/", art); err != nil || len(is.Lacks) != n-20_000 {
		t.Fatalf("%d are missing then, %v", len(is.Lacks), err)
	}
	if sent, err := Send(t.Context(), b, "at/model/", is.Lacks, read); err != nil || len(sent) != n-20_000 {
		t.Errorf("the rest: %d sent, %v", len(sent), err)
	}
	b.all["at/model/shards/00007.bin"] = 99
	if is, err = Look(t.Context(), b, "at/model/", art); err != nil || len(is.Lacks) != 0 || !slices.Equal(is.Other, []string{"shards/00007.bin"}) {
		t.Errorf("at last %d are missing, %v are others, %v", len(is.Lacks), is.Other, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Send(ended, b, "at/model/", Files(art), read); fault.Of(err) != fault.Cancelled {
		t.Errorf("nobody waits for it any more: %v", err)
	}
}
