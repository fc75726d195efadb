// The user's own clone, as Git's program sees it: whether it may be trusted at all, what
// its configuration says with everything that it includes, and what only Git can tell.
// A clone of Vishwa's own (the mirror) is never asked this way.

package gitremote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Clone asks Git's program about one clone of the user's.
type Clone struct {
	Dir string
	Git string // its folder of configuration

	mu    sync.Mutex
	set   Settings
	stamp string // of the configuration's own file, when it was read

	roads sync.Map // remote and address -> http.RoundTripper
}

// Settings are what git config lists, by name in lower case where Git folds it; the last
// value of a name counts where there is one.
type Settings map[string][]string

// elsewhere are variables by which a caller of ours, such as a hook, would have Git look
// at another repository than the one that was named.
var elsewhere = []string{
	"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_COMMON_DIR",
	"GIT_NAMESPACE", "GIT_PREFIX", "GIT_SHALLOW_FILE", "GIT_GRAFT_FILE", "GIT_QUARANTINE_PATH", "GIT_TRACE", "GIT_EXTERNAL_DIFF", "GIT_LITERAL_PATHSPECS",
}

// quietly is what no question needs: programs of the configuration that are no filters.
var quietly = []string{"-c", "core.fsmonitor=false", "-c", "core.hooksPath=" + os.DevNull, "-c", "core.quotePath=false", "-c", "core.preloadIndex=true"}

// answerTime is how long a question may take, which may hold a fetch of what the clone lacks.
const answerTime = 15 * time.Minute

// Closes is how long Git's output may stay open when Git has ended: a busy machine reads it late,
// and what Git began may hold it for a moment.
const Closes = 15 * time.Second

// Ask runs Git in the clone, with the user's own configuration, as they would.
func (o *Clone) Ask(ctx context.Context, in []byte, args ...string) ([]byte, error) {
	return o.ask(ctx, "git", in, args...)
}

func (o *Clone) ask(ctx context.Context, program string, in []byte, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, append(append([]string{"-C", o.Dir}, quietly...), args...)...)
	cmd.Env = environ()
	cmd.WaitDelay = Closes
	var out, said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &said
	err := cmd.Run()
	switch {
	case err == nil:
		return out.Bytes(), nil
	case ctx.Err() != nil:
		return nil, fault.New(fault.Cancelled, "git %s: %w", args[0], context.Cause(ctx))
	case errors.Is(err, exec.ErrNotFound):
		return nil, fault.WithHint(fault.New(fault.Missing, "find git: %w", err), "install git 2.38 or newer")
	case errors.Is(err, exec.ErrWaitDelay):
		return nil, fault.WithHint(fault.New(fault.Transient, "git %s ended, and a program that it began holds its output for more than %s", args[0], Closes), "run the command again; a filter or an alias of the Git configuration may begin that program")
	}
	return nil, refusedBy(args[0], strings.TrimSpace(Redact(said.String())), err)
}

// environ is the caller's environment but for what leads elsewhere, and for what is
// Vishwa's: a filter of the user's has no business with the password of its keys.
func environ() []string {
	var out []string
next:
	for _, v := range os.Environ() {
		for _, name := range elsewhere {
			if strings.HasPrefix(v, name+"=") {
				continue next
			}
		}
		if !strings.HasPrefix(v, "VISHWA_") && !strings.HasPrefix(v, "LC_ALL=") {
			out = append(out, v)
		}
	}
	return append(out, "LC_ALL=C", "GIT_OPTIONAL_LOCKS=0")
}

// refusedBy is what Git said, and what to do about it.
func refusedBy(what, said string, err error) error {
	switch {
	case strings.Contains(said, "dubious ownership"):
		first, rest, _ := strings.Cut(said, "\n")
		way := "make the folder your own; or, if you trust whoever owns it, do as Git says"
		if _, command, ok := strings.Cut(rest, "git config"); ok {
			command, _, _ = strings.Cut(command, "\n")
			way = "make the folder your own; or, if you trust whoever owns it: git config" + command
		}
		return fault.WithHint(fault.New(fault.Denied, "Git refuses the repository: %s", strings.TrimPrefix(first, "fatal: ")), "%s", way)
	case strings.Contains(said, "unknown repository extension"), strings.Contains(said, "repo version"):
		return fault.WithHint(fault.New(fault.Invalid, "git %s: %s", what, said), formats)
	}
	return fault.WithHint(fault.New(fault.Invalid, "git %s: %w: %s", what, err, said), "see what git status says there, and fix it")
}

const formats = "use a repository with SHA-1 object names and the files ref format (git init without --object-format or --ref-format)"

// Check has Git decide whether the clone is one that it would work with.
func (o *Clone) Check(ctx context.Context) error {
	out, err := o.Ask(ctx, nil, "rev-parse", "--show-object-format")
	if err != nil {
		return err
	}
	if f := strings.TrimSpace(string(out)); f != "sha1" {
		return fault.WithHint(fault.New(fault.Invalid, "open Git repository %s: its objects are named by %s", o.Dir, f), formats)
	}
	set, err := o.Settings(ctx)
	if err != nil {
		return err
	}
	if f := set.Last("extensions.refstorage"); f != "" && f != "files" {
		return fault.WithHint(fault.New(fault.Invalid, "open Git repository %s: its refs are kept in the format %s", o.Dir, f), formats)
	}
	return nil
}

// Settings is the configuration as git config --list has it, read again where the clone's
// own file has changed.
func (o *Clone) Settings(ctx context.Context) (Settings, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	stamp := "none"
	if info, err := os.Stat(filepath.Join(o.Git, "config")); err == nil {
		stamp = fmt.Sprint(info.ModTime().UnixNano(), info.Size())
	}
	if o.set != nil && o.stamp == stamp {
		return o.set, nil
	}
	out, err := o.Ask(ctx, nil, "config", "--list", "-z", "--includes")
	if err != nil {
		return nil, err
	}
	o.set, o.stamp = parsed(out), stamp
	return o.set, nil
}

// parsed are the settings of a list that git config -z writes.
func parsed(out []byte) Settings {
	set := Settings{}
	for line := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		name, value, given := strings.Cut(line, "\n")
		if !given {
			value = "true" // as Git takes a name that stands alone
		}
		set[name] = append(set[name], value)
	}
	return set
}

// Last is the value of a name that counts; empty where there is none.
func (s Settings) Last(name string) string {
	if l := s[name]; len(l) > 0 {
		return l[len(l)-1]
	}
	return ""
}

// On tells whether a setting of yes or no says yes, or something else than no.
func (s Settings) On(name string) bool {
	switch strings.ToLower(s.Last(name)) {
	case "", "false", "no", "off", "0":
		return false
	}
	return true
}

// Promised tells whether a remote is to give later what the clone was made without.
func (s Settings) Promised() bool {
	if s.Last("extensions.partialclone") != "" {
		return true
	}
	for name := range s {
		if strings.HasPrefix(name, "remote.") && strings.HasSuffix(name, ".promisor") && s.On(name) {
			return true
		}
	}
	return false
}

// Home is a path of the configuration, whose ~ is the user's home.
func Home(path string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		return filepath.Join(os.Getenv("HOME"), rest)
	}
	return path
}
