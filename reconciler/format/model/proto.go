// Messages of protobuf, walked by a table: every field is one that the table has, of the
// kind that it has there, and a field of one value stands once. Then one file cannot be
// two kinds of message, and no reader that is lenient can see another one.

package model

import (
	"bufio"
	"io"
)

// kind is what a field holds.
type kind uint8

const (
	varint  kind = iota + 1
	wide         // 8 bytes
	narrow       // 4 bytes
	text         // UTF-8 without control characters
	blob         // any bytes: weights
	inner        // a message
	numbers      // repeated varints, one by one or packed
	wides        // the same of 8 bytes
	narrows      // of 4 bytes
)

type field struct {
	kind
	many bool
	of   string // the message
}

// protoReader walks a file. visit is called at a message's end, with its texts where those name something; each, with
// every text of a message as it is read.
type protoReader struct {
	f      file
	src    *bufio.Reader
	off    int64
	schema map[string]map[uint64]field
	visit  func(message string, texts map[uint64]string)
	each   func(message string, number uint64, text string)
	within []string // the messages that are being read
}

const (
	maxProtoDepth = 64
	maxTerm       = 1 << 10 // of a text that is looked at
)

func newProto(f file, schema map[string]map[uint64]field) *protoReader {
	return &protoReader{f: f, src: bufio.NewReaderSize(f.part(0, f.size), 64<<10), schema: schema}
}

// message walks fields as far as end.
func (p *protoReader) message(name string, end int64, depth int) bool {
	p.within = append(p.within, name)
	defer func() { p.within = p.within[:len(p.within)-1] }()
	fields, texts := p.schema[name], map[uint64]string(nil)
	seen := uint64(0)
	for p.off < end {
		tag, ok := p.varint(end)
		number, wire := tag>>3, tag&7
		f, known := fields[number]
		if !ok || !known || depth > maxProtoDepth || !f.many && seen>>number&1 == 1 {
			return false
		}
		seen |= 1 << number
		if wire != 2 {
			if !p.scalar(f.kind, wire, end) {
				return false
			}
			continue
		}
		n, ok := p.varint(end)
		if !ok || n > uint64(end-p.off) {
			return false
		}
		stop := p.off + int64(n)
		switch f.kind {
		case inner:
			ok = p.message(f.of, stop, depth+1)
		case text:
			var s string
			if s, ok = p.text(int64(n)); ok && (name == "node" || name == "function" || name == "external") {
				if texts == nil {
					texts = map[uint64]string{}
				}
				texts[number] = s
			}
			if ok && p.each != nil {
				p.each(name, number, s)
			}
		case blob, numbers, wides, narrows:
			ok = p.skip(int64(n))
		default:
			ok = false
		}
		if !ok || p.off != stop {
			return false
		}
	}
	if p.visit != nil {
		p.visit(name, texts)
	}
	return p.off == end
}

func (p *protoReader) scalar(k kind, wire uint64, end int64) bool {
	switch {
	case (k == varint || k == numbers) && wire == 0:
		_, ok := p.varint(end)
		return ok
	case (k == wide || k == wides) && wire == 1:
		return p.off+8 <= end && p.skip(8)
	case (k == narrow || k == narrows) && wire == 5:
		return p.off+4 <= end && p.skip(4)
	default:
		return false
	}
}

// varint reads one in its shortest form.
func (p *protoReader) varint(end int64) (uint64, bool) {
	v := uint64(0)
	for shift := 0; shift < 64 && p.off < end; shift += 7 {
		b, err := p.src.ReadByte()
		if err != nil {
			return 0, false
		}
		p.off++
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return v, b != 0 || shift == 0
		}
	}
	return 0, false
}

// text reads n bytes; of a long one only that it is text, and "" comes back.
func (p *protoReader) text(n int64) (string, bool) {
	if n > maxTerm {
		long := file{ReaderAt: p.f.part(p.off, n), size: n}
		return longTerm, isAllText(long) && p.skip(n)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(p.src, b); err != nil {
		return "", false
	}
	p.off += n
	return string(b), isText(b)
}

// longTerm stands for a text that is too long to be a name of anything.
const longTerm = "\x00"

func (p *protoReader) skip(n int64) bool {
	p.off += n
	if n <= int64(p.src.Buffered()) {
		_, err := p.src.Discard(int(n))
		return err == nil
	}
	p.src.Reset(p.f.part(p.off, p.f.size-p.off))
	return true
}
