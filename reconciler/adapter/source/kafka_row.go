// Rows that records of a topic come to: an object each, on one line.

package source

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/message"
	"github.com/vishwaops/vishwa/reconciler/machine/messageschema"
	"github.com/vishwaops/vishwa/reconciler/machine/topic"
)

// rowWriter makes rows.
type rowWriter struct {
	raw      bool
	metadata bool
	decoder  messageschema.Decoder   // of one schema
	registry *messageschema.Registry // or of as many as messages name
	line     []byte
	value    []byte
}

// row is what a record comes to, with its line's end; none where it only says that something is
// deleted. It is the writer's own until the next.
func (w *rowWriter) row(ctx context.Context, r topic.Record) ([]byte, error) {
	w.line = w.line[:0]
	if w.raw {
		w.line = append(w.about(append(w.line, '{'), r, "key"), `,"value":`...)
		w.line = append(base64Of(w.line, r.Value), "}\n"...)
		return w.line, w.short()
	}
	if r.Value == nil {
		return nil, nil
	}
	var err error
	if w.registry != nil {
		w.value, err = w.registry.AppendFramed(ctx, w.value[:0], r.Value)
	} else {
		w.value, err = w.decoder.Append(w.value[:0], r.Value)
	}
	if err != nil {
		return nil, err
	}
	rest := w.value
	w.line = append(w.line, '{')
	if w.metadata {
		w.line = append(w.about(append(w.line, `"kafka":{`...), r, ""), '}')
	}
	if rest[0] == '{' {
		rest = rest[1:]
		if w.metadata && rest[0] != '}' {
			w.line = append(w.line, ',')
		}
	} else {
		if w.metadata {
			w.line = append(w.line, ',')
		}
		w.line = append(w.line, `"value":`...)
		rest = append(rest, '}')
	}
	w.line = append(append(w.line, rest...), '\n')
	return w.line, w.short()
}

func (w *rowWriter) short() error {
	if len(w.line) > message.MaxText {
		return fault.WithHint(fault.New(fault.Invalid, "the record comes to a row of more than %d MiB", message.MaxText>>20), "have its producer send what is large elsewhere, and name it in the record")
	}
	return nil
}

// about are the record's own fields. Its key is Base64 under the name that is given, or else a text
// where it is one.
func (w *rowWriter) about(out []byte, r topic.Record, key string) []byte {
	out = strconv.AppendInt(append(out, `"partition":`...), int64(r.Partition), 10)
	out = strconv.AppendInt(append(out, `,"offset":`...), r.Offset, 10)
	out = append(out, `,"time":"`...)
	out = append(r.Time.AppendFormat(out, time.RFC3339Nano), '"')
	switch {
	case key != "":
		return base64Of(append(out, `,"key":`...), r.Key)
	case r.Key == nil:
		return out
	case utf8.Valid(r.Key):
		text, _ := json.Marshal(string(r.Key)) // any text is JSON
		return append(append(out, `,"key":`...), text...)
	}
	return base64Of(append(out, `,"keyBase64":`...), r.Key)
}

func base64Of(out, b []byte) []byte {
	if b == nil {
		return append(out, "null"...)
	}
	return append(base64.StdEncoding.AppendEncode(append(out, '"'), b), '"')
}

// schemas are those that rows were read by, also before the fetch was cut off.
func (t *taking) schemas() string {
	if t.rows.registry == nil {
		return ""
	}
	all := strings.Fields(t.before + " " + t.rows.registry.Used())
	slices.Sort(all)
	return strings.Join(slices.Compact(all), " ")
}
