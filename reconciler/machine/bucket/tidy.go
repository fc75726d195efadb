// What programs that were killed have left half-written in a folder.

package bucket

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// quiet is how long a file must not have been written to: its writer may be on another machine.
const quiet = time.Minute

// Tidy removes what was begun to be put and is nobody's any more.
func (d dir) Tidy(_ context.Context, now time.Time) error {
	err := filepath.WalkDir(string(d), func(p string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		rest, ok := strings.CutPrefix(filepath.Base(p), partial)
		if err != nil || !ok || !e.Type().IsRegular() {
			return err
		}
		process, _, _ := strings.Cut(rest, "-")
		pid, err := strconv.Atoi(process)
		if err != nil || pid <= 0 || !errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
			return nil
		}
		st, err := e.Info()
		if err == nil && now.Sub(st.ModTime()) > quiet {
			err = os.Remove(p)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	return d.classed("", err)
}
