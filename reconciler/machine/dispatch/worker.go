// The worker: carries out the job of one ticket wherever it was begun, and needs nothing but
// what the ticket lends it.

package dispatch

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/machine/dial"
	"github.com/vishwaops/vishwa/reconciler/machine/egress"
	"github.com/vishwaops/vishwa/reconciler/machine/httpx"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
	"github.com/vishwaops/vishwa/reconciler/machine/work"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/routine"
)

// Worker is what a worker works with.
type Worker struct {
	Now     func() time.Time
	Lookup  func(name string) (string, bool)
	Log     *slog.Logger
	Program string // its version, for people
	Ticket  []byte
	Dir     string // where it works: a folder of its own, with room
	Part    Part   // of large objects
}

// logEvery is how often new pieces of the log are written while a command runs.
const logEvery = time.Second

// The exit codes of a worker: the run's own end is told by its result, so that a tool which
// tries again what ended badly does not do so.
const (
	Told       = 0   // a result was written
	Untold     = 1   // none could be
	NodeFailed = 3   // of several nodes: this one's run ended badly, which its result cannot say as it has none
	Terminated = 143 // a result was written of a run that was ended by a signal: its tool may know why
)

// errNode is of the run of a node that is not the first and has ended badly by itself.
var errNode = errors.New("the run of a node ended badly")

// errTerminated is of a run that was ended by a signal, and has its result.
var errTerminated = errors.New("ended by a signal")

// Work carries out the job and returns the exit code of its process, of which every
// descendant is ended.
func Work(ctx context.Context, w Worker) int {
	ctx, cancel := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer cancel()
	switch err := w.work(ctx); {
	case errors.Is(err, errTerminated):
		return Terminated
	case errors.Is(err, errNode):
		untold(os.Stderr, terminationFile, err)
		return NodeFailed
	case err != nil:
		untold(os.Stderr, terminationFile, err)
		return Untold
	}
	return Told
}

// terminationFile is where a pod's container says why it ended, for whoever asks the cluster: its
// log is gone with the pod. Elsewhere there is no such file, and none is made.
const terminationFile = "/dev/termination-log"

// untold says why no result was written.
func untold(w io.Writer, file string, err error) {
	text := "vishwa-worker: " + err.Error()
	if hint := cmp.Or(fault.HintOf(err), fault.OfSystem(err)); hint != "" {
		text += ": " + hint
	}
	fmt.Fprintln(w, text)
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_TRUNC|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return
	}
	defer f.Close()
	_, _ = f.WriteString(text + "\n")
}

func (w Worker) work(ctx context.Context) error {
	// Before anything else is begun: what this process knows is no other's.
	if err := errors.Join(sandbox.SetNonDumpable(), sandbox.SetSubreaper()); err != nil {
		return err
	}
	ticket, err := ReadTicket(w.Ticket)
	if err != nil {
		return err
	}
	tmp := filepath.Join(w.Dir, "worker")
	if err := os.MkdirAll(tmp, 0o700); err != nil {
		return fmt.Errorf("make the worker's folder: %w", err)
	}
	store := &lent{part: w.Part, client: Client(w.Log, w.Now), tmp: tmp, now: w.Now, sleep: httpx.Sleep, made: map[digest.Digest]int64{}}
	doc, err := store.document(ctx, ticket)
	if err != nil {
		return err
	}
	store.doc, store.loan = doc, Renewal{Read: doc.Read, Write: doc.Write, Until: doc.Until, Next: doc.Next}
	renewing, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	fault.Go(func() { store.renewing(renewing) }, routine.Logged(w.Log, "the renewal of what is lent"))
	return w.carry(ctx, store)
}

// Client asks a store by addresses that it was lent.
func Client(log *slog.Logger, now func() time.Time) *http.Client {
	t := httpx.Transport(httpx.Options{Dial: (&net.Dialer{Timeout: 10 * time.Second}).DialContext, Header: time.Minute, PerHost: 16, Verbatim: true})
	t.Proxy = http.ProxyFromEnvironment
	return &http.Client{Transport: &httpx.Retry{Next: t, Who: "the store", Now: now, Log: log, Limit: time.Minute}}
}

func (l *lent) document(ctx context.Context, t Ticket) (Document, error) {
	body, err := l.open(ctx, func() string { return t.Document.URL })
	if err != nil {
		return Document{}, fmt.Errorf("read the job's document: %w", err)
	}
	defer body.Close()
	raw, err := io.ReadAll(io.LimitReader(body, mostDocument+1))
	if err != nil {
		return Document{}, fmt.Errorf("read the job's document: %w", err)
	}
	if digest.Of(raw) != t.Document.SHA256 {
		return Document{}, fault.New(fault.Corrupt, "the job's document is not the one that the ticket names")
	}
	return ReadDocument(raw)
}

// carry does the job, tells how it goes, and writes the result as the very last.
func (w Worker) carry(ctx context.Context, store *lent) error {
	doc := store.doc
	rank, vars := NodeVars(w.Lookup, doc.Order.Job.RunsOn.Nodes)
	first := rank == 0
	around := filepath.Join(w.Dir, "run")
	// A worker that is begun again begins anew: what an earlier one left is in nobody's way.
	if err := errors.Join(sandbox.Remove(around), os.MkdirAll(around, 0o700)); err != nil {
		return fmt.Errorf("make the run's folder: %w", err)
	}
	logFile := filepath.Join(around, "log")
	stream := &stream{store: store, file: logFile, on: first}
	key, err := seal.KeyOf([]byte(doc.Nonce))
	if err != nil {
		return err
	}
	order := doc.Order
	if len(vars) > 0 { // two nodes may have one machine, and neither ends the other's processes
		order.ID = fmt.Sprintf("%s-%d", order.ID, rank)
	}
	if told := TrainerVars(w.Lookup); told != nil {
		maps.Copy(told, vars)
		vars = told
		order.Wall.Read = append(order.Wall.Read, TrainerDir)
	}
	order.Wall.Hidden = append(order.Wall.Hidden, filepath.Dir(port.TicketFile), filepath.Join(w.Dir, "worker"))
	streaming, stop := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	fault.Go(func() { defer close(done); stream.follow(streaming) }, routine.Logged(w.Log, "the copying of the log"))
	envs := sandbox.Environments{Dir: filepath.Join(w.Dir, "envs"), Env: port.Env{Now: w.Now, Log: w.Log, Lookup: w.Lookup}, Seal: sandbox.EnvironmentKey(key, ""), Wall: order.Wall, Named: doc.Guard.dial(), Foreign: true}
	if d, ok := doc.Packs[work.Host()]; ok {
		envs.Packed = func(ctx context.Context) (io.ReadCloser, error) { return store.Get(ctx, d) }
	}
	r, err := work.Carry(ctx, work.Config{
		Now: w.Now, Lookup: w.Lookup, Store: store, Vars: vars, Follower: !first,
		Envs: envs, Dial: doc.Guard.dial(),
		Dir: filepath.Join(around, "work"), Tmp: filepath.Join(around, "tmp"), Around: around, Log: logFile,
		Running: func() error { return w.status(ctx, store, first) },
		Asked:   func() bool { return false },
	}, order)
	stop()
	<-done
	if err != nil {
		return err
	}
	stream.rest(context.WithoutCancel(ctx))
	if !first {
		return ofNode(ctx, rank, r)
	}
	if err := w.result(context.WithoutCancel(ctx), store, r); err != nil {
		return err
	}
	if r.Cause == port.Lost && ctx.Err() != nil {
		return errTerminated
	}
	return nil
}

// ofNode is how the run of a node that is not the first ended: its log is nowhere else.
func ofNode(ctx context.Context, rank int, r port.Result) error {
	switch r.Cause {
	case "":
		return nil
	case port.BadEnv, port.Stopped:
		return fault.New(fault.Transient, "node %d: %s", rank, r.Message)
	case port.Lost:
		if ctx.Err() != nil {
			return errTerminated
		}
		return fault.New(fault.Transient, "node %d: %s", rank, r.Message)
	}
	said := harmless.Said(work.LastLine(r.Tail))
	if said != "" {
		said = " Its log ends with: " + strings.ToValidUTF8(said[:min(len(said), 200)], "")
	}
	return &nodeError{fmt.Sprintf("node %d: %s%s", rank, r.Message, said)}
}

// nodeError is an errNode with its words.
type nodeError struct{ text string }

func (e *nodeError) Error() string { return e.text }
func (e *nodeError) Unwrap() error { return errNode }

// dial connects the command to the hosts that are declared; nil is plainly.
func (g *Guard) dial() egress.Dial {
	if g == nil {
		return nil
	}
	return dial.Guarded(g.Allow)
}

func (w Worker) status(ctx context.Context, store *lent, first bool) error {
	if !first {
		return nil
	}
	return store.json(ctx, StatusName, Status{Version: Version, Started: w.Now()})
}

func (w Worker) result(ctx context.Context, store *lent, r port.Result) error {
	m := Manifest{Version: Version, Program: w.Program, Job: store.doc.Job, Nonce: store.doc.Nonce, Result: r, Made: store.made}
	m.Result.Kept = ""
	return store.json(ctx, ResultName, m)
}

func (l *lent) json(ctx context.Context, name string, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return l.write(ctx, name, strings.NewReader(string(raw)), 0, int64(len(raw)))
}

// stream writes the log below the prefix as it grows.
type stream struct {
	store *lent
	file  string
	on    bool
	at    int64
}

// mostPiece bounds a piece of the log, in bytes.
const mostPiece = 4 << 20

func (s *stream) follow(ctx context.Context) {
	t := time.NewTicker(logEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			s.rest(ctx)
		}
	}
}

// rest writes what is there and not written. The log is evidence, and not worth a run: what
// cannot be written now is written with the next piece, or is in the whole log at the end.
func (s *stream) rest(ctx context.Context) {
	f, err := os.Open(s.file)
	if err != nil || !s.on {
		return
	}
	defer f.Close()
	for {
		st, err := f.Stat()
		if err != nil || st.Size() <= s.at {
			return
		}
		n := min(st.Size()-s.at, mostPiece)
		if err := s.store.write(ctx, LogName(s.at), f, s.at, n); err != nil {
			return
		}
		s.at += n
	}
}

// NodeVars are the rank of this node, and what the tools that join several look for: torchrun
// (PET_*), PyTorch's env:// (MASTER_ADDR, RANK), TensorFlow (TF_CONFIG), XGBoost's tracker (DMLC_*).
func NodeVars(lookup func(string) (string, bool), count int) (rank int, vars map[string]string) {
	if count <= 1 {
		return 0, nil
	}
	value := func(name string) string { v, _ := lookup(name); return v }
	rank, _ = strconv.Atoi(value(port.NodeRank))
	address := value(port.NodeAddress)
	n, r := strconv.Itoa(count), strconv.Itoa(rank)
	vars = map[string]string{
		port.NodeRank: r, port.NodeCount: n, port.NodeAddress: address,
		"MASTER_ADDR": address, "MASTER_PORT": masterPort, "RANK": r, "WORLD_SIZE": n, "LOCAL_RANK": "0",
		"PET_NNODES": n, "PET_NODE_RANK": r, "PET_MASTER_ADDR": address, "PET_MASTER_PORT": masterPort,
		"DMLC_TRACKER_URI": address, "DMLC_TRACKER_PORT": masterPort, "DMLC_NUM_WORKER": n, "DMLC_TASK_ID": r,
	}
	if all := strings.Split(value(port.NodeAddresses), ","); len(all) == count {
		vars[port.NodeAddresses] = strings.Join(all, ",")
		var workers []string
		for _, a := range all {
			workers = append(workers, a+":"+masterPort)
		}
		if raw, err := json.Marshal(map[string]any{"cluster": map[string]any{"worker": workers}, "task": map[string]any{"type": "worker", "index": rank}}); err == nil {
			vars["TF_CONFIG"] = string(raw)
		}
	}
	return rank, vars
}

// masterPort is what torchrun takes where it is told nothing.
const masterPort = "29500"
