// Parts of a log, opened one after the other: read from where they are, or brought whole first.

package predictionlog

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/parquet"
	"github.com/vishwaops/vishwa/reconciler/format/predictions"
	"github.com/vishwaops/vishwa/reconciler/format/table"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// open opens the next part that may hold rows of the window; io.EOF is the end.
func (r *Reader) open() error {
	for {
		o, err, more := r.keys()
		switch {
		case !more:
			if p, ok := r.objects.(interface{ Dropped() int64 }); ok { // a place whose parts say it together
				r.report.Dropped += p.Dropped()
			}
			return io.EOF
		case err != nil:
			return err
		case !r.q.MayHold(o.Key):
			if !r.q.Shadow && predictions.Second(o.Key) && (Query{From: r.q.From, To: r.q.To, After: r.q.After, Shadow: true}).MayHold(o.Key) {
				r.report.ShadowParts++
			}
			continue
		}
		if err := r.begin(o); err != nil {
			if stops(err) {
				return err
			}
			r.unreadable(o.Key, err)
			r.end()
		}
		return nil
	}
}

// MayHold tells by a part's name whether it is read for q.
func (q Query) MayHold(key string) bool {
	base := path.Base(key)
	second := predictions.Second(key)
	if inTime(key) <= inTime(q.After) && q.After != "" || second && !q.Shadow || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") && !second {
		return false
	}
	if _, err := table.FormatOf(schemas.Format{}, base); err != nil {
		return false
	}
	hour, ok := predictions.Hour(key)
	if !ok {
		return true
	}
	beside := foreign
	if predictions.Own(key) {
		beside = 0
	}
	early := !q.From.IsZero() && !hour.Add(time.Hour+beside).After(q.From)
	late := !q.To.IsZero() && !hour.Add(-beside).Before(q.To)
	return !early && !late
}

// inTime is a part's key as it stands among others of its hour, of whichever kind they are.
func inTime(key string) string {
	dir, base := path.Split(key)
	return dir + strings.TrimPrefix(base, predictions.SecondPrefix)
}

// begin opens one part.
func (r *Reader) begin(o port.Object) error {
	body, _, err := r.objects.Get(r.ctx, o.Key, port.All)
	if err != nil {
		return err
	}
	defer body.Close()
	in, err := r.whole(body, o.Size)
	if err != nil {
		return err
	}
	name := path.Base(o.Key)
	if part, err := table.Open(in, o.Size, schemas.Format{}, name); err != nil {
		return err
	} else {
		r.part, r.key, r.place = part, o.Key, nil
	}
	r.report.Parts++
	if r.report.Last == "" || inTime(o.Key) > inTime(r.report.Last) {
		r.report.Last = o.Key
	}
	if strings.HasSuffix(strings.ToLower(name), ".parquet") {
		return r.noted(in, o)
	}
	return nil
}

// whole has all of a part at hand: in memory, or in a file where it is large.
func (r *Reader) whole(body io.Reader, size int64) (io.ReaderAt, error) {
	if size > mostPart {
		return nil, fault.WithHint(fault.New(fault.Invalid, "it has %d MiB, and at most %d are read", size>>20, mostPart>>20), "split the part: whoever wrote it keeps to smaller ones")
	}
	if size <= inMemory {
		r.buf = slices.Grow(r.buf[:0], int(size))[:size]
		if _, err := io.ReadFull(body, r.buf); err != nil {
			return nil, err
		}
		return bytes.NewReader(r.buf), nil
	}
	f, err := os.CreateTemp("", "vishwa-predictions-")
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Transient, "read the prediction log: %w", err), "try again; if it stays, see that the disk of the log can be read")
	}
	r.file = f
	if _, err := io.Copy(f, io.LimitReader(body, size)); err != nil {
		return nil, err
	}
	return f, nil
}

// noted takes what a Parquet part says of itself: what was dropped, and its columns' types.
func (r *Reader) noted(in io.ReaderAt, o port.Object) error {
	f, err := parquet.Open(in, o.Size)
	if err != nil {
		return err
	}
	if n, err := strconv.ParseInt(f.Notes[predictions.NoteDropped], 10, 64); err == nil && n > 0 {
		r.report.Dropped += n
	}
	for _, c := range f.Columns {
		name, typ := strings.Join(c.Path, "."), typeName(c)
		was, known := r.types[name]
		if !known && len(r.types) >= mostRead {
			continue
		}
		if known && was != typ && (r.report.Retyped[name] != "" || len(r.report.Retyped) < mostOdd) {
			retyped := maps.Clone(r.report.Retyped)
			if retyped == nil {
				retyped = map[string]string{}
			}
			retyped[name] = fmt.Sprintf("%s, since %s %s", was, path.Base(o.Key), typ)
			r.report.Retyped = retyped
		}
		r.types[name] = typ
	}
	return nil
}

func typeName(c parquet.Column) string {
	switch {
	case c.Means == parquet.Timestamp || c.Means == parquet.Date:
		return "time"
	case c.Means == parquet.JSON:
		return "several types"
	case c.Type == parquet.Boolean:
		return "boolean"
	case c.Type == parquet.ByteArray || c.Type == parquet.Fixed:
		return "text"
	}
	return "number" // whole or not: a part without fractions has whole ones
}
