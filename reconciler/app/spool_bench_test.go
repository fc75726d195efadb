// What many columns of many rows cost a measurement, from the cells of a table to the scores, and the
// memory that it takes.

package app

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vishwaops/vishwa/reconciler/engine/drift"
	"github.com/vishwaops/vishwa/reconciler/engine/sample"
	"github.com/vishwaops/vishwa/reconciler/format/table"
	"github.com/vishwaops/vishwa/reconciler/pass/measure"
)

// generated is a table whose cells are made of a few thousand texts, each column in an order of its own.
type generated struct {
	rows, at int
	names    []string
	pool     [][]byte
	row      table.Row
}

func newGenerated(rows, columns int, seed uint64) *generated {
	r := rand.New(rand.NewPCG(seed, 1))
	g := &generated{rows: rows, row: table.Row{Cells: make([][]byte, columns)}}
	for range 1 << 16 {
		g.pool = append(g.pool, strconv.AppendFloat(nil, r.NormFloat64(), 'f', 6, 64))
	}
	for i := range columns {
		g.names = append(g.names, fmt.Sprint("c", i))
	}
	return g
}

func (g *generated) Columns() []string { return g.names }

func (g *generated) Next() (*table.Row, error) {
	if g.at == g.rows {
		return nil, io.EOF
	}
	g.at++
	for i := range g.row.Cells {
		g.row.Cells[i] = g.pool[(g.at*(2*i+1)+i*7919)&(1<<16-1)]
	}
	return &g.row, nil
}

// BenchmarkManyColumns reads a window and a reference of a million rows and a hundred columns, ten times
// as VISHWA_BENCH_COLUMNS=1000 says, and holds each column. Memory is of the whole process, at its peak.
func BenchmarkManyColumns(b *testing.B) {
	rows, columns := 1_000_000, 100
	for name, n := range map[string]*int{"VISHWA_BENCH_ROWS": &rows, "VISHWA_BENCH_COLUMNS": &columns} {
		if s := os.Getenv(name); s != "" {
			var err error
			if *n, err = strconv.Atoi(s); err != nil {
				b.Fatal(err)
			}
		}
	}
	for b.Loop() {
		began := usage()
		for done := 0; done < columns; done += 100 {
			some := min(100, columns-done)
			spool, err := newSpool(b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			base, now := &sample.Side{Spool: spool, Each: measure.AtOnce}, &sample.Side{Spool: spool, Each: measure.AtOnce}
			for seed, side := range map[uint64]*sample.Side{1: base, 2: now} {
				if err := side.Read(newGenerated(rows, some, seed), nil, nil, nil); err != nil {
					b.Fatal(err)
				}
			}
			names := base.Columns()
			measure.AtOnce(len(names), func(i int) {
				ref, err := base.Sample(names[i], "number")
				cur, bad := now.Sample(names[i], "number")
				if err != nil || bad != nil {
					b.Error(err, bad)
					return
				}
				if c := drift.Hold(names[i], drift.Setting{}, ref, cur, func(drift.Method, float64, int) drift.Null { return drift.Null{Enough: true} }); c.Score == nil {
					b.Error(c.Why)
				}
			})
			if err := spool.Close(); err != nil {
				b.Fatal(err)
			}
		}
		ended := usage()
		b.ReportMetric(ended.used.Seconds()-began.used.Seconds(), "cpu-s")
		b.ReportMetric(float64(ended.peak)/(1<<20), "MiB-at-its-peak")
	}
}

type used struct {
	used time.Duration
	peak int64 // bytes
}

// usage is what this process has used.
func usage() used {
	var r unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &r)
	return used{time.Duration(r.Utime.Nano() + r.Stime.Nano()), r.Maxrss << 10}
}
