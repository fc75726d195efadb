// Measuring: the table of gauges, and where null alarm rates and references are kept.

package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/gauge"
	"github.com/vishwaops/vishwa/reconciler/adapter/server"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/drift"
	"github.com/vishwaops/vishwa/reconciler/engine/sample"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/predictions"
	"github.com/vishwaops/vishwa/reconciler/format/table"
	"github.com/vishwaops/vishwa/reconciler/machine/predictionlog"
	"github.com/vishwaops/vishwa/reconciler/machine/recall"
	"github.com/vishwaops/vishwa/reconciler/pass/measure"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Bench is what a monitor measures with; private hosts are asked where allow names them.
func Bench(h *Repository, env port.Env, allow []string) *measure.Bench {
	shelf := func(most, one int64, below ...string) recall.Shelf {
		return recall.Shelf{Dir: filepath.Join(append([]string{h.Paths.Cache, "drift"}, below...)...), Seal: h.Paths.Seal(), Most: most, One: one, Now: env.Now}
	}
	nulls := &nullRates{shelf: shelf(64<<20, 4<<10), program: program()}
	return &measure.Bench{
		Reconciler: h.Reconciler, Known: nulls.known, Keep: nulls.keep, References: shelf(4<<30, 1<<30, "references"), Program: nulls.program,
		Log: func(ctx context.Context, d schemas.Declaration, from, now time.Time) (table.Reader, func() error, error) {
			objects, prefix, err := server.OpenPredictions(h.Paths.Serving(), d.Metadata.Name, d.Spec.(schemas.Logged).Logs(),
				server.Access{Env: env, Guarded: true, Allow: allow, From: from})
			if err != nil {
				return nil, nil, err
			}
			r := predictionlog.Read(ctx, objects, predictionlog.Query{Prefix: prefix, From: from, Now: now})
			return &logged{Reader: r}, r.Close, nil
		},
		Spool: func() (sample.Spool, func() error, error) {
			s, err := newSpool(filepath.Join(h.Paths.Cache, "drift"))
			if err != nil {
				return nil, nil, err
			}
			return s, s.Close, nil
		},
		Gauge: func(tree fs.FS, g schemas.Gauge) (port.Gauge, error) { return openGauge(tree, g, env, allow) },
	}
}

// openGauge is the table of gauges.
func openGauge(tree fs.FS, g schemas.Gauge, env port.Env, allow []string) (port.Gauge, error) {
	switch {
	case g.Prometheus != nil:
		return gauge.Prometheus(*g.Prometheus, gauge.Options{Env: env, Allow: allow})
	case g.Evidently != nil:
		return gauge.Evidently(tree, *g.Evidently), nil
	case g.Whylogs != nil:
		return gauge.Whylogs(tree, *g.Whylogs, gauge.Options{Env: env, Allow: allow}), nil
	}
	return nil, fault.New(fault.Internal, "a gauge that names nothing passed the checks")
}

// nullRates keeps null alarm rates by what they come from, one small file each: they are found
// anew where a file is lost or broken, or was put there by somebody else.
type nullRates struct {
	shelf   recall.Shelf
	program string
	tidy    sync.Once
}

func (n *nullRates) name(d digest.Digest) digest.Digest {
	return digest.Of([]byte(n.program + "\n" + string(d)))
}

// program tells this build from others: what one of them kept, another finds anew.
func program() string {
	var out string
	if info, ok := debug.ReadBuildInfo(); ok {
		out = info.String()
	}
	if path, err := os.Executable(); err == nil {
		if st, err := os.Stat(path); err == nil {
			out += fmt.Sprint(st.Size(), st.ModTime().UnixNano())
		}
	}
	return string(digest.Of([]byte(out)))
}

func (n *nullRates) known(d digest.Digest) (out drift.Null, ok bool) {
	found := n.shelf.Open(n.name(d))
	if found == nil {
		return out, false
	}
	defer found.Close()
	return out, json.Unmarshal(found.Index, &out) == nil
}

func (n *nullRates) keep(d digest.Digest, v drift.Null) {
	n.tidy.Do(func() { n.shelf.Tidy(0) })
	raw, err := json.Marshal(v)
	if err != nil {
		return
	}
	if at, err := n.shelf.New(n.name(d)); err == nil {
		_ = at.Put(raw) // it is a cache, and the next one finds the rate anew
		_ = at.Done()
	}
}

// logged reads a log with its features by their own names, as far as their requests were
// answered: what a model refuses tells of whoever asked, and never has an outcome.
type logged struct {
	*predictionlog.Reader
	names []string
}

// Next reads the next row that was answered.
func (l *logged) Next() (*table.Row, error) {
	for {
		row, err := l.Reader.Next()
		if err != nil || l.Answered() {
			return row, err
		}
	}
}

// Notes say what the log lacks: a window of which rows were lost may look as it is not.
func (l *logged) Notes() (out []string) {
	r := l.Report()
	if r.Dropped > 0 {
		out = append(out, plural.Of(r.Dropped, "request")+" not logged: more came than could be written")
	}
	if n := len(r.Unreadable); n > 0 {
		out = append(out, plural.Of(int64(n), "file")+" of the log cannot be read")
	}
	if r.Unread > 0 {
		out = append(out, plural.Of(r.Unread, "column")+" of the log left out: there are too many others")
	}
	return out
}

func (l *logged) Columns() []string {
	for _, name := range l.Reader.Columns()[len(l.names):] {
		l.names = append(l.names, predictions.OwnName(name))
	}
	return l.names
}
