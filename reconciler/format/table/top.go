// The most frequent values in bounded memory (Misra and Gries 1982): a count is
// too small by at most missed, and a value more frequent than that is never lost.

package table

const (
	counters = 256
	slots    = 1024
)

type counter struct {
	hash  uint64
	count int64
	text  []byte
}

type frequent struct {
	table   [slots]uint16 // index into entries plus one
	entries []counter
	base    int64 // how often every counter was taken down: the error bound
}

func (f *frequent) addCount(hash uint64, text []byte, n int64) {
	i := hash % slots
	for ; f.table[i] != 0; i = (i + 1) % slots {
		if e := &f.entries[f.table[i]-1]; e.hash == hash {
			e.count += n
			return
		}
	}
	if len(f.entries) < counters {
		f.countValue(i, hash, text, n)
		return
	}
	least := n
	for i := range f.entries {
		least = min(least, f.entries[i].count)
	}
	f.lower(least)
	if n > least {
		f.addCount(hash, text, n-least)
	}
}

func (f *frequent) countValue(slot uint64, hash uint64, text []byte, n int64) {
	k := len(f.entries)
	if k < cap(f.entries) {
		f.entries = f.entries[:k+1]
	} else {
		f.entries = append(f.entries, counter{})
	}
	e := &f.entries[k]
	e.hash, e.count, e.text = hash, n, append(e.text[:0], clipped(text)...)
	f.table[slot] = uint16(k + 1)
}

// lower takes n from every counter and frees those at nothing, whose buffers are kept.
func (f *frequent) lower(n int64) {
	f.base += n
	clear(f.table[:])
	kept := 0
	for i := range f.entries {
		if f.entries[i].count -= n; f.entries[i].count <= 0 {
			continue
		}
		f.entries[kept], f.entries[i] = f.entries[i], f.entries[kept]
		slot := f.entries[kept].hash % slots
		for f.table[slot] != 0 {
			slot = (slot + 1) % slots
		}
		kept++
		f.table[slot] = uint16(kept)
	}
	f.entries = f.entries[:kept]
}

// merge adds what another part saw; the error bounds add.
func (f *frequent) merge(o *frequent) {
	f.base += o.base
	for _, e := range o.entries {
		f.addCount(e.hash, e.text, e.count)
	}
}
