//go:build linux

// The probe tells what a machine gives by trying it, and names the switch that is closed.

package wall

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// questioned is the variable by which this test's program is told to print the probe.
const questioned = "VISHWA_TEST_PROBE"

func TestMain(m *testing.M) {
	if os.Getenv(questioned) != "" {
		if json.NewEncoder(os.Stdout).Encode(Probe(Policy{})) != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// whole insists that both rungs give all five.
func whole(t *testing.T, rungs []Rung) {
	t.Helper()
	if len(rungs) != 2 || rungs[0].Level != Namespaces || rungs[1].Level != Landlock {
		t.Fatalf("rungs %+v", rungs)
	}
	for _, r := range rungs {
		if !r.Works() {
			t.Errorf("%s does not work: %s (%s)", r.Level, r.Reason, r.Hint)
			continue
		}
		if Level(r.Report.Level) != r.Level {
			t.Errorf("%s: the command stood at %s", r.Level, r.Report.Level)
		}
		for _, p := range r.Gives {
			if p.Held == slices.Contains(Lacks(*r.Report), p.Guarantee) || !p.Held && (p.Reason == "" || p.Hint == "") {
				t.Errorf("%s: %+v, and it lacks %v", r.Level, p, Lacks(*r.Report))
			}
		}
	}
}

func TestEachRungIsTriedForItself(t *testing.T) { whole(t, Probe(Policy{})) }

// TestEachRungIsTriedForItselfByAUserWithoutRights: the same program, as another user.
func TestEachRungIsTriedForItselfByAUserWithoutRights(t *testing.T) {
	whole(t, probeAsAnother(t, nil, ""))
}

// TestAClosedSwitchIsFoundAndNamed: in a user namespace whose own count of namespaces is
// set to none, which is what the machine's switch does to all.
func TestAClosedSwitchIsFoundAndNamed(t *testing.T) {
	all := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 62000}}
	apart := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, UidMappings: all, GidMappings: all, GidMappingsEnableSetgroups: true}
	rungs := probeAsAnother(t, apart, "echo 0 > /proc/sys/user/max_user_namespaces; ")
	first, second := rungs[0], rungs[1]
	if first.Works() || first.Reason == "" || first.Hint != "set, as root: sysctl user.max_user_namespaces=1024" {
		t.Errorf("%+v", first)
	}
	if !second.Works() || second.Report.Level != string(Landlock) {
		t.Errorf("%+v", second)
	}
	if stand, _ := (Policy{}).Stand(rungs); stand.Level != Landlock {
		t.Errorf("stands on %q", stand.Level)
	}
}

// probeAsAnother is the probe of this program as a user without rights, begun by a shell
// that does something first.
func probeAsAnother(t *testing.T, attr *syscall.SysProcAttr, first string) (rungs []Rung) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user; TestEachRungIsTriedForItself is by a user without rights already")
	}
	if _, err := exec.LookPath("setpriv"); err != nil {
		t.Fatal("setpriv is needed: apt-get install util-linux")
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.CreateTemp("", "vishwa-probe-test-") // t.TempDir is root's alone
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(f.Name())
	if _, err := f.Write(self); err != nil || f.Chmod(0o755) != nil || f.Close() != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-ec", first+"exec setpriv --reuid=61001 --regid=61001 --clear-groups --inh-caps=-all --bounding-set=-all "+f.Name())
	cmd.Env, cmd.Dir, cmd.SysProcAttr, cmd.Stderr = []string{questioned + "=1", "PATH=/usr/bin:/bin"}, "/", attr, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := json.Unmarshal(out, &rungs); err != nil || len(rungs) != 2 {
		t.Fatal(err, rungs)
	}
	return rungs
}

func TestARungThatFailsNamesTheSwitch(t *testing.T) {
	refused := fault.WithHint(fault.New(fault.Denied, "%w: %w", ErrUnavailable, wrong(Namespaces, "fork/exec /proc/self/exe: operation not permitted")), "%s", hintFor(Namespaces))
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text + "\n")} }
	for name, c := range map[string]struct {
		root fstest.MapFS
		way  string
	}{
		"Ubuntu":                                {fstest.MapFS{"proc/sys/kernel/apparmor_restrict_unprivileged_userns": file("1"), "proc/sys/user/max_user_namespaces": file("96365")}, "set, as root: sysctl kernel.apparmor_restrict_unprivileged_userns=0"},
		"Debian":                                {fstest.MapFS{"proc/sys/kernel/unprivileged_userns_clone": file("0")}, "set, as root: sysctl kernel.unprivileged_userns_clone=1"},
		"two":                                   {fstest.MapFS{"proc/sys/kernel/unprivileged_userns_clone": file("0"), "proc/sys/user/max_user_namespaces": file("0")}, "sysctl kernel.unprivileged_userns_clone=1 and sysctl user.max_user_namespaces=1024"},
		"a container, of which no switch tells": {fstest.MapFS{"proc/sys/user/max_user_namespaces": file("96365")}, "seccomp=unconfined"},
	} {
		r := Rung{Level: Namespaces}
		r.fill(nil, refused, c.root)
		if r.Works() || r.Whole() || r.Reason != "fork/exec /proc/self/exe: operation not permitted" || !strings.Contains(r.Hint, c.way) || strings.Contains(r.Hint, "doctor") {
			t.Errorf("%s: %q, %q", name, r.Reason, r.Hint)
		}
		for _, p := range r.Gives {
			if p.Held || p.Reason != r.Reason || p.Hint != r.Hint {
				t.Errorf("%s: %+v", name, p)
			}
		}
	}
}

func TestAnOldLandlockLacksSignals(t *testing.T) {
	r := Rung{Level: Landlock}
	r.fill(&Report{Level: "landlock", Landlock: 5, Network: "none"}, nil, fstest.MapFS{})
	for _, p := range r.Gives {
		if p.Held == (p.Guarantee == Signals) || !p.Held && !strings.Contains(p.Hint, "6.12") {
			t.Errorf("%+v", p)
		}
	}
	if r.Whole() || !r.Works() {
		t.Errorf("%+v", r)
	}
}

// TestStandIsTheStrongestThatIsAskedForAndGiven.
func TestStandIsTheStrongestThatIsAskedForAndGiven(t *testing.T) {
	both := []Rung{{Level: Namespaces, Report: &Report{Level: "namespaces"}}, {Level: Landlock, Report: &Report{Level: "landlock"}}}
	second := []Rung{{Level: Namespaces}, both[1]}
	for _, c := range []struct {
		ask   Level
		rungs []Rung
		want  Level
	}{{"", both, Namespaces}, {Namespaces, both, Namespaces}, {Landlock, both, Landlock}, {None, both, ""}, {"", second, Landlock}, {Namespaces, second, Landlock}, {"", nil, ""}} {
		if r, ok := (Policy{Level: c.ask}).Stand(c.rungs); r.Level != c.want || ok != (c.want != "") {
			t.Errorf("questioned for %q: stands on %q", c.ask, r.Level)
		}
	}
}

// TestALeastLevelIsKept: where the machine's owner asks for less, nothing is begun.
func TestALeastLevelIsKept(t *testing.T) {
	for _, c := range []struct{ level, least Level }{{None, Landlock}, {None, Namespaces}} {
		if _, err := (Policy{Level: c.level}).Under(c.least); fault.Of(err) != fault.Denied || fault.HintOf(err) == "" {
			t.Errorf("%s under %s: %v", c.level, c.least, err)
		}
	}
	spec, err := (Policy{Level: Landlock}).Under(Namespaces)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Start(&exec.Cmd{Path: "/bin/true", Dir: "/", Env: []string{}}, *spec); fault.Of(err) != fault.Denied || errors.Is(err, ErrUnavailable) {
		t.Errorf("begun, or refused as if no least were questioned for: %v", err)
	}
	if s, err := (Policy{Level: None}).Under(""); s != nil || err != nil {
		t.Errorf("nothing is questioned for: %v, %v", s, err)
	}
}
