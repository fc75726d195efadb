// What is kept of one column while rows go by: constant memory, whatever comes.

package table

import (
	"bytes"
	"cmp"
	"math"
	"unicode/utf8"

	"github.com/DataDog/sketches-go/ddsketch"
	"github.com/DataDog/sketches-go/ddsketch/mapping"
	"github.com/DataDog/sketches-go/ddsketch/store"
	"github.com/axiomhq/hyperloglog"
	"github.com/zeebo/xxh3"
)

const (
	accuracy  = 0.01 // relative, of quantiles
	bins      = 2048 // of the sketch, each side of zero: seventeen orders of magnitude
	precision = 15   // of the distinct estimate: a standard error of 0.6 %
)

type column struct {
	name       string
	personal   bool
	nulls      int64
	of         [kinds]int64
	distinct   *hyperloglog.Sketch
	top        frequent
	n          int64 // of numbers, dates and truths
	mean, m2   float64
	least      float64
	most       float64
	quantiles  *ddsketch.DDSketch
	first      []byte // in byte order
	last       []byte
	early      instant // of dates and timestamps
	late       instant
	short      int
	long       int
	characters int64
	recent     recent
}

// newColumn is one of a table with as many columns as columns says.
func newColumn(name string, personal bool, columns int) (*column, error) {
	m, err := mapping.NewCubicallyInterpolatedMapping(accuracy)
	if err != nil {
		return nil, err
	}
	h, err := hyperloglog.NewSketch(precision, false)
	if err != nil {
		return nil, err
	}
	q := ddsketch.NewDDSketch(m, store.NewCollapsingLowestDenseStore(bins), store.NewCollapsingLowestDenseStore(bins))
	values := make([]met, max(16, min(1024, heldBack/max(1, columns))))
	return &column{name: name, personal: personal, distinct: h, quantiles: q, recent: recent{values: values},
		least: math.Inf(1), most: math.Inf(-1), short: math.MaxInt}, nil
}

// add counts one cell. Of values that come again soon, as most of most columns do, only
// the count goes up: what is made of a value is made once for all of them.
func (c *column) add(cell []byte, isText bool) {
	switch {
	case cell == nil:
		c.nulls++
	case c.recent.skip > 0:
		c.recent.skip--
		c.addValue(cell, isText, 1)
	case len(cell) > longest:
		c.addValue(cell, isText, 1)
	default:
		c.soon(cell, isText)
	}
}

const (
	longest  = 64      // bytes of a value that is held back
	window   = 4096    // misses after which it is seen whether holding back pays
	pause    = 1 << 16 // cells for which it is not done where it does not
	heldBack = 1 << 16 // values that all columns of a table hold back together
)

// recent are values that were met lately, with how often: one for each remainder of the hash.
type recent struct {
	values       []met
	hits, misses int
	skip         int
}

type met struct {
	hash   uint64
	n      int64
	isText bool
	text   []byte
}

func (c *column) soon(cell []byte, isText bool) {
	h := xxh3.Hash(cell)
	if isText {
		h = ^h
	}
	r := &c.recent
	v := &r.values[h%uint64(len(r.values))]
	if v.hash == h && v.n > 0 {
		v.n++
		r.hits++
		return
	}
	if v.n > 0 {
		c.addValue(v.text, v.isText, v.n)
	}
	v.hash, v.n, v.isText, v.text = h, 1, isText, append(v.text[:0], cell...)
	if r.misses++; r.misses == window {
		if r.hits < r.misses {
			r.skip = pause
		}
		r.hits, r.misses = 0, 0
	}
}

// settle takes in what is held back.
func (c *column) settle() {
	for i := range c.recent.values {
		if v := &c.recent.values[i]; v.n > 0 {
			c.addValue(v.text, v.isText, v.n)
			v.n = 0
		}
	}
}

// addValue takes in a value that stood n times.
func (c *column) addValue(cell []byte, isText bool, n int64) {
	k, x := text, 0.0
	if !isText {
		k, x = classify(cell)
	}
	c.of[k] += n
	var hash uint64
	if k == number || k == integer && len(cell) <= 15 {
		hash = mix(math.Float64bits(x + 0)) // so that 1.0 and 1.00 are one value
	} else {
		hash = xxh3.Hash(cell)
	}
	c.distinct.InsertHash(hash)
	c.top.addCount(hash, cell, n)
	if k != text {
		c.number(x, n)
	}
	if k == date || k == timestamp {
		c.early.keep(cell, x, -1)
		c.late.keep(cell, x, 1)
	}
	if k == text || c.of[text] > 0 || k == date || k == timestamp || c.n == n {
		c.order(cell)
	}
	size := len(cell)
	if k == text {
		size = utf8.RuneCount(cell)
	}
	c.short, c.long = min(c.short, size), max(c.long, size)
	c.characters += int64(size) * n
}

// instant is a time as it is written: the first or the last, which the order of its text does not tell where zones, or ways of writing,
// are several.
type instant struct {
	text []byte
	at   float64
}

// keep takes a time that is before (-1) or behind (1) it. Of the same moment in several forms the one first, or last, in byte order stays.
func (i *instant) keep(text []byte, at float64, sign int) {
	if i.text != nil {
		if c := cmp.Compare(at, i.at); c != sign && (c != 0 || bytes.Compare(text, i.text) != sign) {
			return
		}
	}
	i.text, i.at = append(i.text[:0], clipped(text)...), at
}

// number is Welford's update, for n equal values (West 1979).
func (c *column) number(x float64, n int64) {
	c.n += n
	d := x - c.mean
	c.mean += d * float64(n) / float64(c.n)
	c.m2 += d * (x - c.mean) * float64(n)
	c.least, c.most = min(c.least, x), max(c.most, x)
	// Beyond what the sketch can index a value counts at its end.
	_ = c.quantiles.AddWithCount(max(-1e300, min(1e300, x)), float64(n))
}

func (c *column) order(b []byte) {
	if b = clipped(b); c.first == nil {
		c.first, c.last = bytes.Clone(b), bytes.Clone(b)
		return
	}
	if bytes.Compare(b, c.first) < 0 {
		c.first = append(c.first[:0], b...)
	}
	if bytes.Compare(b, c.last) > 0 {
		c.last = append(c.last[:0], b...)
	}
}

// merge adds what another part saw (Chan, Golub and LeVeque 1979).
func (c *column) merge(o *column) error {
	c.settle()
	o.settle()
	c.nulls += o.nulls
	for k := range c.of {
		c.of[k] += o.of[k]
	}
	if err := c.distinct.Merge(o.distinct); err != nil {
		return err
	}
	if err := c.quantiles.MergeWith(o.quantiles); err != nil {
		return err
	}
	c.top.merge(&o.top)
	if o.n > 0 {
		n, d := float64(c.n+o.n), o.mean-c.mean
		c.m2 += o.m2 + d*d*float64(c.n)*float64(o.n)/n
		c.mean += d * float64(o.n) / n
		c.n += o.n
	}
	c.least, c.most = min(c.least, o.least), max(c.most, o.most)
	if o.first != nil {
		c.order(o.first)
		c.order(o.last)
	}
	if o.early.text != nil {
		c.early.keep(o.early.text, o.early.at, -1)
		c.late.keep(o.late.text, o.late.at, 1)
	}
	c.short, c.long = min(c.short, o.short), max(c.long, o.long)
	c.characters += o.characters
	return nil
}

// mix is the finaliser of SplitMix64: sketches want every bit to count.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
