// The log of a run: what it prints on both streams, in the order in which it
// comes, up to a bound, with its end kept whatever the bound.

package work

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

const (
	tailLines = 20
	tailBytes = 8 << 10
)

// journal writes a log file of at most limit bytes and remembers its end.
type journal struct {
	mu    sync.Mutex
	file  *os.File
	limit int64
	size  int64
	full  bool
	end   End
}

// End remembers the last bytes of what is written to it.
type End struct{ last []byte }

// Write never fails.
func (e *End) Write(b []byte) (int, error) {
	e.last = append(e.last, b[max(0, len(b)-tailBytes):]...)
	if n := len(e.last) - tailBytes; n > 0 {
		e.last = append(e.last[:0], e.last[n:]...)
	}
	return len(b), nil
}

// Lines are the last lines, without what a partial first line or broken text would add.
func (e *End) Lines() string { return lastLines(e.last, len(e.last) == tailBytes) }

// Write never fails: a run does not end because its log cannot be kept.
func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	_, _ = j.end.Write(b)
	if j.full {
		return len(b), nil
	}
	keep := b[:min(int64(len(b)), j.limit-j.size)]
	n, err := j.file.Write(keep)
	j.size += int64(n)
	if err != nil || len(keep) < len(b) {
		j.full = true
		fmt.Fprintf(j.file, "\nvishwa: the log is full at %d bytes: what follows is not kept, but for its end\n", j.size)
	}
	return len(b), nil
}

// finish adds the end to a log that was cut.
func (j *journal) finish() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.full {
		fmt.Fprintf(j.file, "vishwa: the end of the log:\n%s\n", strings.TrimSpace(string(j.end.last)))
	}
	return j.file.Close()
}

// tail is the last lines, without what a partial first line or broken text would add.
// Files below dir are named from there.
func (j *journal) tail(dir string) string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return tail(j.end.last, len(j.end.last) == tailBytes, dir)
}

// ReadTail is the last lines of the log in file, whose job was carried out in dir.
func ReadTail(file, dir string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return ""
	}
	at := max(0, info.Size()-tailBytes)
	raw, _ := io.ReadAll(io.NewSectionReader(f, at, tailBytes))
	return tail(raw, at > 0, dir)
}

func tail(end []byte, cut bool, dir string) string {
	return strings.ReplaceAll(lastLines(end, cut), dir+string(filepath.Separator), "")
}

func lastLines(end []byte, cut bool) string {
	lines := strings.Split(strings.TrimRight(strings.ToValidUTF8(string(end), "?"), "\n"), "\n")
	if cut && len(lines) > 1 {
		lines = lines[1:]
	}
	return strings.Join(lines[max(0, len(lines)-tailLines):], "\n")
}
