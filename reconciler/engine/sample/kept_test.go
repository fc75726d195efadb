// A reference that was kept is the one that was read, to the last bit.

package sample

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/engine/drift"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

// strip is a place in memory.
type strip struct{ raw []byte }

func (s *strip) Append(raw []byte) (int64, error) {
	at := len(s.raw)
	s.raw = append(s.raw, raw...)
	return int64(at), nil
}

func (s *strip) Read(at int64, into []byte) error {
	if at < 0 || at > int64(len(s.raw)) || copy(into, s.raw[at:]) < len(into) {
		return fault.New(fault.Corrupt, "it ends")
	}
	return nil
}

// ofAllKinds is a table with a column of each kind.
func ofAllKinds(rows int) *lines {
	r := rand.New(rand.NewPCG(1, 2))
	kinds := []struct {
		name string
		cell func(i int) string
	}{
		{"prices", func(int) string { return strconv.FormatFloat(r.Float64()*1000, 'f', 2, 64) }},
		{"any", func(int) string { return strconv.FormatFloat(r.NormFloat64()*math.Pow10(r.IntN(40)-20), 'g', -1, 64) }},
		{"thirds", func(i int) string { return strconv.FormatFloat(float64(i)/3, 'g', -1, 64) }},
		{"whole", func(int) string { return strconv.Itoa(r.IntN(100000) - 50000) }},
		{"few", func(int) string { return strconv.Itoa(r.IntN(4)) }},
		{"large", func(int) string { return strconv.FormatUint(1<<53+r.Uint64N(1<<9), 10) }},
		{"tenths and hundredths", func(i int) string { return strconv.FormatFloat(float64(r.IntN(999))/100, 'f', 1+i%2, 64) }},
		{"zeros", func(i int) string { return []string{"-0.0", "0", "1e-300", "-1e-300"}[i%4] }},
		{"holes", func(i int) string { return []string{"", "nan", "inf", "1.5", "7"}[i%5] }},
		{"names", func(int) string { return "n" + strconv.Itoa(r.IntN(7)) }},
		{"names and numbers", func(i int) string { return []string{"a", "1", "2.50", "1"}[i%4] }},
		{"no text \xff", func(i int) string { return []string{"\xfe", "\xff", "ü", ""}[i%4] }},
		{"texts", func(i int) string { return "text " + strconv.Itoa(i) }},
		{"times", func(i int) string { return fmt.Sprintf("2026-01-%02d", 1+i%28) }},
		{"one", func(int) string { return "42" }},
		{"nothing", func(int) string { return "" }},
	}
	l := &lines{}
	for _, k := range kinds {
		l.names = append(l.names, k.name)
	}
	for i := range rows {
		var row []string
		for _, k := range kinds {
			row = append(row, k.cell(i))
		}
		l.rows = append(l.rows, row)
	}
	return l
}

func readSide(t *testing.T, rows int) *Side {
	t.Helper()
	s := &Side{}
	if err := s.Read(ofAllKinds(rows), nil, nil, nil); err != nil {
		t.Fatal(err)
	}
	return s
}

// kept keeps a side, and has it be read back as another process would.
func kept(t *testing.T, s *Side, asked []string, typ func(string) string) (*Sorted, *strip) {
	t.Helper()
	at := &strip{}
	k := Keep(s, at)
	for _, name := range asked {
		_, _ = k.Sample(name, typ(name))
	}
	index, err := k.End(typ)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(index)
	if err != nil {
		t.Fatal(err)
	}
	var out Sorted
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	out.Open(at)
	return &out, at
}

func same(a, b *drift.Sample) bool {
	return slices.EqualFunc(a.Numbers, b.Numbers, func(x, y float64) bool { return math.Float64bits(x) == math.Float64bits(y) }) &&
		reflect.DeepEqual(a.Counts, b.Counts) && a.Category == b.Category && a.Whole == b.Whole && a.N() == b.N()
}

func TestAReferenceThatWasKeptIsTheSame(t *testing.T) {
	for _, rows := range []int{0, 1, 40, 9000} {
		for _, as := range []string{"", "number", "category"} {
			s, was := readSide(t, rows), readSide(t, rows)
			typ := func(name string) string {
				if as != "" {
					return as
				}
				return was.Type(name)
			}
			got, _ := kept(t, s, s.Columns()[:len(s.Columns())/2], typ)
			if got.Len() != was.Len() || !slices.Equal(got.Columns(), was.Columns()) || got.Has("another") || got.Nulls("another") != was.Nulls("another") || got.Type("another") != "" {
				t.Fatalf("%d rows: %d of columns %q", rows, got.Len(), got.Columns())
			}
			for _, name := range was.Columns() {
				if !got.Has(name) || got.Type(name) != was.Type(name) || got.Nulls(name) != was.Nulls(name) {
					t.Errorf("%d rows, %s: %q with %d empty, want %q with %d", rows, name, got.Type(name), got.Nulls(name), was.Type(name), was.Nulls(name))
				}
				if typ(name) != "number" && typ(name) != "category" {
					continue
				}
				want, bad := was.Sample(name, typ(name))
				out, err := got.Sample(name, typ(name))
				if bad != nil || err != nil {
					if fmt.Sprint(bad) != fmt.Sprint(err) || fault.Of(bad) != fault.Of(err) {
						t.Errorf("%d rows, %s as %s: %v, want %v", rows, name, typ(name), err, bad)
					}
					continue
				}
				if !same(out, want) {
					t.Errorf("%d rows, %s as %s: another sample", rows, name, typ(name))
				}
			}
		}
	}
}

func TestDecimalsTakeLittleRoom(t *testing.T) {
	s := readSide(t, 9000)
	got, _ := kept(t, s, nil, s.Type)
	for name, most := range map[string]int{"prices": 4 * 9000, "one": 16, "few": 32, "whole": 5 * 9000} {
		size := 0
		for _, p := range got.column(name).Part.Pieces {
			size += p.Size
		}
		if size > most {
			t.Errorf("%s: %d bytes, of 9000 values", name, size)
		}
	}
}

// What was changed, or is not there any more, is told, and nothing is made of it.
func TestADamagedReferenceIsTold(t *testing.T) {
	s := readSide(t, 40)
	got, at := kept(t, s, nil, s.Type)
	whole := slices.Clone(at.raw)
	for i := range whole {
		for _, raw := range [][]byte{append(append(slices.Clone(whole[:i]), whole[i]^1), whole[i+1:]...), whole[:i]} {
			at.raw = raw
			told := false
			for _, name := range got.Columns() {
				if typ := got.Type(name); typ == "number" || typ == "category" {
					_, err := got.Sample(name, typ)
					told = told || err != nil && fault.Of(err) == fault.Corrupt
				}
			}
			if !told {
				t.Fatalf("with byte %d of %d changed, or no further, all samples are there", i, len(whole))
			}
		}
	}
	at.raw = whole
	if _, err := got.Sample("few", "number"); fault.Of(err) != fault.Corrupt {
		t.Errorf("as another type it is %v", err)
	}
}
