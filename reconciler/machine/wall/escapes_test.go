//go:build linux

// What code behind the wall would try, by name: each attempt must fail on both rungs, for
// root's commands and for those of a user without rights, and where it is cheap the same
// attempt must succeed without a wall, so that a test that tries nothing is found out.

package wall_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/reconciler/machine/wall/walltest"
)

// machine is what a wall stands in: the things of a controller's that are to be out of reach.
type machine struct {
	room
	Secret      string `json:"secret"`
	Store       string `json:"store"`
	Environment string `json:"environment"` // may be read
	Socket      string `json:"socket"`
	Datagrams   string `json:"datagrams"`
	Abstract    string `json:"abstract"`
	TCP         int    `json:"tcp"`
	UDP         int    `json:"udp"`
	Victim      int    `json:"victim"` // a process of the same user
	Mark        string `json:"mark"`   // on the command line of what is left behind
	lock        *os.File
	heard       chan string // what came over a socket
}

var machines atomic.Int32

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{room: newRoom(t), heard: make(chan string, 64)}
	m.Mark = fmt.Sprintf("9%d%04d", os.Getpid(), machines.Add(1))
	short, err := os.MkdirTemp("", "v") // a socket's path may have 108 bytes
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(short) })
	m.Secret, m.Store, m.Environment = m.secret, filepath.Join(m.dir, "store"), filepath.Join(m.dir, "env")
	m.Socket, m.Datagrams, m.Abstract = filepath.Join(short, "docker.sock"), filepath.Join(short, "log.sock"), "vishwa-"+m.Mark
	for _, f := range []string{filepath.Join(m.Store, "object"), filepath.Join(m.Environment, "module.py")} {
		must(t, os.Mkdir(filepath.Dir(f), 0o755))
		must(t, os.WriteFile(f, []byte("ORIGINAL"), 0o644))
	}
	m.lock, err = os.Create(filepath.Join(m.dir, "lock"))
	must(t, err)
	t.Cleanup(func() { m.lock.Close() })
	m.listen(t)
	victim := exec.Command("sleep", "600")
	victim.Env = []string{"CONTROLLER=CANARY", "PATH=" + os.Getenv("PATH")}
	must(t, victim.Start())
	m.Victim = victim.Process.Pid
	t.Cleanup(func() { _ = victim.Process.Kill(); _ = victim.Wait() })
	return m
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// listen opens the machine's sockets, and hears what comes.
func (m *machine) listen(t *testing.T) {
	t.Helper()
	hear := func(what string, l net.Listener, err error) net.Addr {
		must(t, err)
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				select {
				case m.heard <- what:
				default:
				}
				c.Close()
			}
		}()
		return l.Addr()
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	m.TCP = hear("tcp", l, err).(*net.TCPAddr).Port
	l, err = net.Listen("unix", m.Socket)
	hear("socket", l, err)
	l, err = net.Listen("unix", "@"+m.Abstract)
	hear("abstract", l, err)
	packets := func(what, network, address string) net.Addr {
		c, err := net.ListenPacket(network, address)
		must(t, err)
		t.Cleanup(func() { c.Close() })
		go func() {
			for b := make([]byte, 64); ; {
				if _, _, err := c.ReadFrom(b); err != nil {
					return
				}
				select {
				case m.heard <- what:
				default:
				}
			}
		}()
		return c.LocalAddr()
	}
	m.UDP = packets("udp", "udp", "127.0.0.1:0").(*net.UDPAddr).Port
	packets("datagrams", "unixgram", m.Datagrams)
}

// escape is what is special about one attempt.
type escape struct {
	control bool                           // without a wall it succeeds
	change  func(*machine, *wall.Spec)     // of the wall
	after   func(*machine, outcome) string // what it did all the same, as seen from outside; "" is nothing
}

// try runs one attempt, with a wall or without.
func (m *machine) try(t *testing.T, level wall.Level, program string, e escape) outcome {
	t.Helper()
	attack, err := json.Marshal(m)
	must(t, err)
	py := python(t)
	var out bytes.Buffer
	cmd := &exec.Cmd{
		Path: py, Args: []string{py, "-I", "-c", program}, Dir: m.work, Stdout: &out, Stderr: &out,
		Env:        []string{"HOME=" + m.work, "PATH=/usr/bin:/bin", "ATTACK=" + string(attack), "HTTPS_PROXY=http://user:CANARY@proxy.example.com:8080"},
		ExtraFiles: []*os.File{m.lock}, WaitDelay: time.Second,
	}
	if level == wall.None {
		err := cmd.Run()
		t.Logf("without a wall: %v\n%s", err, out.String())
		return outcome{out: out.String()}
	}
	spec := wall.Spec{Level: level, Strict: true, Write: []string{m.work}, Tmp: m.tmp, Read: append(wall.Programs("", py, nil), m.Environment), Limits: wall.Limits{Processes: 512, OpenFiles: 1024}}
	if e.change != nil {
		e.change(m, &spec)
	}
	in, err := startHere(cmd, spec)
	must(t, err)
	end := in.Wait()
	must(t, in.Close())
	if in.Report.Level != string(level) {
		t.Fatalf("the wall is %+v", in.Report)
	}
	return outcome{out.String(), end, in.Report}
}

// TestNothingEscapes tries them all.
func TestNothingEscapes(t *testing.T) {
	walltest.AsUser(t)
	// The user without rights tries them all; root, for whom fewer differ, in full in make test-real alone.
	brief := os.Getuid() == 0 && os.Getenv("VISHWA_REAL") == ""
	known := 0
	for _, a := range walltest.Escapes() {
		e, special := escapes[a.Name]
		if special {
			known++
		}
		t.Run(a.Name, func(t *testing.T) {
			if a.Ends && brief {
				t.Skip("limits are tried as a user without rights, and as root by make test-real")
			}
			t.Parallel()
			if e.control && !brief {
				if got := newMachine(t).try(t, wall.None, a.Program, e); !strings.Contains(got.out, "ESCAPED") {
					t.Errorf("even without a wall it does nothing, so that it proves nothing:\n%s", got.out)
				}
			}
			rungs(t, func(t *testing.T, level wall.Level) {
				if level == wall.Landlock && brief {
					t.Skip("tried as a user without rights, and as root by make test-real")
				}
				m := newMachine(t)
				before := m.state(t)
				got := m.try(t, level, a.Program, e)
				if strings.Contains(got.out, "ESCAPED") || strings.Contains(got.out, "CANARY") {
					t.Errorf("it escaped:\n%s", got.out)
				}
				if !a.Ends && !strings.Contains(got.out, "TRIED") {
					t.Errorf("it did not come to its end (%s):\n%s", got.end, got.out)
				}
				if after := m.state(t); after != before {
					t.Errorf("outside it was\n%s\nand is\n%s", before, after)
				}
				if left := walltest.Marked(m.Mark); len(left) > 0 {
					t.Errorf("left processes %v", left)
				}
				select {
				case what := <-m.heard:
					t.Errorf("it reached %s", what)
				default:
				}
				if e.after != nil {
					if why := e.after(m, got); why != "" {
						t.Errorf("%s:\n%s", why, got.out)
					}
				}
			})
		})
	}
	if known != len(escapes) {
		t.Errorf("%d of the %d special ones are not an attempt's name", len(escapes)-known, len(escapes))
	}
}

// state tells of all that is to stay as it is.
func (m *machine) state(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, dir := range []string{m.Store, m.Environment, m.Secret} {
		must(t, filepath.WalkDir(dir, func(p string, _ os.DirEntry, err error) error {
			if err != nil {
				return err
			}
			var st unix.Stat_t
			if err := unix.Lstat(p, &st); err != nil {
				return err
			}
			raw, _ := os.ReadFile(p)
			fmt.Fprintf(&b, "%s %o %d:%d %d %d links, changed %d, %q\n", strings.TrimPrefix(p, m.dir), st.Mode, st.Uid, st.Gid, st.Size, st.Nlink, st.Ctim.Nano(), raw)
			return nil
		}))
	}
	proc := "/proc/" + strconv.Itoa(m.Victim)
	limits, err := os.ReadFile(proc + "/limits")
	must(t, err)
	nice, err := unix.Getpriority(unix.PRIO_PROCESS, m.Victim)
	must(t, err)
	var cpus unix.CPUSet
	must(t, unix.SchedGetaffinity(m.Victim, &cpus))
	fmt.Fprintf(&b, "%s nice %d on %d cores\n", limits, nice, cpus.Count())
	for _, list := range []string{"/proc/sysvipc/shm", "/proc/sysvipc/msg", "/proc/sysvipc/sem"} {
		raw, _ := os.ReadFile(list)
		fmt.Fprintln(&b, list, strings.Count(string(raw), "\n"))
	}
	shm, _ := filepath.Glob("/dev/shm/*" + m.Mark + "*")
	fmt.Fprintln(&b, shm)
	return b.String()
}
