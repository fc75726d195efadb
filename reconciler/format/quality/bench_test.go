// What a large table costs, beside a program that people would use instead.

package quality

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/schemas"
)

// BenchmarkData profiles the table that VISHWA_BENCH_DATA names, over all cores. The
// figure to hold it against is python's, on the same machine, in turns:
//
//	python -c 'import pandas, sys; pandas.read_csv(sys.argv[1]).describe(include="all")' FILE
func BenchmarkData(b *testing.B) {
	path := os.Getenv("VISHWA_BENCH_DATA")
	if path == "" {
		b.Skip("set VISHWA_BENCH_DATA to the path of a table, of 1 GB say")
	}
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	table := File{Path: path, Size: info.Size(), Open: func(context.Context) (Content, error) { return os.Open(path) }}
	b.SetBytes(info.Size())
	for b.Loop() {
		found, err := Data(b.Context(), &schemas.Dataset{}, []File{table}, time.Time{})
		if err != nil || found.Profile == nil {
			b.Fatal(found, err)
		}
	}
}
