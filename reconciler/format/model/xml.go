// XML, as PMML and OpenVINO have it: readers of it fetch what a document's type and its entities name, files of the host among them.

package model

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

// plainHTML is a document type that names nothing to fetch.
var plainHTML = lazyregexp.New(`^!(?i:doctype\s+html)\s*>`)

// declared is the declaration of XML, and encodings those in which what is looked for has the bytes of ASCII, and nothing else has.
var (
	declared  = lazyregexp.New(`^<\?xml\s[^?]*?encoding\s*=\s*["']([^"']*)["']`)
	encodings = lazyregexp.New(`^(?i:utf-?8|(us-)?ascii|iso-8859-[0-9]+|latin-?1|windows-125[0-9])$`)
)

// hasEntities tells whether a text that a reader may take for XML has a document type or declares entities (XML 1.0, 2.8 and 4.2), or is in
// an encoding that could hide them.
func hasEntities(f file, head []byte) bool {
	head = bytes.TrimLeft(head, " \t\r\n\f")
	if !bytes.HasPrefix(head, []byte("<")) {
		return false
	}
	if bytes.HasPrefix(head, []byte("<?xml")) {
		end := bytes.Index(head, []byte("?>"))
		if end < 0 {
			return true
		}
		if m := declared.FindStringSubmatch(string(head[:end])); m != nil && !encodings.MatchString(m[1]) {
			return true
		}
	}
	in := bufio.NewReaderSize(f.part(0, f.size), 64<<10)
	for {
		_, err := in.ReadSlice('<')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil:
			return !errors.Is(err, io.EOF)
		}
		text, _ := in.Peek(64) // less at the end
		if bytes.HasPrefix(text, []byte("!ENTITY")) || bytes.HasPrefix(text, []byte("!DOCTYPE")) && !plainHTML.Match(text) {
			return true
		}
	}
}
