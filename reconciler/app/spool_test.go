// A spool gives back what it was given, and leaves nothing in its folder.

package app

import (
	"bytes"
	"os"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

func TestASpoolGivesBackWhatItTook(t *testing.T) {
	dir := t.TempDir()
	s, err := newSpool(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	first, second := []byte("some numbers"), []byte{0}
	one, err := s.Append(first)
	two, bad := s.Append(second)
	if err != nil || bad != nil {
		t.Fatal(err, bad)
	}
	for at, want := range map[int64][]byte{one: first, two: second} {
		got := make([]byte, len(want))
		if err := s.Read(at, got); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%v, %v; want %v", got, err, want)
		}
	}
	if err := s.Read(two, make([]byte, 2)); fault.Of(err) != fault.Transient {
		t.Errorf("more than there is: %v", err)
	}
	s.n = mostSpooled
	if _, err := s.Append(second); fault.Of(err) != fault.Invalid || fault.HintOf(err) == "" {
		t.Errorf("too many: %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v is there: %v", left, err)
	}
}
