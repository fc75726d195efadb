package ledger

import (
	"encoding/json"
	"hash/crc32"
	"reflect"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// FuzzParse: what is read as an entry is written again as the very same bytes.
func FuzzParse(f *testing.F) {
	b, err := Statement(genesis)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"_type":"https://in-toto.io/Statement/v1"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := Parse(b)
		if err != nil {
			return
		}
		if again, err := Statement(e); err != nil || string(again) != string(b) {
			t.Fatalf("%s became %s, %v", b, again, err)
		}
	})
}

// FuzzParseCommit: a commit that is read has one spelling, one tree and one signature.
func FuzzParseCommit(f *testing.F) {
	f.Add(chain(f, []Entry{genesis})[0].Commit)
	f.Add([]byte("tree x\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseCommit(b)
		if err != nil {
			return
		}
		head, _, _ := strings.Cut("\n"+string(b), "\n\n")
		if c.String() != string(b) || strings.Count(head, "\ntree ") != 1 || strings.Count(head, "\ngpgsig ") != 1 || strings.Count(head, "\nparent ") > 1 {
			t.Fatalf("%q was read as %+v", b, c)
		}
	})
}

// FuzzTrailers: the trailers of a message are all of its lines but the first two.
func FuzzTrailers(f *testing.F) {
	f.Add(Message(genesis, key(1)))
	f.Add("a\n\nb\n")
	f.Fuzz(func(t *testing.T, m string) {
		if ls, err := Trailers(m); err == nil && strings.Count(m, "\n") != len(ls)+2 {
			t.Fatalf("%q has the trailers %q", m, ls)
		}
	})
}

// kept are facts that were kept, with recipes, and how they are read again where their content is another one, with a right checksum:
// wrong content is an error at once, never a panic, nor a recipe that cannot be read later.
func kept(t testing.TB) (content []byte, again func(testing.TB, []byte)) {
	made := &port.Recipe{Schema: "1", Kind: "training", Command: []string{"python", "a.py"}, Code: map[string]digest.Digest{"a.py": key(3)},
		Params: map[string]any{"a": 0.5, "b": []any{"x", nil}, "c": "d"}, Stop: &schemas.EarlyStop{}, Spec: json.RawMessage(`{"z":1}`)}
	rep, err := Verify(each(chain(t, []Entry{genesis, {Action: Train, Actor: "x", Key: key(1), MadeBy: made}, {Action: Fail, Actor: "x", Key: key(2), MadeBy: made}})), signers, nil)
	if err != nil {
		t.Fatal(err)
	}
	good, err := rep.Facts.Encode()
	if err != nil {
		t.Fatal(err)
	}
	const head = len(magic) + 12
	return good[head:], func(t testing.TB, content []byte) {
		b := append(append([]byte(nil), good[:head]...), content...)
		sum := crc32.Checksum(content, castagnoli)
		b[head-4], b[head-3], b[head-2], b[head-1] = byte(sum>>24), byte(sum>>16), byte(sum>>8), byte(sum)
		got, err := Decode(b)
		if err != nil {
			return
		}
		for _, e := range got.entries() {
			if e.HasRecipe() {
				r := e.kept.open()
				if r.value(reflect.ValueOf(&port.Recipe{}).Elem()); r.err != nil || len(r.rest) > 0 {
					t.Fatalf("the recipe of entry %d cannot be read: %v, %d bytes are left", e.Seq, r.err, len(r.rest))
				}
			}
		}
		if _, err := got.Encode(); err != nil {
			t.Fatal(err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	content, again := kept(f)
	f.Add(content)
	f.Fuzz(func(t *testing.T, content []byte) { again(t, content) })
}

func TestFactsOfWhichAByteIsAnotherAreReadOrCorrupt(t *testing.T) {
	content, again := kept(t)
	for i, was := range content {
		for _, content[i] = range []byte{0, 1, 0x7f, 0xff} {
			again(t, content)
		}
		content[i] = was
	}
}
