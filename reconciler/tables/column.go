// What is kept of one column while rows go by: constant memory, whatever comes.
package tables

import (
	"bytes"
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
	short      int
	long       int
	characters int64
}

func newColumn(name string, personal bool) (*column, error) {
	m, err := mapping.NewCubicallyInterpolatedMapping(accuracy)
	if err != nil {
		return nil, err
	}
	h, err := hyperloglog.NewSketch(precision, false)
	if err != nil {
		return nil, err
	}
	q := ddsketch.NewDDSketch(m, store.NewCollapsingLowestDenseStore(bins), store.NewCollapsingLowestDenseStore(bins))
	return &column{name: name, personal: personal, distinct: h, quantiles: q,
		least: math.Inf(1), most: math.Inf(-1), short: math.MaxInt}, nil
}

func (c *column) add(cell []byte, isText bool) {
	if cell == nil {
		c.nulls++
		return
	}
	k, x := text, 0.0
	if !isText {
		k, x = classify(cell)
	}
	c.of[k]++
	var hash uint64
	if k == number || k == integer && len(cell) <= 15 {
		hash = mix(math.Float64bits(x + 0)) // so that 1.0 and 1.00 are one value
	} else {
		hash = xxh3.Hash(cell)
	}
	c.distinct.InsertHash(hash)
	c.top.add(hash, cell)
	if k != text {
		c.number(x)
	}
	if k == text || c.of[text] > 0 || k == date || k == timestamp || c.n == 1 {
		c.order(cell)
	}
	size := len(cell)
	if k == text {
		size = utf8.RuneCount(cell)
	}
	c.short, c.long = min(c.short, size), max(c.long, size)
	c.characters += int64(size)
}

// number is Welford's update.
func (c *column) number(x float64) {
	c.n++
	d := x - c.mean
	c.mean += d / float64(c.n)
	c.m2 += d * (x - c.mean)
	c.least, c.most = min(c.least, x), max(c.most, x)
	// Beyond what the sketch can index a value counts at its end.
	_ = c.quantiles.Add(max(-1e300, min(1e300, x)))
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
