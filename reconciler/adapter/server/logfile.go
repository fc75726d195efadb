// Logs that do not fill the disk: a file that makes way for itself once it is
// large, and the last lines of it in memory, to be quoted in errors.

package server

import (
	"os"
	"strings"
	"sync"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// logLimit bounds a log, in bytes; as much again stands in its predecessor, NAME.1.
const logLimit = 8 << 20

// logfile appends to path, from several goroutines.
type logfile struct {
	path  string
	limit int64
	mu    sync.Mutex
	file  *os.File
	size  int64
}

// Write never fails: a full disk must not end what is served. What cannot be
// written is lost.
func (l *logfile) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil && l.size+int64(len(b)) > l.limit {
		l.file.Close()
		l.file = nil
		_ = os.Rename(l.path, l.path+".1")
	}
	if l.file == nil {
		f, err := os.OpenFile(l.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return len(b), nil
		}
		l.file, l.size = f, 0
		if st, err := f.Stat(); err == nil {
			l.size = st.Size()
		}
	}
	n, _ := l.file.Write(b)
	l.size += int64(n)
	return len(b), nil
}

func (l *logfile) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		l.file.Close()
		l.file = nil
	}
}

const (
	tailBytes = 4 << 10
	tailLines = 20
)

// tail keeps the last bytes that went through.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, b[max(0, len(b)-tailBytes):]...)
	if over := len(t.buf) - tailBytes; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(b), nil
}

// String is the last whole lines.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := strings.TrimRight(strings.ToValidUTF8(string(t.buf), "?"), "\n")
	if len(t.buf) == tailBytes {
		if _, rest, ok := strings.Cut(text, "\n"); ok {
			text = rest
		}
	}
	lines := strings.Split(text, "\n")
	return strings.Join(lines[max(0, len(lines)-tailLines):], "\n")
}

// quote adds the tail to err, indented.
func (t *tail) quote(err error) error {
	text := t.String()
	if text == "" {
		return fault.New(fault.Of(err), "%w; it wrote nothing", err)
	}
	return fault.New(fault.Of(err), "%w; the last of its log:\n  %s", err, strings.ReplaceAll(text, "\n", "\n  "))
}
