// Package wandb reads and writes the transaction log of a Weights & Biases run (run-ID.wandb), which
// is where a run that is offline keeps all of it. It reads bytes of strangers: what they say of
// lengths is held against what is there, and no record is larger than MostRecord.
//
// The file is ":W&B", 0xBEE1 and a version of 0, then blocks of 32 KiB as LevelDB's log has them, in
// which lie records of Protocol Buffers: wandb_internal.Record, whose fields are named in record.go.
package wandb

import (
	"bufio"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

const (
	block     = 32 << 10
	header    = 7
	magic     = ":W&B"
	signature = 0xBEE1
	// MostRecord is how many bytes a record may have.
	MostRecord = 16 << 20

	full, first, middle, last = 1, 2, 3, 4
)

func wrong(format string, args ...any) error {
	return fault.WithHint(fault.New(fault.Invalid, "the W&B log: "+format, args...), "let the run end by itself, or call wandb.finish(), so that its log is whole")
}

// records yields each record; what it yields is overwritten by the next one. It ends where the
// file ends between two records, and nowhere else.
func records(r io.Reader, yield func(record []byte) error) error {
	in := bufio.NewReaderSize(r, block)
	var head [header]byte
	if _, err := io.ReadFull(in, head[:]); err != nil || string(head[:4]) != magic || binary.LittleEndian.Uint16(head[4:]) != signature || head[6] != 0 {
		return wrong("it does not begin as one of version 0")
	}
	at := header // within the block: the file's own header counts
	var record []byte
	open := false
	for {
		if left := block - at; left < header {
			if _, err := in.Discard(left); err != nil {
				return ended(err, open)
			}
			at = 0
		}
		n, err := io.ReadFull(in, head[:])
		if n == 0 && errors.Is(err, io.EOF) {
			return ended(err, open)
		}
		if err != nil {
			return wrong("it ends in the middle of a record")
		}
		size, kind := int(binary.LittleEndian.Uint16(head[4:])), head[6]
		if at += header + size; at > block {
			return wrong("a piece of a record leads out of its block")
		}
		if kind < full || kind > last || open == (kind == full || kind == first) {
			return wrong("a piece of a record has the kind %d, which cannot be there", kind)
		}
		if kind == full || kind == first {
			record = record[:0]
		}
		if len(record)+size > MostRecord {
			return wrong("a record has more than %d MiB", MostRecord>>20)
		}
		from := len(record)
		record = append(record, make([]byte, size)...)
		if _, err := io.ReadFull(in, record[from:]); err != nil {
			return wrong("it ends in the middle of a record")
		}
		sum := crc32.Update(crc32.ChecksumIEEE(head[6:]), crc32.IEEETable, record[from:])
		if sum != binary.LittleEndian.Uint32(head[:]) {
			return wrong("the checksum of a record is another one: it is damaged")
		}
		if open = kind == first || kind == middle; open {
			continue
		}
		if err := yield(record); err != nil {
			return err
		}
	}
}

func ended(err error, open bool) error {
	if open || !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return wrong("it ends in the middle of a record")
	}
	return nil
}
