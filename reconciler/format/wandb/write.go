// Writing a log, as a run that is offline leaves it and wandb sync takes it.

package wandb

import (
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// More fields of Record; 200 is what each record is about.
const (
	recordNumber = 1
	recordHeader = 21
	recordInfo   = 200
)

// oldest is the version of W&B from which on a log like this is read.
const oldest = "0.13.0"

// Run is what a log says of its run.
type Run struct {
	ID       string // letters and digits
	Entity   string // "": that of whoever uploads it
	Project  string
	Name     string
	Group    string
	Job      string // its type, such as train
	Notes    string
	Tags     []string
	Remote   string // of the repository
	Commit   string
	Started  time.Time
	Producer string // the program that writes
	// Config is the parameters: values of JSON.
	Config map[string]any
}

// Writer writes a log. Its first error stays, and End tells it.
type Writer struct {
	to  *blocks
	run Run
	num uint64
}

// NewWriter begins the log of a run.
func NewWriter(w io.Writer, run Run) *Writer {
	out := &Writer{to: newBlocks(w), run: run}
	out.record(recordHeader, message(1, append(text(1, run.Producer), text(2, oldest)...)))
	var config []byte
	for _, name := range slices.Sorted(maps.Keys(run.Config)) {
		config = append(config, message(1, append(text(1, name), text(16, asJSON(run.Config[name]))...))...)
	}
	b := slices.Concat(text(1, run.ID), text(2, run.Entity), text(3, run.Project), message(4, config), text(6, run.Group), text(7, run.Job), text(8, run.Name), text(9, run.Notes))
	for _, t := range run.Tags {
		b = append(b, text(10, t)...)
	}
	began := append(varint(1, uint64(run.Started.Unix())), varint(2, uint64(run.Started.Nanosecond()))...)
	out.record(recordRun, slices.Concat(b, message(17, began), message(21, append(text(1, run.Remote), text(2, run.Commit)...))))
	return out
}

// Row writes the numbers of one step; steps must rise. At is when; the zero time: not known.
func (w *Writer) Row(step int64, at time.Time, numbers map[string]float64) {
	var b []byte
	for _, name := range slices.Sorted(maps.Keys(numbers)) {
		b = append(b, logged(name, numbers[name])...)
	}
	b = append(b, logged("_step", float64(step))...)
	if !at.IsZero() {
		b = append(b, logged("_timestamp", float64(at.UnixMilli())/1000)...)
		b = append(b, logged("_runtime", max(0, at.Sub(w.run.Started).Seconds()))...)
	}
	w.record(recordHistory, append(b, message(2, varint(1, uint64(step)))...))
}

// End writes the values that stand at the end, and that the run ended well.
func (w *Writer) End(at time.Time, summary map[string]float64) error {
	var b []byte
	for _, name := range slices.Sorted(maps.Keys(summary)) {
		b = append(b, logged(name, summary[name])...)
	}
	seconds := max(0, at.Sub(w.run.Started).Seconds())
	b = append(b, logged("_runtime", seconds)...)
	w.record(recordSummary, b)
	w.record(recordExit, varint(2, uint64(min(seconds, math.MaxInt32))))
	return w.to.err
}

func (w *Writer) record(kind protowire.Number, b []byte) {
	w.num++
	out := append(varint(recordNumber, w.num), must(kind, b)...)
	w.to.record(append(out, message(recordInfo, text(1, w.run.ID))...))
}

// logged is a number under its name, in the first field of a record: a name is of one part, however many dots it has.
func logged(name string, value float64) []byte {
	return message(1, append(text(2, name), text(16, number(value))...))
}

// number is a number as W&B writes it in JSON.
func number(v float64) string {
	switch {
	case math.IsNaN(v):
		return "NaN"
	case math.IsInf(v, 1):
		return "Infinity"
	case math.IsInf(v, -1):
		return "-Infinity"
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

func asJSON(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		return "null"
	}
	return string(raw)
}

// text, message and varint are fields; one that is empty is left out.
func text(n protowire.Number, s string) []byte { return message(n, []byte(s)) }

func message(n protowire.Number, b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return must(n, b)
}

func must(n protowire.Number, b []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, n, protowire.BytesType), b)
}

func varint(n protowire.Number, v uint64) []byte {
	if v == 0 {
		return nil
	}
	return protowire.AppendVarint(protowire.AppendTag(nil, n, protowire.VarintType), v)
}

// blocks lays records out in blocks.
type blocks struct {
	w   io.Writer
	at  int // within the block
	err error
}

func newBlocks(w io.Writer) *blocks {
	out := &blocks{w: w}
	out.write(append(binary.LittleEndian.AppendUint16([]byte(magic), signature), 0))
	return out
}

func (w *blocks) write(b []byte) {
	if w.err == nil {
		_, w.err = w.w.Write(b)
	}
	w.at = (w.at + len(b)) % block
}

func (w *blocks) record(b []byte) {
	for begun := false; ; begun = true {
		if left := block - w.at; left < header {
			w.write(make([]byte, left))
		}
		piece := b[:min(len(b), block-w.at-header)]
		b = b[len(piece):]
		kind := byte(full)
		switch {
		case !begun && len(b) > 0:
			kind = first
		case begun && len(b) > 0:
			kind = middle
		case begun:
			kind = last
		}
		sum := crc32.Update(crc32.ChecksumIEEE([]byte{kind}), crc32.IEEETable, piece)
		head := binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint32(nil, sum), uint16(len(piece)))
		w.write(append(append(head, kind), piece...))
		if len(b) == 0 {
			return
		}
	}
}
