// XML, as PMML and OpenVINO have it: readers of it fetch what a document's type and its entities name, files of the host among them.

package model

import (
	"bufio"
	"bytes"
	"errors"

	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

// plainHTML is a document type that names nothing to fetch.
var plainHTML = lazyregexp.New(`^!(?i:doctype\s+html)\s*>`)

// hasEntities tells whether a text that a reader may take for XML has a document type or declares entities (XML 1.0, 2.8 and 4.2).
func hasEntities(f file, head []byte) bool {
	if !bytes.HasPrefix(bytes.TrimLeft(head, " \t\r\n\f"), []byte("<")) {
		return false
	}
	in := bufio.NewReaderSize(f.part(0, f.size), 64<<10)
	for {
		_, err := in.ReadSlice('<')
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil {
			return false
		}
		text, _ := in.Peek(64) // less at the end
		if bytes.HasPrefix(text, []byte("!ENTITY")) || bytes.HasPrefix(text, []byte("!DOCTYPE")) && !plainHTML.Match(text) {
			return true
		}
	}
}
