// Package devforge is a GitHub in one process: the documented REST protocol for
// all that Vishwa uses, webhooks, and a real Git server beside it. What a test or
// a person sees of it is what they would see of GitHub, faults included.
//
// The API is below /api/v3/ as on GitHub Enterprise and below / as on
// api.github.com, Git is below /OWNER/NAME.git, and the strings of a pull request
// that is tried by hand are pulled below /_dev/.
package devforge

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Options say where a Forge keeps its repositories and what it knows of the world.
type Options struct {
	Dir string           // bare repositories, OWNER/NAME.git; needed
	Now func() time.Time // time.Now where nil
	Log *slog.Logger     // silent where nil
	URL string           // where it is reached; learned by Listen or the first request where empty
}

// Forge is the double. All its methods may be called side by side.
type Forge struct {
	dir string
	now func() time.Time
	log *slog.Logger
	git string     // the git program
	key ssh.Signer // signs what the forge commits
	api http.Handler

	stop    context.CancelFunc
	ctx     context.Context
	running sync.WaitGroup // deliveries
	server  *http.Server

	keeping  sync.Mutex // one repository is written down at a time; taken before mu
	mu       sync.Mutex // guards everything below, never held while a program runs
	closed   bool
	url      string
	ids      int64
	users    map[string]*user // by login in lower case
	tokens   map[string]*token
	apps     map[int64]*app
	repos    map[string]*repo // by OWNER/NAME in lower case
	requests []*Request
	faults   []*Fault
	lost     int
	sent     []*Delivery
	rates    map[string]*rate
	hourly   int
}

// New makes an empty forge below o.Dir. A bare repository that is there already is
// served again by Reopen or CreateRepo.
func New(o Options) (*Forge, error) {
	if o.Dir == "" {
		return nil, fault.New(fault.Internal, "start the double of GitHub: no directory is given for its repositories")
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", o.Dir, err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make folder of repositories: %w", err)
	}
	program, err := gitProgram()
	if err != nil {
		return nil, err
	}
	f := &Forge{
		dir: dir, now: o.Now, log: o.Log, git: program, url: strings.TrimSuffix(o.URL, "/"),
		users: map[string]*user{}, tokens: map[string]*token{}, apps: map[int64]*app{},
		repos: map[string]*repo{}, rates: map[string]*rate{}, hourly: 5000,
	}
	if f.now == nil {
		f.now = time.Now
	}
	if f.log == nil {
		f.log = slog.New(slog.DiscardHandler)
	}
	if f.key, err = newKey(); err != nil {
		return nil, err
	}
	f.ctx, f.stop = context.WithCancel(context.Background())
	f.users["ghost"] = &user{id: f.id(), login: "ghost"}
	f.apps[actionsApp] = &app{id: actionsApp, slug: "github-actions", installs: map[string]int64{}}
	f.users["github-actions[bot]"] = &user{id: 41898282, login: "github-actions[bot]", bot: true}
	f.api = f.routes()
	return f, nil
}

func newKey() (ssh.Signer, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the forge's key: %w", err)
	}
	return ssh.NewSignerFromKey(private)
}

// PublicKey verifies what the forge commits: merges and squashes.
func (f *Forge) PublicKey() ssh.PublicKey { return f.key.PublicKey() }

// Listen serves f at addr, which is of the loopback, until Close, and tells its URL.
func (f *Forge) Listen(addr string) (string, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fault.WithHint(fault.New(fault.Invalid, "listen at %s: %w", addr, err), "give an address such as 127.0.0.1:8090")
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return "", fault.WithHint(fault.New(fault.Denied, "listen at %s: anybody could merge there", addr), "give an address of the loopback, such as 127.0.0.1:8090")
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return "", fmt.Errorf("listen at %s: %w", addr, err)
	}
	s := &http.Server{Handler: f, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(f.log.Handler(), slog.LevelDebug)}
	f.mu.Lock()
	f.server, f.url = s, "http://"+l.Addr().String()
	url := f.url
	f.mu.Unlock()
	go func() {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			f.log.Error("the double of GitHub stopped serving", "error", err)
		}
	}()
	return url, nil
}

// URL is where f is reached.
func (f *Forge) URL() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.url
}

// CloneURL is where Git reaches a repository, OWNER/NAME.
func (f *Forge) CloneURL(name string) string { return f.URL() + "/" + name + ".git" }

// Close stops serving and delivering. The bare repositories stay.
func (f *Forge) Close() error {
	f.mu.Lock()
	f.closed = true
	s := f.server
	f.mu.Unlock()
	var err error
	if s != nil {
		// What is under way writes into the repositories: let it end first.
		ctx, cancel := context.WithTimeout(f.ctx, 2*time.Second)
		if s.Shutdown(ctx) != nil {
			err = s.Close()
		}
		cancel()
	}
	f.stop()
	f.running.Wait()
	return err
}

// id is a number that nothing else has; f.mu is held, or f is not shared yet.
func (f *Forge) id() int64 {
	f.ids++
	return 1000 + f.ids
}

// at is the present as GitHub writes it, in whole seconds.
func (f *Forge) at() time.Time { return f.now().UTC().Truncate(time.Second) }

// Problem is an answer that GitHub refuses with.
type Problem struct {
	Status  int
	Message string
	Errors  []any
	Docs    string
	Header  http.Header
}

func (p *Problem) Error() string {
	s := p.Message
	for _, e := range p.Errors {
		if m, ok := e.(object); ok && m["message"] != nil {
			e = m["message"]
		}
		s += fmt.Sprintf("; %v", e)
	}
	return s
}

type object = map[string]any

func refuse(status int, format string, args ...any) *Problem {
	return &Problem{Status: status, Message: fmt.Sprintf(format, args...)}
}

var errNotFound = refuse(http.StatusNotFound, "Not Found")

// invalid is a 422 about one field.
func invalid(resource, field, code, message string) *Problem {
	e := object{"resource": resource, "field": field, "code": code}
	if message != "" {
		e["message"] = message
	}
	return &Problem{Status: http.StatusUnprocessableEntity, Message: "Validation Failed", Errors: []any{e}}
}
