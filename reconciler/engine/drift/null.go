// The null alarm rate: how often a method alarms of windows of a size though nothing has
// changed. Both sides are drawn anew from the reference, so that it is what this very method
// does to this very column.

package drift

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/vishwaops/vishwa/reconciler/digest"
)

const (
	nullDraws = 200  // of which two may alarm
	nullMost  = 4000 // values a side: more alarm less often, so that what holds at it holds above
	nullRate  = 0.01 // beyond what a p-value promises
)

// Null is the outcome for one method, column and size.
type Null struct {
	// Rate is the share of draws that alarmed; where Enough is false it is of as many draws as
	// it took to know that.
	Rate float64 `json:"rate"`
	// Enough says that an alarm of windows of this size tells something.
	Enough bool `json:"enough"`
}

// NullSize is the size at which windows of n values are drawn: at least a tenth smaller steps
// are one, so that what was found is found again for the next window.
func NullSize(n int) int {
	size := 1
	for next := size; next <= min(n, nullMost); next = max(size+1, size*11/10) {
		size = next
	}
	return size
}

// NullAlarms draws windows of n values. Equal seeds draw equal windows.
func NullAlarms(m Method, threshold float64, ref *Sample, n int, seed digest.Digest) Null {
	r := newDice(seed)
	size, of := NullSize(n), min(ref.N(), nullMost)
	promised := 0.0
	if m.P {
		promised = threshold
	}
	most := nullRate * nullDraws
	if m.P { // which is an estimate itself: beyond it by what chance may add
		most = (promised+nullRate)*nullDraws + 2.33*math.Sqrt(promised*(1-promised)*nullDraws)
	}
	from := newUrn(ref)
	alarms := 0
	for i := range nullDraws {
		score, err := m.score(from.draw(of, &r), from.draw(size, &r))
		if err != nil || math.IsNaN(score) || m.Drifted(score, threshold) {
			alarms++
		}
		if float64(alarms) > most {
			return Null{Rate: float64(alarms) / float64(i+1)}
		}
	}
	return Null{Rate: float64(alarms) / nullDraws, Enough: true}
}

// urn is a sample to draw from.
type urn struct {
	of   *Sample
	keys []string
	upTo []int // of each key and those before
}

func newUrn(s *Sample) urn {
	u := urn{of: s}
	for k := range s.Counts {
		u.keys = append(u.keys, k)
	}
	slices.Sort(u.keys)
	sum := 0
	for _, k := range u.keys {
		sum += s.Counts[k]
		u.upTo = append(u.upTo, sum)
	}
	return u
}

func (u urn) draw(n int, r *dice) *Sample {
	if u.keys == nil {
		v := make([]float64, n)
		for i := range v {
			v[i] = u.of.Numbers[r.below(len(u.of.Numbers))]
		}
		sortFloats(v)
		return &Sample{Numbers: v, Whole: u.of.Whole, Category: u.of.Category}
	}
	counts := map[string]int{}
	for range n {
		at, _ := slices.BinarySearch(u.upTo, r.below(u.of.n)+1)
		counts[u.keys[at]]++
	}
	return Categories(counts)
}

// dice are random numbers from a seed (SplitMix64).
type dice struct{ state uint64 }

func newDice(seed digest.Digest) dice {
	sum := []byte(digest.Of([]byte("drift " + string(seed))).Hex())
	return dice{binary.BigEndian.Uint64(sum)}
}

func (d *dice) next() uint64 {
	d.state += 0x9e3779b97f4a7c15
	x := d.state
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// below is a number from 0 up to n; what remains of 2^64 by n is nothing for any n here.
func (d *dice) below(n int) int { return int(d.next() % uint64(n)) }
