// The page's tables are those that the results give.

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const root = "../../.."

func TestTablesAreWhatTheResultsGive(t *testing.T) {
	want, err := render(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("tables of %s are not those of %s: make bench-tables", page, folder)
	}
	for m := range strings.SplitSeq(string(got), "<!-- bench") {
		if strings.Count(m, "<!-- end -->") > 1 {
			t.Errorf("a table has no beginning: ...%s", m[:min(len(m), 200)])
		}
	}
}

// Each file of results is a row's and stands in the page, and each table of the page is of rows that there are.
func TestRowsAndTablesAreTheSame(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]int{}
	for _, m := range marked.FindAllStringSubmatch(string(raw), -1) {
		for _, name := range strings.Fields(m[2]) {
			shown[name]++
		}
	}
	files, err := filepath.Glob(filepath.Join(root, folder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if name := strings.TrimSuffix(filepath.Base(f), ".txt"); shown[name] == 0 {
			t.Errorf("%s stands in no table", f)
		}
	}
	for _, r := range rows {
		if shown[r.name] != 1 {
			t.Errorf("row %s stands in %d tables", r.name, shown[r.name])
		}
		delete(shown, r.name)
	}
	for name := range shown {
		t.Errorf("a table is of row %q, which is not there", name)
	}
}

func TestTableOfResults(t *testing.T) {
	const some = `date: 2026-01-02
commit: abc
machine: M
load: 0.1 before, 0.2 after
go: 1.26
version-peer: 1.2
BenchmarkBeside/verify/a_model_of_3_GB/vishwa-2  1  7 pairs  0.5 wall-s  0.9 cpu-s  30 peak-MiB  1.01 exponent  1.05 exponent-goal  20 peak-MiB-goal
BenchmarkBeside/verify/a_model_of_3_GB/a__peer-2  1  7 pairs  2 wall-s  1.8 cpu-s  2.5 server-s  4 wall-ratio  3 wall-ratio-least  5 wall-ratio-most  2 cpu-ratio  1.9 cpu-ratio-least  2.1 cpu-ratio-most  1.5 cpu-ratio-goal
BenchmarkOtherBeside/row/another__work/vishwa-2  1  7 pairs  0.5 wall-s
BenchmarkStorm-2  1  12 p50-ms  3.5 s/run  0 ns/op
BenchmarkDecision/a_model/rules-2  7000  51000 ns/op  12 B/op
`
	got, err := table([]string{"verify", "other"}, map[string]string{"verify": some})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| a model of 3 GB | vishwa | 900 ms | 500 ms | 30 MiB |  |  | 1.01 | growth at most 1.05: held; peak memory at most 20 MiB: **missed** |",
		"|  | a_peer | 1.80 s and the server 2.50 s | 2 s |  | 2 (1.90 to 2.10) | 4 (3 to 5) |  | processor at least 1.50: held |",
		"| another_work | vishwa |  | 500 ms |  |  |  |  |  |",
		"| a model, rules | each 51 µs |  |",
		"| Storm | p50 12 ms, 3.50 s/run |  |",
		"- `make bench ROWS=verify`: 2026-01-02; M; load 0.1 before, 0.2 after; Vishwa abc, Go 1.26; peer 1.2",
		"- not measured yet: `make bench ROWS=other`",
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("no line %q in\n%s", want, got)
		}
	}
	if _, err := table([]string{"x"}, map[string]string{"x": "BenchmarkX-2 1 a ns/op\n"}); err == nil {
		t.Error("what is no number is taken for one")
	}
}
