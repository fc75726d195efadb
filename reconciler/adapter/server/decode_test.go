// What is read back from disk and socket may be anything; what is kept in memory
// of a log is its end.

package server

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

func FuzzDecodeOrder(f *testing.F) {
	f.Add([]byte(`{"name":"one","folder":"r-1","command":["x"],"port":1,"laid":[{"path":"params.json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2}]}`))
	f.Add([]byte(`{"name":"../one","folder":"r-/../..","command":[""],"port":-1}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		o, err := decodeOrder(raw)
		if err == nil && (!filepath.IsLocal(o.Folder) || strings.Contains(o.Folder+o.Name, "/") || (len(o.Command) == 0) == (o.Starter == "")) {
			t.Fatalf("accepted %+v", o)
		}
	})
}

func FuzzDecodeDemand(f *testing.F) {
	f.Add([]byte(`{"order":{"name":"one","folder":"r-1","command":["x"],"port":1},"env":["A=b"]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		d, err := decodeDemand(bytes.NewReader(raw), "one")
		if err == nil && d.Order.Name != "one" {
			t.Fatalf("accepted %+v", d)
		}
	})
}

func FuzzDecodeAnswer(f *testing.F) {
	f.Add(200, []byte(`{"key":"sha256:00","health":"ready"}`))
	f.Add(422, []byte(`{"kind":"conflict","message":"port 1 is taken","way":"stop it"}`))
	f.Add(503, []byte(`leaving`))
	f.Fuzz(func(t *testing.T, status int, raw []byte) {
		if _, err := decodeAnswer(status, bytes.NewReader(raw)); status != 200 && err == nil {
			t.Fatalf("status %d is an answer", status)
		}
	})
}

// An error crosses the socket with its kind, its text and its way out.
func TestAComplaintArrivesAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom(fault.Kinds()).Draw(t, "kind")
		was := fault.WithHint(fault.New(kind, "%s", rapid.StringN(1, 40, -1).Draw(t, "text")), "%s", rapid.StringN(1, 40, -1).Draw(t, "way"))
		got := complain(was).err()
		if fault.Of(got) != kind || got.Error() != was.Error() || fault.HintOf(got) != fault.HintOf(was) {
			t.Fatalf("%v arrives as %v", was, got)
		}
	})
}

func TestBackoffDoublesUpToItsMost(t *testing.T) {
	p := Timeouts{}.filled()
	var got []time.Duration
	for n := 1; n <= 11; n++ {
		got = append(got, p.backoff(n))
	}
	if want := "[100ms 200ms 400ms 800ms 1.6s 3.2s 6.4s 12.8s 25.6s 30s 30s]"; fmt.Sprint(got) != want {
		t.Fatalf("%v, want %s", got, want)
	}
	rapid.Check(t, func(t *rapid.T) {
		if d := p.backoff(rapid.Int().Draw(t, "n")); d < p.Again || d > p.AgainMost {
			t.Fatalf("wait of %s", d)
		}
	})
}

// However a log is written, its tail is its last whole lines.
func TestATailIsTheLogsEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lines := rapid.SliceOfN(rapid.StringMatching(`[a-z ]{1,300}`), 1, 60).Draw(t, "lines")
		var last tail
		text := strings.Join(lines, "\n") + "\n"
		for rest := text; rest != ""; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "piece")
			last.Write([]byte(rest[:n]))
			rest = rest[n:]
		}
		got := last.String()
		if !strings.HasSuffix("\n"+strings.TrimRight(text, "\n"), "\n"+got) && len(got) < tailBytes/2 {
			t.Fatalf("tail %q of %q", got, text)
		}
		if strings.Count(got, "\n") >= tailLines || len(got) > tailBytes {
			t.Fatalf("tail of %d lines, %d bytes", strings.Count(got, "\n")+1, len(got))
		}
	})
}
