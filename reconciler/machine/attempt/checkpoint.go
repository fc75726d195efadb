// What a run keeps of how far it has come, for the attempt after it under the same key.

package attempt

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/machine/work"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// GoesOn is the folder that the attempt of now goes on from: what the attempt before it kept, or was to go on from itself
// and never began with; "" is none. That was of the same code and data, as the key says, and has to be of as strict a
// run: what nobody has reviewed leaves nothing to a run that somebody has.
func GoesOn(before Attempt, now *Order) string {
	was, err := before.Order()
	if err != nil || was.Job.Isolation != now.Job.Isolation || was.Wall.Strict != now.Wall.Strict || was.Wall.Reviewed != now.Wall.Reviewed {
		return ""
	}
	from := kept(before)
	if from == "" && was.Resumes { // it was ended before that was handed to it
		from = kept(before.Before())
	}
	if from == "" {
		return ""
	}
	ran, r := began(before)
	if !ran && !was.Resumes {
		return ""
	}
	now.Given = listed(from)
	stood := now.Given == was.Given
	switch {
	case !ran, stood && (r.Cause == port.Lost || r.Cause == port.Stopped): // nothing new is known of what it went on from
		now.Doubted = was.Doubted
	case !was.Resumes:
	case !endedFromOutside(r.Cause), was.Doubted && perhapsByItself(r, stood): // it may have failed for what it went on from
		now.Given, now.Anew = "", true
		return ""
	case perhapsByItself(r, stood):
		now.Doubted = true
	}
	return from
}

// began tells whether an attempt's command was begun, and how it ended, where that is known.
func began(a Attempt) (bool, port.Result) {
	s, err := a.Status()
	r, _ := a.Result()
	return err == nil && s.State == port.Running && r.Cause != port.BadEnv && r.Cause != port.BadImage, r
}

func endedFromOutside(c port.Cause) bool {
	switch c {
	case "", port.Lost, port.Stopped, port.TimedOut, port.Signal, port.OutOfMemory, port.OverLimit:
		return true
	}
	return false
}

// perhapsByItself tells of an end that comes from outside, and from a damaged checkpoint as well: native code fails by
// a signal, and what claims too much, or is too large, comes to a limit. What never comes to its end, or is killed by whoever
// watches the machine's memory, may do so for the checkpoint where it stood: where nothing was written to it meanwhile.
func perhapsByItself(r port.Result, stood bool) bool {
	switch r.Cause {
	case port.OutOfMemory, port.OverLimit:
		return true
	case port.Signal:
		return stood || !work.Killed(r)
	}
	return stood && r.Cause == port.TimedOut
}

// listed names what is in a folder: its files with their sizes and when they were written. A folder that is moved keeps it.
func listed(dir string) digest.Digest {
	all := sha256.New()
	_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return nil // what cannot be read is as it was
		}
		info, err := e.Info()
		if err != nil {
			return nil
		}
		size := info.Size()
		if e.IsDir() {
			size = 0
		}
		fmt.Fprintf(all, "%q %d %d\n", path[len(dir):], size, info.ModTime().UnixNano())
		return nil
	})
	return digest.FromSum(all.Sum(nil))
}

// kept is the folder of what an attempt has of how far it is: where its command has it, or where it was handed to it;
// "" where there is none, or it is empty.
func kept(a Attempt) string {
	for _, at := range []string{filepath.Join(a.Work(), work.CheckpointDir), a.File(work.CheckpointDir)} {
		if info, err := os.Lstat(at); err != nil || !info.IsDir() {
			continue
		}
		f, err := os.Open(at)
		if err != nil {
			continue
		}
		has, _ := f.Readdirnames(1)
		f.Close()
		if len(has) > 0 {
			return at
		}
	}
	return ""
}

// HandOver moves what an attempt kept to the one after it.
func HandOver(from string, to Attempt) error {
	if err := os.Rename(from, to.File(work.CheckpointDir)); err != nil {
		return fmt.Errorf("hand over what an earlier attempt kept: %w", err)
	}
	return nil
}
