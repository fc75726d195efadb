// Profiles that whylogs wrote are read as it reads them, and broken ones are refused.

package whylogs_test

import (
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/engine/drift"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/whylogs"
)

// matches holds what is read of the profiles in dir against what whylogs said of them.
func matches(t *testing.T, dir string) {
	t.Helper()
	var golden struct {
		Cases []struct {
			Name    string
			Columns map[string]struct {
				P, D *float64
				N, M uint64
			}
		}
	}
	raw, err := os.ReadFile(filepath.Join(dir, "golden.json"))
	if err == nil {
		err = json.Unmarshal(raw, &golden)
	}
	if err != nil {
		t.Fatal(err)
	}
	read := func(name string) map[string]whylogs.Sketch {
		raw, err := os.ReadFile(filepath.Join(dir, name+".bin"))
		if err != nil {
			t.Fatal(err)
		}
		all, err := whylogs.Read(raw)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out := map[string]whylogs.Sketch{}
		for _, c := range all {
			out[c.Name] = c.Sketch
		}
		return out
	}
	held := 0
	for _, c := range golden.Cases {
		now, was := read(c.Name+"-profile"), read(c.Name+"-reference")
		for name, want := range c.Columns {
			if now[name].N != want.N || was[name].N != want.M {
				t.Errorf("%s %s: %d and %d values, want %d and %d", c.Name, name, now[name].N, was[name].N, want.N, want.M)
				continue
			}
			d, n := whylogs.Distance(now[name], was[name])
			p := drift.KolmogorovTail(n, d)
			if want.P == nil {
				if !math.IsNaN(p) {
					t.Errorf("%s %s: %v, where whylogs has none", c.Name, name, p)
				}
				continue
			}
			held++
			if !near(d, *want.D) || !near(p, *want.P) {
				t.Errorf("%s %s: distance %v and p %v, want %v and %v", c.Name, name, d, p, *want.D, *want.P)
			}
		}
		if !now["kind"].Empty() {
			t.Errorf("%s: a column of texts has numbers", c.Name)
		}
	}
	if held < 15 {
		t.Errorf("%d columns were held against whylogs", held)
	}
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*math.Max(math.Abs(a), math.Abs(b)) }

func TestProfilesAreReadAsWhylogsReadsThem(t *testing.T) { matches(t, "testdata") }

// TestRealWhylogs holds profiles of other data against the package itself.
func TestRealWhylogs(t *testing.T) {
	python := filepath.Join(os.Getenv("VISHWA_TOOLS"), "whylogs")
	if os.Getenv("VISHWA_REAL") == "" {
		t.Skip("make test-whylogs runs this")
	}
	for _, seed := range []string{"1", "2", "3"} {
		dir := t.TempDir()
		cmd := exec.Command(python, "testdata/golden.py", dir, seed)
		cmd.Env = append(os.Environ(), "WHYLOGS_NO_ANALYTICS=True")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v; make test-whylogs installs it: %s", err, out)
		}
		matches(t, dir)
	}
}

func TestATruncatedProfileIsRefused(t *testing.T) {
	raw, err := os.ReadFile("testdata/few-profile.bin")
	if err != nil {
		t.Fatal(err)
	}
	for n := range raw {
		if _, err := whylogs.Read(raw[:n]); fault.Of(err) != fault.Invalid || fault.HintOf(err) == "" {
			t.Fatalf("%d bytes of %d are read: %v", n, len(raw), err)
		}
	}
	for name, text := range map[string]string{"nothing": "", "another file": "PAR1", "a header that is endless": "WHY1\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"} {
		if _, err := whylogs.Read([]byte(text)); fault.Of(err) != fault.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever a profile holds, reading it ends, and takes memory by the file's size.
func FuzzProfile(f *testing.F) {
	for _, name := range []string{"one-profile", "few-profile", "tens-profile"} {
		raw, err := os.ReadFile("testdata/" + name + ".bin")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		all, err := whylogs.Read(raw)
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 1<<20+200*uint64(len(raw)) {
			t.Errorf("%d bytes take %d", len(raw), took)
		}
		if err != nil && (fault.Of(err) != fault.Invalid || strings.Contains(err.Error(), "\x00")) {
			t.Errorf("%v", err)
		}
		for i := 1; err == nil && i < len(all); i++ {
			if !all[i].Sketch.Empty() && !all[i-1].Sketch.Empty() {
				if d, _ := whylogs.Distance(all[i].Sketch, all[i-1].Sketch); !(d >= 0 && d <= 1) {
					t.Errorf("a distance of %v", d)
				}
			}
		}
	})
}
