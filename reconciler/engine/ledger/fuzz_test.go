package ledger

import (
	"hash/crc32"
	"strings"
	"testing"
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

// FuzzDecode: facts with a right checksum and wrong content are an error, never a panic.
func FuzzDecode(f *testing.F) {
	rep, err := Verify(each(chain(f, []Entry{genesis, {Action: Train, Actor: "x", Key: key(1)}, {Action: Fail, Actor: "x", Key: key(2)}})), signers, nil)
	if err != nil {
		f.Fatal(err)
	}
	good, err := rep.Facts.Encode()
	if err != nil {
		f.Fatal(err)
	}
	const head = len(magic) + 12
	f.Add(good[head:])
	f.Fuzz(func(t *testing.T, body []byte) {
		b := append(append([]byte(nil), good[:head]...), body...)
		sum := crc32.Checksum(body, castagnoli)
		b[head-4], b[head-3], b[head-2], b[head-1] = byte(sum>>24), byte(sum>>16), byte(sum>>8), byte(sum)
		got, err := Decode(b)
		if err != nil {
			return
		}
		if _, err := got.Encode(); err != nil {
			t.Fatal(err)
		}
	})
}
