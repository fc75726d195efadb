// What differs in dates alone has one name, and what differs in anything else has another.

package archive

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

type entry struct{ name, text string }

func zipOf(t testing.TB, at time.Time, members ...entry) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for i, m := range members {
		h := &zip.FileHeader{Name: m.name, Method: zip.Deflate}
		if m.text == "" {
			h.Method = zip.Store // a hundred thousand of them need no compressor each
		}
		if !at.IsZero() {
			h.Modified = at.Add(time.Duration(2*i) * time.Second)
		} else {
			//lint:ignore SA1019 the first of 1980 and no more fields, as a steady writer has it
			h.ModifiedDate = 0x21
		}
		f, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, m.text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func gzipOf(t testing.TB, at time.Time, text string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.ModTime = at
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func named(t testing.TB, raw []byte) (string, []string) {
	t.Helper()
	d, varies, err := Undated(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	if (d == "") != (len(varies) == 0) {
		t.Fatalf("%q varies in %v", d, varies)
	}
	return string(d), varies
}

func TestDatesAloneMakeNoOtherName(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		draw := func(what string) time.Time {
			return time.Unix(rapid.Int64Range(315_619_200, 4_000_000_000).Draw(r, what), 0).UTC()
		}
		members := make([]entry, rapid.IntRange(1, 4).Draw(r, "members"))
		for i := range members {
			members[i] = entry{fmt.Sprint(i, rapid.StringMatching(`[a-z]{0,8}`).Draw(r, "name")), rapid.String().Draw(r, "text")}
		}
		a, b := draw("a date"), draw("another date")
		one, varies := named(t, zipOf(t, a, members...))
		if other, _ := named(t, zipOf(t, b, members...)); one == "" || one != other || !slices.Equal(varies, []string{ZipDates}) {
			t.Fatalf("%q and %q, %v", one, other, varies)
		}
		if steady, _ := named(t, zipOf(t, time.Time{}, members...)); steady != "" {
			t.Fatal("what carries no date varies")
		}
		changed := slices.Clone(members)
		changed[0].text += "x"
		if other, _ := named(t, zipOf(t, b, changed...)); other == one {
			t.Fatal("other contents have the same name")
		}
		text := rapid.String().Draw(r, "text")
		one, varies = named(t, gzipOf(t, a, text))
		if other, _ := named(t, gzipOf(t, b, text)); one == "" || one != other || !slices.Equal(varies, []string{GzipDate}) {
			t.Fatalf("gzip: %q and %q, %v", one, other, varies)
		}
		if other, _ := named(t, gzipOf(t, b, text+"x")); other == one {
			t.Fatal("gzip: other contents have the same name")
		}
	})
}

// TestASkopsFileOfAnotherRun: other addresses and other dates, and the same model.
func TestASkopsFileOfAnotherRun(t *testing.T) {
	raw, err := os.ReadFile("../model/testdata/logistic.skops")
	if err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	run := func(address int, change string) []byte {
		var members []entry
		ids := map[string]string{}
		for _, f := range z.File {
			in, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(in)
			if err != nil {
				t.Fatal(err)
			}
			members = append(members, entry{f.Name, string(text)})
			for _, m := range regexp.MustCompile(`"__id__": ?(\d+)`).FindAllStringSubmatch(string(text), -1) {
				if ids[m[1]] == "" {
					ids[m[1]] = fmt.Sprint(address + 1_000*len(ids))
				}
			}
		}
		if len(ids) == 0 {
			t.Fatal("the file numbers nothing")
		}
		for i, m := range members {
			swap := func(s string) string {
				return regexp.MustCompile(`\d+`).ReplaceAllStringFunc(s, func(n string) string {
					if id := ids[n]; id != "" {
						return id
					}
					return n
				})
			}
			members[i] = entry{swap(m.name), m.text}
			if m.name == "schema.json" {
				members[i].text = swap(m.text) + change
			}
		}
		return zipOf(t, time.Unix(int64(address/1000), 0), members...)
	}
	one, varies := named(t, run(139_872_345_000_016, ""))
	if other, _ := named(t, run(140_111_222_333_444, "")); one == "" || one != other || !slices.Contains(varies, SkopsNumbers) {
		t.Errorf("%q and %q, %v", one, other, varies)
	}
	if other, _ := named(t, run(140_111_222_333_444, " ")); other == one {
		t.Error("another schema has the same name")
	}
}

func TestWhatCannotBeReadIsTold(t *testing.T) {
	raw := zipOf(t, time.Unix(1_700_000_000, 0), entry{"a", "b"})
	broken := errors.New("no disk")
	if _, _, err := Undated(failing{bytes.NewReader(raw), broken}, int64(len(raw))); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	for name, raw := range map[string][]byte{"empty": nil, "short": []byte("PK\x03\x04"), "no zip": []byte("PK\x03\x04 and so on, and so on"), "text": []byte("a,b\n1,2\n3,4\n")} {
		if d, _ := named(t, raw); d != "" {
			t.Errorf("%s has the name %s", name, d)
		}
	}
}

// TestHostileArchivesAreReadInBounds: many members, and members over one another, are not read.
func TestHostileArchivesAreReadInBounds(t *testing.T) {
	at := time.Unix(1_700_000_000, 0)
	many := make([]entry, 70_000) // as many need zip64
	for i := range many {
		many[i] = entry{fmt.Sprint(i), ""}
	}
	if d, _ := named(t, zipOf(t, at, many...)); d != "" {
		t.Error("an archive of zip64 has a name")
	}
	long := make([]entry, 60_000) // a directory of more than it may have
	for i := range long {
		long[i] = entry{fmt.Sprintf("%080d", i), ""}
	}
	if d, _ := named(t, zipOf(t, at, long...)); d != "" {
		t.Error("a directory beyond the bound is read")
	}
	// Two members, the second of which says that it is where the first one is.
	raw := zipOf(t, at, entry{"a", strings.Repeat("abcdefghij", 10)}, entry{"b", strings.Repeat("abcdefghij", 10)})
	first := bytes.Index(raw, []byte("PK\x01\x02"))
	second := first + 1 + bytes.Index(raw[first+1:], []byte("PK\x01\x02"))
	binary.LittleEndian.PutUint32(raw[second+42:], 0)
	counted := &counting{Reader: bytes.NewReader(raw)}
	for i := range 2 { // and that it is as long as the file
		at := []int{first, second}[i]
		binary.LittleEndian.PutUint32(raw[at+20:], uint32(len(raw)-60))
	}
	if d, _, err := Undated(counted, int64(len(raw))); d != "" || err != nil || counted.n > 4*int64(len(raw))+2*tail {
		t.Errorf("members over one another: %q, %v, %d bytes read of %d", d, err, counted.n, len(raw))
	}
}

type counting struct {
	*bytes.Reader
	n int64
}

func (c *counting) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.Reader.ReadAt(p, off)
	c.n += int64(n)
	return n, err
}

type failing struct {
	*bytes.Reader
	err error
}

func (f failing) ReadAt(p []byte, off int64) (int, error) {
	if off > 0 {
		return 0, f.err
	}
	return f.Reader.ReadAt(p, off)
}

// FuzzUndated: whatever a file holds, it has one name, and reading it ends.
func FuzzUndated(f *testing.F) {
	f.Add(zipOf(f, time.Unix(1_700_000_000, 0), entry{"schema.json", `{"__id__": 139872345000016}`}, entry{"139872345000016.npy", "x"}))
	f.Add(gzipOf(f, time.Unix(1_700_000_000, 0), "text"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, _ := named(t, raw)
		if b, _ := named(t, raw); a != b {
			t.Fatal(a, b)
		}
	})
}
