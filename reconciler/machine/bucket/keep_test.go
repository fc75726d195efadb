// Bytes of parts are read once, and those that were looked at are those that are sent.

package bucket

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"sync"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/peers"
)

// fading is bytes that are others, each time after the first that they are read.
type fading struct {
	mu   sync.Mutex
	all  []byte
	read int
}

func (f *fading) ReadAt(p []byte, off int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := copy(p, f.all[off:])
	for i := range f.all[off : off+int64(n)] {
		f.all[off+int64(i)] ^= 1
	}
	if f.read += n; n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func TestPartsAreReadOnce(t *testing.T) {
	b := made(t, peers.NewBetween(t, looks(peers.S3())).URL, "once").(*s3)
	data := noise(7*leastPart + 7)
	for name, put := range map[string]func(key string, r io.ReaderAt) error{
		"named": func(key string, r io.ReaderAt) error {
			_, err := b.PutNamed(t.Context(), key, r, int64(len(data)), digest.Of(data))
			return err
		},
		"by key": func(key string, r io.ReaderAt) error {
			_, err := b.Put(t.Context(), key, r, int64(len(data)))
			return err
		},
	} {
		r := &fading{all: bytes.Clone(data)}
		if err := put(name, r); err != nil || r.read != len(data) {
			t.Errorf("%s: %d bytes of %d were read, %v", name, r.read, len(data), err)
		}
		if got, err := whole(t, b, name); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: other bytes came back, %v", name, err)
		}
	}
	if rooms.used != 0 {
		t.Errorf("%d rooms are not given back", rooms.used)
	}
}

// TestPartsThatFindNoRoomAreSent: memory is bounded, and who finds none of it reads a part again.
func TestPartsThatFindNoRoomAreSent(t *testing.T) {
	takeRooms(t)
	b := made(t, peers.NewBetween(t, looks(peers.S3())).URL, "roomless").(*s3)
	data := noise(3*leastPart + 7)
	if _, err := b.PutNamed(t.Context(), "k", bytes.NewReader(data), int64(len(data)), digest.Of(data)); err != nil {
		t.Fatal(err)
	}
	if got, err := whole(t, b, "k"); err != nil || !bytes.Equal(got, data) {
		t.Errorf("other bytes came back, %v", err)
	}
	if keepPart(leastPart+1) != nil {
		t.Error("there is room for a part that is larger")
	}
}

// TestAPartThatChangesWhileNobodyHoldsItIsNotSent: what has the name of all that was read is what the server gets, also one that looks at no checksums.
func TestAPartThatChangesWhileNobodyHoldsItIsNotSent(t *testing.T) {
	takeRooms(t)
	for name, server := range map[string]http.Handler{"with checksums": looks(peers.S3()), "without": peers.S3()} {
		b := made(t, peers.NewBetween(t, server).URL, "changes").(*s3)
		data := noise(3*leastPart + 7)
		r := &fading{all: bytes.Clone(data)}
		_, err := b.PutNamed(t.Context(), "k", r, int64(len(data)), digest.Of(data))
		if err == nil {
			t.Errorf("%s: it was sent", name)
		}
		if name == "without" && (fault.Of(err) != fault.Conflict || fault.HintOf(err) != unchanged) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := whole(t, b, "k"); fault.Of(err) != fault.Missing {
			t.Errorf("%s: it is there: %v", name, err)
		}
	}
}

// takeRooms leaves no room for parts until the test ends.
func takeRooms(t *testing.T) {
	t.Helper()
	var all []*keptPart
	for k := keepPart(leastPart); k != nil; k = keepPart(1) {
		all = append(all, k)
	}
	t.Cleanup(func() {
		for _, k := range all {
			k.giveBack()
		}
	})
	if len(all) != abreast+1 || keepPart(1) != nil {
		t.Errorf("there is room for %d parts", len(all))
	}
}

// TestNothingIsReadOfWhatWasGivenBack: it may be another part by then.
func TestNothingIsReadOfWhatWasGivenBack(t *testing.T) {
	k := keepPart(3)
	if n, err := k.fill(bytes.NewReader([]byte("abcdef")), io.Discard, 3); n != 3 || err != nil {
		t.Fatal(n, err)
	}
	in := io.NewSectionReader(k, 0, 3)
	if got, err := io.ReadAll(in); string(got) != "abc" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	k.giveBack()
	if n, err := in.ReadAt(make([]byte, 1), 0); n != 0 || !errors.Is(err, errGivenBack) {
		t.Errorf("%d bytes, %v", n, err)
	}
}
