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

// BenchmarkManyColumns reads a window and a reference, and compares each column. A thousand columns are a hundred that are read ten times.
// VISHWA_BENCH_ROWS and VISHWA_BENCH_COLUMNS name another size. Memory is of the whole process, at its peak.
func BenchmarkManyColumns(b *testing.B) {
	sizes := [][2]int{{1_000_000, 100}, {3_000_000, 1000}}
	for i, name := range []string{"VISHWA_BENCH_ROWS", "VISHWA_BENCH_COLUMNS"} {
		if s := os.Getenv(name); s != "" {
			n, err := strconv.Atoi(s)
			if err != nil {
				b.Fatal(err)
			}
			sizes = sizes[:1]
			sizes[0][i] = n
		}
	}
	for _, size := range sizes {
		rows, columns := size[0], size[1]
		b.Run(fmt.Sprintf("%d_columns_of_%d_rows", columns, rows), func(b *testing.B) {
			for b.Loop() {
				began := usage()
				for done := 0; done < columns; done += 100 {
					readAndHold(b, rows, min(100, columns-done))
				}
				ended := usage()
				b.ReportMetric(ended.used.Seconds()-began.used.Seconds(), "cpu-s")
				b.ReportMetric(float64(ended.peak)/(1<<20), "peak-MiB")
			}
			if rows == 3_000_000 && columns == 1000 { // four minutes of two processors
				b.ReportMetric(480, "cpu-s-goal")
				b.ReportMetric(1024, "peak-MiB-goal")
			}
		})
	}
}

// readAndHold reads both sides, and compares each column.
func readAndHold(b *testing.B, rows, columns int) {
	spool, err := newSpool(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer spool.Close()
	base, now := &sample.Side{Spool: spool, Each: measure.AtOnce}, &sample.Side{Spool: spool, Each: measure.AtOnce}
	for seed, side := range map[uint64]*sample.Side{1: base, 2: now} {
		if err := side.Read(newGenerated(rows, columns, seed), nil, nil, nil); err != nil {
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
