// What an environment holds is looked at before it is used again: whoever could write
// to it could have every later run do as they like.

package sandbox

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
	"github.com/vishwaops/vishwa/reconciler/routine"
)

// record is what is written last, and sealed: an environment without it was never
// finished, or is not ours.
type record struct {
	Environment
	Content string `json:"content"` // hex SHA-256 over every path, mode, link target and file
	Looks   string `json:"looks"`   // the same over what lstat(2) tells of them, change times included
}

// finish writes the record.
func finish(dir string, ready Environment, key seal.Key) error {
	r := record{Environment: ready}
	var err error
	if r.Content, err = summary(dir, contents); err != nil {
		return err
	}
	if r.Looks, err = summary(dir, looks); err != nil {
		return err
	}
	raw, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return WriteFile(recordFile(dir), key.Wrap(purpose(dir), raw))
}

// recordFile stands beside the environment, so that it is no part of what it tells of.
func recordFile(dir string) string { return dir + ".json" }

func purpose(dir string) string { return "environment " + filepath.Base(dir) }

// finished is the environment in dir, where it is whole and holds what it held when it
// was made. Its error is Missing where there is none, and Corrupt where it was changed.
// An environment whose interpreter has since been removed does not count.
func finished(dir string, key seal.Key) (Environment, error) {
	raw, err := os.ReadFile(recordFile(dir))
	if err != nil {
		return Environment{}, fault.New(fault.Missing, "find environment: %w", err)
	}
	raw, err = key.Open(purpose(dir), raw)
	var r record
	if err == nil {
		err = json.Unmarshal(raw, &r)
	}
	if err != nil {
		return Environment{}, fault.New(fault.Corrupt, "read environment: %w", err)
	}
	if r.Bin != filepath.Join(dir, "bin") || executable(filepath.Join(r.Bin, "python")) == "" {
		return Environment{}, fault.New(fault.Missing, "find environment: its interpreter is missing")
	}
	// The kernel alone sets a change time, so files that look the same were not written.
	seen, err := summary(dir, looks)
	if err == nil && seen == r.Looks {
		return r.Environment, nil
	}
	if err == nil {
		seen, err = summary(dir, contents)
	}
	if err != nil || seen != r.Content {
		return Environment{}, fault.New(fault.Corrupt, "environment %s: it no longer holds what it was made with", filepath.Base(dir))
	}
	return r.Environment, finish(dir, r.Environment, key) // it was copied or restored as a whole
}

// EnvironmentKey is the key for Environments.Seal, derived from the installation's; of is
// whose they are: "" for the tracked branch, pulls for pull requests.
func EnvironmentKey(key seal.Key, of string) seal.Key { return key.Derive("environments " + of) }

// VerifyEnvironment tells whether the environment whose programs are in bin still holds
// what it was made with; key is that of Environments.Seal.
func VerifyEnvironment(bin string, key seal.Key) error {
	if bin == "" {
		return nil
	}
	_, err := finished(filepath.Dir(bin), key)
	return err
}

// summary is one digest over all that is in dir, each by what of says of it.
func summary(dir string, of func(path string, d fs.DirEntry) (string, error)) (string, error) {
	type entry struct {
		rel string
		d   fs.DirEntry
	}
	var all []entry
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && p != dir {
			all = append(all, entry{p[len(dir)+1:], d})
		}
		return err
	})
	if err != nil {
		return "", err
	}
	said := make([]string, len(all))
	failed := make([]error, runtime.GOMAXPROCS(0)+1)
	var each routine.Set
	for w := range failed {
		each.Start(func() {
			for i := w; i < len(all) && failed[w] == nil; i += len(failed) {
				said[i], failed[w] = of(filepath.Join(dir, all[i].rel), all[i].d)
			}
		})
	}
	each.Wait()
	if i := slices.IndexFunc(failed, func(err error) bool { return err != nil }); i >= 0 {
		return "", failed[i]
	}
	h := sha256.New()
	for i, e := range all {
		fmt.Fprintf(h, "%q %s\n", e.rel, said[i])
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// contents is mode, and the target or the bytes.
func contents(path string, d fs.DirEntry) (string, error) {
	info, err := d.Info()
	if err != nil {
		return "", err
	}
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		to, err := os.Readlink(path)
		return fmt.Sprintf("link %q", to), err
	case !info.Mode().IsRegular():
		return info.Mode().String(), nil
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return info.Mode().String() + " " + hex.EncodeToString(h.Sum(nil)), nil
}
