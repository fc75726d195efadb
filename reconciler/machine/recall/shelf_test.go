package recall

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
)

func shelfOf(t *testing.T) (Shelf, *time.Time) {
	now := time.Now()
	return Shelf{Dir: filepath.Join(t.TempDir(), "shelf"), Seal: filepath.Join(t.TempDir(), "seal", "key"), Most: 1 << 20, One: 1 << 16, Now: func() time.Time { return now }}, &now
}

func put(t *testing.T, s Shelf, name string, parts []string, index string) {
	t.Helper()
	d, err := s.New(digest.Of([]byte(name)))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range parts {
		if _, err := d.Append([]byte(p)); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Put([]byte(index)); err != nil {
		t.Fatal(err)
	}
	if err := d.Done(); err != nil {
		t.Fatal(err)
	}
}

func found(s Shelf, name string) string {
	f := s.Open(digest.Of([]byte(name)))
	if f == nil {
		return ""
	}
	defer f.Close()
	return string(f.Index)
}

func TestWhatWasPutUpIsFound(t *testing.T) {
	s, _ := shelfOf(t)
	if got := found(s, "a"); got != "" {
		t.Errorf("nothing was put up, and it has %q", got)
	}
	for _, index := range []string{"former", "index"} { // also over one that is there
		put(t, s, "a", []string{"one", "two"}, index)
	}
	f := s.Open(digest.Of([]byte("a")))
	if f == nil || string(f.Index) != "index" {
		t.Fatalf("it has %v", f)
	}
	s.Drop(digest.Of([]byte("a"))) // as another process may while it is read
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			raw := make([]byte, 3)
			if err := f.Read(3, raw); err != nil || string(raw) != "two" {
				t.Errorf("%q, %v", raw, err)
			}
		})
	}
	all.Wait()
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if got := found(s, "a"); got != "" {
		t.Errorf("it was dropped, and has %q", got)
	}
	if left, err := os.ReadDir(s.Dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// What was damaged, what another installation sealed, and what is of another name are none.
func TestAnIndexThatWasNotPutUpHereIsNone(t *testing.T) {
	s, _ := shelfOf(t)
	name := digest.Of([]byte("a"))
	put(t, s, "a", []string{"part"}, "index")
	whole, err := os.ReadFile(s.path(name))
	if err != nil {
		t.Fatal(err)
	}
	for i := len("part"); i < len(whole); i++ {
		bad := bytes.Clone(whole)
		bad[i] ^= 1
		for _, raw := range [][]byte{bad, whole[:i]} {
			if err := os.WriteFile(s.path(name), raw, 0o600); err != nil {
				t.Fatal(err)
			}
			if got := found(s, "a"); got != "" {
				t.Fatalf("with byte %d of %d changed, or no further, it has %q", i, len(whole), got)
			}
			if _, err := os.Lstat(s.path(name)); err == nil {
				t.Fatal("what cannot be used is kept")
			}
		}
	}
	put(t, s, "b", nil, "of b")
	if err := os.Rename(s.path(digest.Of([]byte("b"))), s.path(name)); err != nil {
		t.Fatal(err)
	}
	if got := found(s, "a"); got != "" {
		t.Errorf("under another name it has %q", got)
	}
	put(t, s, "a", nil, "index")
	theirs := s
	theirs.Seal = filepath.Join(t.TempDir(), "seal", "key")
	if got := found(theirs, "a"); got != "" {
		t.Errorf("by another key it has %q", got)
	}
}

// A process that is killed while it keeps something leaves nothing that is found, and nothing for good.
func TestWhatWasNotPutUpIsNotFound(t *testing.T) {
	s, now := shelfOf(t)
	d, err := s.New(digest.Of([]byte("a")))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Append([]byte("part")); err != nil {
		t.Fatal(err)
	}
	if got := found(s, "a"); got != "" {
		t.Errorf("it has %q", got)
	}
	s.Tidy(0)
	if left, _ := os.ReadDir(s.Dir); len(left) != 1 {
		t.Errorf("of one that is being written there is %v", left)
	}
	*now = now.Add(undone + time.Hour)
	s.Tidy(0)
	if left, _ := os.ReadDir(s.Dir); len(left) != 1 {
		t.Errorf("of one that is being written for long there is %v", left)
	}
	d.file.Close() // as when its process is killed
	s.Tidy(0)
	if left, _ := os.ReadDir(s.Dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	if err := d.Put([]byte("late")); err == nil {
		t.Error("a draft that is gone was put up")
	}
}

func TestAShelfHasItsSize(t *testing.T) {
	s, now := shelfOf(t)
	d, err := s.New(digest.Of([]byte("large")))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Append(make([]byte, s.One+1)); err == nil {
		t.Error("more than may be kept under one name is kept")
	}
	if err := d.Done(); err != nil {
		t.Error(err)
	}
	part := string(make([]byte, 1<<15))
	for i := range 40 { // of which 31 fit
		*now = now.Add(time.Second)
		put(t, s, fmt.Sprint(i), []string{part}, "index")
		if found(s, "0") == "" { // which is asked for
			t.Fatalf("what is asked for is gone after %d others", i)
		}
		s.Tidy(0)
	}
	size, left := int64(0), 0
	entries, err := os.ReadDir(s.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		st, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		size += st.Size()
		left++
	}
	if size > s.Most || left < 30 || found(s, "1") != "" || found(s, "39") == "" {
		t.Errorf("%d of %d bytes: the oldest %q, the newest %q", size, left, found(s, "1"), found(s, "39"))
	}
	*now = now.Add(unused + time.Hour)
	s.Tidy(0)
	if entries, _ := os.ReadDir(s.Dir); len(entries) != 0 {
		t.Errorf("what nobody asked for in a month is kept: %d", len(entries))
	}
}

// What is being written has its share of the room, and what a killed process left has none.
func TestDraftsCount(t *testing.T) {
	s, now := shelfOf(t) // 16 times as large as what is kept under one name
	for i := range 15 {
		*now = now.Add(time.Second)
		put(t, s, fmt.Sprint(i), []string{string(make([]byte, s.One-1<<10))}, "index")
	}
	var drafts []*Draft
	for i := range 10 {
		if !s.Tidy(s.One) {
			t.Fatalf("there is no room for draft %d", i)
		}
		d, err := s.New(digest.Of(fmt.Append(nil, "draft", i)))
		if err != nil {
			t.Fatal(err)
		}
		drafts = append(drafts, d)
	}
	if found(s, "8") != "" || found(s, "14") == "" {
		t.Error("with ten drafts there is another number of others than six")
	}
	for i := range 6 {
		if !s.Tidy(s.One) {
			t.Fatalf("there is no room for draft %d", i)
		}
		d, err := s.New(digest.Of(fmt.Append(nil, "more", i)))
		if err != nil {
			t.Fatal(err)
		}
		drafts = append(drafts, d)
	}
	if s.Tidy(s.One) {
		t.Error("more are written than there is room for")
	}
	for _, d := range drafts[:8] {
		d.file.Close() // as when its process is killed
	}
	if !s.Tidy(s.One) {
		t.Error("what killed processes left takes room")
	}
	if left, _ := os.ReadDir(s.Dir); len(left) != 8 {
		t.Errorf("there are %d", len(left))
	}
	for _, d := range drafts {
		_ = d.Done()
	}
}
