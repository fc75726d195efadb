// A reference as it was sorted, so that the next window need neither read nor sort it again. Numbers are kept as they
// lie in order: decimals as how far each is from the one before, and how often it stands, which is little of most columns.
// A Parquet file would hold them too, at their whole size and in rows that have to be read together; here one column is read at a time, to
// the last bit, and nobody else reads it: another build of this program reads the reference anew.

package sample

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"

	"github.com/vishwaops/vishwa/reconciler/engine/drift"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

// KeptForm names how a reference is read and kept: what another program kept otherwise is another reference.
const KeptForm = "reference 1"

// MostKept is how many numbers a reference may have that is kept.
const MostKept = 128 << 20

// Reference is what windows are held against: a side as it was read, or as it was kept.
type Reference interface {
	Columns() []string
	Has(name string) bool
	// Type is what a column is, as Side.Type.
	Type(name string) string
	Nulls(name string) int
	// Len is how many rows there are.
	Len() int64
	// Sample is the column as typ says; an error that is Corrupt says that what was kept cannot be used.
	Sample(name, typ string) (*drift.Sample, error)
}

var _, _ Reference = (*Side)(nil), (*Sorted)(nil)

// Len is how many rows there are.
func (s *Side) Len() int64 { return s.Rows }

// Numbers is how many numbers all columns together have.
func (s *Side) Numbers() (n int64) {
	for _, c := range s.columns {
		n += int64(c.numbers.n)
	}
	return n
}

// Sorted is a side that was kept. It is written down as JSON, beside the parts that it names.
type Sorted struct {
	Rows int64        `json:"rows"`
	Of   []SortedName `json:"columns"`

	from Finder
	at   map[string]int
}

// SortedName is one column of it.
type SortedName struct {
	Name  []byte `json:"name"` // which need be no text of JSON
	Type  string `json:"type,omitempty"`
	Nulls int    `json:"nulls,omitempty"`
	// As is what its sample was taken as; "": none was.
	As       string `json:"as,omitempty"`
	Unfit    string `json:"unfit,omitempty"` // why there is no sample
	N        int    `json:"n,omitempty"`
	Category bool   `json:"category,omitempty"`
	Whole    bool   `json:"whole,omitempty"`
	Form     string `json:"form,omitempty"`
	Places   int    `json:"places,omitempty"`
	Part     Part   `json:"part,omitzero"`
}

// How values are kept.
const (
	formNames    = "names"
	formDecimals = "decimals"
	formNumbers  = "numbers"
)

// Keeping is a side whose samples are kept as they are asked for.
type Keeping struct {
	*Side
	to  Keeper
	of  []SortedName // in the order of the side's columns
	at  map[string]int
	err []error
}

// Keep has samples of s kept. Each column is asked for once.
func Keep(s *Side, to Keeper) *Keeping {
	k := &Keeping{Side: s, to: to, at: map[string]int{}, of: make([]SortedName, len(s.order)), err: make([]error, len(s.order))}
	for i, name := range s.order {
		k.at[name] = i
		k.of[i] = SortedName{Name: []byte(name), Type: s.Type(name), Nulls: s.Nulls(name)}
	}
	return k
}

// Sample is the side's.
func (k *Keeping) Sample(name, typ string) (*drift.Sample, error) {
	out, err := k.Side.Sample(name, typ)
	if i, there := k.at[name]; there {
		k.err[i] = k.of[i].keep(out, err, typ, k.to)
	}
	return out, err
}

// End keeps the samples that were not asked for, too, as what typ says that they are, and tells of all of them.
func (k *Keeping) End(typ func(name string) string) (*Sorted, error) {
	var ask []string
	for i, name := range k.order {
		if t := typ(name); k.of[i].As == "" && k.err[i] == nil && (t == "number" || t == "category") {
			ask = append(ask, name)
		}
	}
	k.each(len(ask), func(i int) { _, _ = k.Sample(ask[i], typ(ask[i])) })
	return &Sorted{Rows: k.Rows, Of: k.of}, errors.Join(k.err...)
}

func (c *SortedName) keep(s *drift.Sample, unfit error, typ string, to Keeper) (err error) {
	if unfit != nil {
		if fault.Of(unfit) != fault.Invalid {
			return unfit
		}
		c.As, c.Unfit = typ, unfit.Error()
		return nil
	}
	c.As, c.N, c.Category, c.Whole = typ, s.N(), s.Category, s.Whole
	w := &PartWriter{Keeper: to}
	switch {
	case s.Counts != nil:
		c.Form, err = formNames, writeNames(w, s.Counts)
	default:
		if c.Form, c.Places = formDecimals, places(s.Numbers); c.Places < 0 {
			c.Form, c.Places = formNumbers, 0
			err = writeNumbers(w, s.Numbers)
		} else {
			err = writeDecimals(w, s.Numbers, math.Pow10(c.Places))
		}
	}
	if err != nil {
		return err
	}
	c.Part, err = w.End()
	return err
}

func writeNames(w *PartWriter, counts map[string]int) error {
	names := make([]string, 0, len(counts))
	for k := range counts {
		names = append(names, k)
	}
	slices.Sort(names)
	for _, k := range names {
		w.Raw = append(binary.AppendUvarint(w.Raw, uint64(len(k))), k...)
		w.Raw = binary.AppendUvarint(w.Raw, uint64(counts[k]))
		if err := w.Next(); err != nil {
			return err
		}
	}
	return nil
}

func writeNumbers(w *PartWriter, sorted []float64) error {
	for _, x := range sorted {
		w.Raw = binary.LittleEndian.AppendUint64(w.Raw, math.Float64bits(x))
		if err := w.Next(); err != nil {
			return err
		}
	}
	return nil
}

// mostPlaces is up to how many places a number is looked at as a decimal.
const mostPlaces = 9

// exact is below what integers have no gaps among numbers.
const exact = 1 << 53

// digitsOf is x without its point, which is after so many places as unit says.
func digitsOf(x, unit float64) (digits int64, ok bool) {
	d := math.Round(x * unit)
	if !(math.Abs(d) < exact) {
		return 0, false
	}
	return int64(d), math.Float64bits(float64(int64(d))/unit) == math.Float64bits(x)
}

// places is with how many places all numbers are decimals, to the last bit; -1: they are not.
func places(sorted []float64) int {
	most := 0
	for i, x := range sorted {
		if i > 0 && x == sorted[i-1] {
			continue
		}
		for {
			if _, ok := digitsOf(x, math.Pow10(most)); ok {
				break
			}
			if most++; most > mostPlaces {
				return -1
			}
		}
	}
	for i, x := range sorted { // those that had fewer
		if _, ok := digitsOf(x, math.Pow10(most)); !ok && (i == 0 || x != sorted[i-1]) {
			return -1
		}
	}
	return most
}

// writeDecimals writes of each different number how far it is from the one before, and how often it stands.
func writeDecimals(w *PartWriter, sorted []float64, unit float64) error {
	last := int64(0)
	for i := 0; i < len(sorted); {
		j := i + 1
		for j < len(sorted) && sorted[j] == sorted[i] {
			j++
		}
		digits, _ := digitsOf(sorted[i], unit)
		w.Raw = binary.AppendVarint(w.Raw, digits-last)
		w.Raw = binary.AppendUvarint(w.Raw, uint64(j-i))
		if err := w.Next(); err != nil {
			return err
		}
		i, last = j, digits
	}
	return nil
}

// Open has the samples be found where they were kept.
func (s *Sorted) Open(from Finder) {
	s.from, s.at = from, map[string]int{}
	for i, c := range s.Of {
		s.at[string(c.Name)] = i
	}
}

// Columns are the names of the columns, in order.
func (s *Sorted) Columns() (out []string) {
	for _, c := range s.Of {
		out = append(out, string(c.Name))
	}
	return out
}

// Has tells whether there is such a column.
func (s *Sorted) Has(name string) bool { return s.column(name) != nil }

// Len is how many rows there are.
func (s *Sorted) Len() int64 { return s.Rows }

func (s *Sorted) column(name string) *SortedName {
	if i, there := s.at[name]; there {
		return &s.Of[i]
	}
	return nil
}

// Type is what a column was.
func (s *Sorted) Type(name string) string {
	if c := s.column(name); c != nil {
		return c.Type
	}
	return ""
}

// Nulls is how many rows have no value in the column.
func (s *Sorted) Nulls(name string) int {
	if c := s.column(name); c != nil {
		return c.Nulls
	}
	return int(min(s.Rows, math.MaxInt32))
}

// Sample is the column as it was kept.
func (s *Sorted) Sample(name, typ string) (out *drift.Sample, err error) {
	c := s.column(name)
	switch {
	case c == nil:
		return nil, fault.New(fault.Missing, "it has no such column")
	case c.As != typ:
		return nil, fault.New(fault.Corrupt, "its column was kept as %q, and not as %q", c.As, typ)
	case c.Unfit != "":
		return nil, fault.New(fault.Invalid, "%s", c.Unfit)
	case c.N < 0 || c.N > MostKept:
		return nil, damaged()
	}
	if c.Form == formNames {
		counts := map[string]int{}
		err = c.Part.Read(s.from, func(raw []byte) error { return readNames(raw, counts) })
		out = drift.Categories(counts)
	} else {
		out = &drift.Sample{Numbers: make([]float64, 0, c.N), Category: c.Category, Whole: c.Whole}
		last, unit := int64(0), math.Pow10(c.Places)
		err = c.Part.Read(s.from, func(raw []byte) (err error) {
			if c.Form == formNumbers {
				out.Numbers, err = readNumbers(raw, out.Numbers)
				return err
			}
			out.Numbers, last, err = readDecimals(raw, out.Numbers, last, unit)
			return err
		})
	}
	if err == nil && out.N() != c.N {
		err = damaged()
	}
	return out, err
}

func readNames(raw []byte, counts map[string]int) error {
	for len(raw) > 0 {
		size, n := binary.Uvarint(raw)
		if n <= 0 || size > uint64(len(raw)-n) {
			return damaged()
		}
		name := string(raw[n : n+int(size)])
		raw = raw[n+int(size):]
		count, n := binary.Uvarint(raw)
		if n <= 0 || count > math.MaxInt32 {
			return damaged()
		}
		counts[name], raw = int(count), raw[n:]
	}
	return nil
}

// readNumbers appends to those that are there, for which there is room.
func readNumbers(raw []byte, to []float64) ([]float64, error) {
	if len(raw)%8 != 0 || len(raw)/8 > cap(to)-len(to) {
		return to, damaged()
	}
	for ; len(raw) > 0; raw = raw[8:] {
		to = append(to, math.Float64frombits(binary.LittleEndian.Uint64(raw)))
	}
	return to, nil
}

func readDecimals(raw []byte, to []float64, last int64, unit float64) ([]float64, int64, error) {
	for len(raw) > 0 {
		by, n := binary.Varint(raw)
		if n <= 0 {
			return to, last, damaged()
		}
		raw = raw[n:]
		count, n := binary.Uvarint(raw)
		if n <= 0 || count > uint64(cap(to)-len(to)) {
			return to, last, damaged()
		}
		raw, last = raw[n:], last+by
		x := float64(last) / unit
		for range count {
			to = append(to, x)
		}
	}
	return to, last, nil
}
