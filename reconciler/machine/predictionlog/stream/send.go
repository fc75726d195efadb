// Package stream keeps a log of predictions in a Kafka topic: each row is a record of JSON, whose key is
// the row's id and whose time is the row's own. A part goes to one partition, and each of its records
// says which row of which part it is, so that what is sent twice is read once.
package stream

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"path"
	"strconv"
	"strings"

	"github.com/zeebo/xxh3"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/parquet"
	"github.com/vishwaops/vishwa/reconciler/format/predictions"
	"github.com/vishwaops/vishwa/reconciler/format/table"
	"github.com/vishwaops/vishwa/reconciler/machine/predictionlog"
	"github.com/vishwaops/vishwa/reconciler/machine/topic"
	"github.com/vishwaops/vishwa/schemas"
)

// Headers of a record.
const (
	headerDeployment = "vishwa-deployment" // whose row it is
	headerPart       = "vishwa-part"       // PART/ROW: of which part, and which of its rows
	headerDropped    = "vishwa-dropped"    // of a part's first record: requests that are missing before it
)

// place sends the parts of a deployment to a topic.
type place struct {
	topic *topic.Topic
	name  string
}

// To sends the parts of the deployment of a name.
func To(o topic.Options, name string) (predictionlog.Place, error) {
	t, err := topic.Open(o)
	if err != nil {
		return nil, err
	}
	return place{t, name}, nil
}

func (p place) Close() { p.topic.Close() }

// Keep sends a part's rows.
func (p place) Keep(ctx context.Context, key string, part io.ReaderAt, size int64) (lost int64, err error) {
	all, err := p.topic.Partitions(ctx)
	if err != nil {
		return 0, err
	}
	if len(all) == 0 {
		return 0, fault.WithHint(fault.New(fault.Transient, "the topic has no partition now"), "see that the topic exists and that its partitions have leaders: kafka-topics.sh --describe")
	}
	records, err := p.records(strings.TrimSuffix(path.Base(key), ".parquet"), part, size)
	if err != nil {
		return 0, err
	}
	return p.topic.Write(ctx, all[xxh3.HashString(key)%uint64(len(all))], records)
}

func (p place) records(part string, in io.ReaderAt, size int64) ([]topic.Record, error) {
	whole, err := parquet.Open(in, size)
	if err != nil {
		return nil, err
	}
	rows, err := table.Open(in, size, schemas.Format{}, "part.parquet")
	if err != nil {
		return nil, err
	}
	var out []topic.Record
	for {
		row, err := rows.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		var value bytes.Buffer
		table.Line(&value, rows.Columns(), row, nil)
		r := topic.Record{Value: value.Bytes(), Headers: []topic.Header{
			{Name: headerDeployment, Value: p.name}, {Name: headerPart, Value: part + "/" + strconv.Itoa(len(out))},
		}}
		for i, name := range rows.Columns() {
			switch name {
			case predictions.ColumnID:
				r.Key = bytes.Clone(row.Cells[i])
			case predictions.ColumnTime:
				r.Time, _ = predictionlog.ParseTime(row.Cells[i]) // without one it is that of sending
			}
		}
		if n := whole.Notes[predictions.NoteDropped]; len(out) == 0 && cmp.Or(n, "0") != "0" {
			r.Headers = append(r.Headers, topic.Header{Name: headerDropped, Value: n})
		}
		out = append(out, r)
	}
}
