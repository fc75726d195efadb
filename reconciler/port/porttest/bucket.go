// What every place for objects keeps.

package porttest

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Bucket runs the suite of port.Bucket; open gives an empty one.
func Bucket(t *testing.T, open func(t *testing.T) port.Bucket) {
	put := func(t *testing.T, b port.Bucket, key, text string) port.Object {
		t.Helper()
		o, err := b.Put(t.Context(), key, strings.NewReader(text), int64(len(text)))
		if err != nil {
			t.Fatalf("put %s: %v", key, err)
		}
		return o
	}
	get := func(t *testing.T, b port.Bucket, key string, r port.Range) string {
		t.Helper()
		body, _, err := b.Get(t.Context(), key, r)
		if err != nil {
			t.Fatalf("get %s: %v", key, err)
		}
		defer body.Close()
		text, err := io.ReadAll(body)
		if err != nil {
			t.Fatalf("read %s: %v", key, err)
		}
		return string(text)
	}
	t.Run("what is put is there", func(t *testing.T) {
		b := open(t)
		for _, text := range []string{"", "x", strings.Repeat("0123456789", 5000)} {
			put(t, b, "a/b/c", text)
			if got := get(t, b, "a/b/c", port.All); got != text {
				t.Errorf("%d bytes came back as %d", len(text), len(got))
			}
			o, err := b.Stat(t.Context(), "a/b/c")
			if err != nil || o.Size != int64(len(text)) || o.Key != "a/b/c" {
				t.Errorf("stat: %+v, %v", o, err)
			}
		}
	})
	t.Run("pieces", func(t *testing.T) {
		b := open(t)
		put(t, b, "k", "0123456789")
		for want, r := range map[string]port.Range{"0123456789": port.All, "3456789": {Offset: 3, Length: -1}, "34": {Offset: 3, Length: 2}, "9": {Offset: 9, Length: 100}} {
			if got := get(t, b, "k", r); got != want {
				t.Errorf("%+v is %q, want %q", r, got, want)
			}
		}
		_, o, err := b.Get(t.Context(), "k", port.Range{Offset: 2, Length: 3})
		if err != nil || o.Size != 10 {
			t.Errorf("a piece tells of the whole %+v, %v", o, err)
		}
	})
	t.Run("a tag moves with the bytes", func(t *testing.T) {
		b := open(t)
		put(t, b, "k", "one")
		was, err := b.Stat(t.Context(), "k")
		if err != nil {
			t.Fatal(err)
		}
		put(t, b, "k", "three")
		if now, err := b.Stat(t.Context(), "k"); err != nil || now.ETag == was.ETag {
			t.Errorf("%+v, %v after %+v", now, err, was)
		}
		if _, _, err := b.Get(t.Context(), "k", port.Range{Length: -1, ETag: was.ETag}); fault.Of(err) != fault.Conflict || err == nil {
			t.Errorf("the old one: %v, want a Conflict", err)
		}
	})
	t.Run("absent is Missing", func(t *testing.T) {
		b := open(t)
		if _, err := b.Stat(t.Context(), "nothing"); fault.Of(err) != fault.Missing || err == nil {
			t.Errorf("stat: %v", err)
		}
		if _, _, err := b.Get(t.Context(), "nothing", port.All); fault.Of(err) != fault.Missing || err == nil {
			t.Errorf("get: %v", err)
		}
		for o, err := range b.List(t.Context(), "nothing") {
			t.Errorf("list: %+v, %v", o, err)
		}
		if err := b.Delete(t.Context(), "nothing"); err != nil {
			t.Errorf("delete: %v", err)
		}
	})
	t.Run("listed by prefix, in order", func(t *testing.T) {
		b := open(t)
		for _, k := range []string{"a/2", "a/1", "a-b", "a.txt", "b/1", "ab"} {
			put(t, b, k, k)
		}
		for prefix, want := range map[string][]string{"": {"a-b", "a.txt", "a/1", "a/2", "ab", "b/1"}, "a/": {"a/1", "a/2"}, "a": {"a-b", "a.txt", "a/1", "a/2", "ab"}, "b/1": {"b/1"}} {
			var got []string
			for o, err := range b.List(t.Context(), prefix) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, o.Key)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%q lists %q, want %q", prefix, got, want)
			}
		}
	})
	t.Run("deleted is gone", func(t *testing.T) {
		b := open(t)
		put(t, b, "a", "1")
		put(t, b, "b", "2")
		if err := b.Delete(t.Context(), "a", "nothing"); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Stat(t.Context(), "a"); fault.Of(err) != fault.Missing || err == nil {
			t.Errorf("it is still there: %v", err)
		}
		if got := get(t, b, "b", port.All); got != "2" {
			t.Errorf("the other one is %q", got)
		}
	})
	t.Run("keys do not climb out", func(t *testing.T) {
		b := open(t)
		for _, k := range []string{"../x", "/x", "a/../../x", "", ".", "a\\b", "a\x00b"} {
			if _, err := b.Put(t.Context(), k, bytes.NewReader(nil), 0); fault.Of(err) != fault.Invalid || err == nil {
				t.Errorf("put %q: %v, want Invalid", k, err)
			}
			if _, _, err := b.Get(t.Context(), k, port.All); fault.Of(err) != fault.Invalid || err == nil {
				t.Errorf("get %q: %v, want Invalid", k, err)
			}
		}
	})
	t.Run("cancelled returns at once", func(t *testing.T) {
		b := open(t)
		put(t, b, "k", "1")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := b.Stat(ctx, "k"); fault.Of(err) != fault.Cancelled || err == nil {
			t.Errorf("stat: %v", err)
		}
		if _, err := b.Put(ctx, "k", strings.NewReader("2"), 1); fault.Of(err) != fault.Cancelled || err == nil {
			t.Errorf("put: %v", err)
		}
		if got := get(t, b, "k", port.All); got != "1" {
			t.Errorf("it is %q", got)
		}
	})
}
