// The laws of looking into models: each is read once, none waits for another, and nobody
// ends what others wait for.

package pass

import (
	"bytes"
	"context"
	"io"
	"slices"
	"testing"

	"github.com/vishwaops/vishwa/policy"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// slow is a store of which a content is given out once its gate is open, or ctx ends.
type slow struct {
	port.Store
	bytes map[digest.Digest][]byte
	gates map[digest.Digest]chan struct{}
	asked chan digest.Digest
}

func (s *slow) Get(ctx context.Context, d digest.Digest) (io.ReadCloser, error) {
	s.asked <- d
	select {
	case <-s.gates[d]:
	case <-ctx.Done():
		return nil, fault.New(fault.Cancelled, "get: %w", ctx.Err())
	}
	return io.NopCloser(bytes.NewReader(s.bytes[d])), nil
}

func TestModelsAreReadOnceAndSideBySide(t *testing.T) {
	s := &slow{bytes: map[digest.Digest][]byte{}, gates: map[digest.Digest]chan struct{}{}, asked: make(chan digest.Digest, 99)}
	model := func(text string) (port.Artifact, chan struct{}) {
		f := digest.File{Path: "m.json", Digest: digest.Of([]byte(text)), Size: int64(len(text))}
		s.bytes[f.Digest], s.gates[f.Digest] = []byte(text), make(chan struct{})
		m := digest.Manifest{f}
		return port.Artifact{Digest: m.Digest(), Size: f.Size, Files: m}, s.gates[f.Digest]
	}
	large, opens := model(`{"large":1}`)
	small, open := model(`{"small":1}`)
	close(open)
	d := &stepServices{Reconciler: &Reconciler{Observers: Observers{Store: s}}}
	type result struct {
		files []policy.File
		err   error
	}
	scan := func(ctx context.Context, art port.Artifact) chan result {
		out := make(chan result, 1)
		go func() {
			files, err := d.scan(ctx, art)
			out <- result{files, err}
		}()
		return out
	}
	ctx, leave := context.WithCancel(t.Context())
	first := scan(ctx, large)
	<-s.asked
	if r := <-scan(t.Context(), small); r.err != nil || len(r.files) != 1 || r.files[0].Format != "json" {
		t.Fatalf("a small model waits for a large one: %+v", r)
	}
	<-s.asked
	second, third := scan(t.Context(), large), scan(t.Context(), large)
	leave()
	if r := <-first; fault.Of(r.err) != fault.Cancelled {
		t.Errorf("who was told to stop has %+v", r)
	}
	<-s.asked // one of the others reads it now
	close(opens)
	for _, r := range []result{<-second, <-third, <-scan(t.Context(), large)} {
		if r.err != nil || len(r.files) != 1 {
			t.Errorf("who waited has %+v", r)
		}
	}
	if n := len(s.asked); n != 0 {
		t.Errorf("it was read %d times more", n)
	}
}

// What one file of a model names is looked for among its others.
func TestAModelOfSeveralFilesIsLookedIntoAsAWhole(t *testing.T) {
	open := make(chan struct{})
	close(open)
	field := func(n int, content ...byte) []byte {
		return append([]byte{byte(n<<3 | 2), byte(len(content))}, content...)
	}
	pair := func(key, value string) []byte {
		return field(13, append(field(1, []byte(key)...), field(2, []byte(value)...)...)...)
	}
	named := func(location string) []byte {
		tensor := slices.Concat([]byte{1 << 3, 1, 2 << 3, 1}, field(8, 'w'), pair("location", location), pair("length", "4"), []byte{14 << 3, 1})
		graph := append(field(2, 'g'), field(5, tensor...)...)
		return slices.Concat([]byte{1 << 3, 8}, field(7, graph...), field(8, 2<<3, 17))
	}
	for location, want := range map[string][2]string{"w.bin": {"onnx", "onnx-data"}, "../w.bin": {"onnx-outside", "unknown"}} {
		s := &slow{bytes: map[digest.Digest][]byte{}, gates: map[digest.Digest]chan struct{}{}, asked: make(chan digest.Digest, 99)}
		var m digest.Manifest
		for _, f := range []struct {
			path    string
			content []byte
		}{{"m.onnx", named(location)}, {"w.bin", []byte{0x80, 0xff, 0xfe, 1}}} {
			d := digest.Of(f.content)
			s.bytes[d], s.gates[d] = f.content, open
			m = append(m, digest.File{Path: f.path, Digest: d, Size: int64(len(f.content))})
		}
		files, err := (&stepServices{Reconciler: &Reconciler{Observers: Observers{Store: s}}}).scan(t.Context(), port.Artifact{Digest: m.Digest(), Files: m})
		if err != nil {
			t.Fatal(err)
		}
		if got := [2]string{files[0].Format, files[1].Format}; got != want {
			t.Errorf("%s: %v, want %v", location, got, want)
		}
	}
}
