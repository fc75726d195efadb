// What a repository keeps over a restart besides its Git: who may read it, its default branch,
// what it was forked from and how its branches are protected. It stands in the bare repository.

package devforge

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// keptName is the file, in the bare repository.
const keptName = "devforge.json"

type kept struct {
	Public    bool                  `json:"public,omitempty"`
	Base      string                `json:"base"`
	Parent    string                `json:"parent,omitempty"` // OWNER/NAME
	Protected map[string]Protection `json:"protected,omitempty"`
}

// keep writes what r is to be again after a restart.
func (f *Forge) keep(r *repo) error {
	f.keeping.Lock()
	defer f.keeping.Unlock()
	f.mu.Lock()
	k := kept{Public: r.public, Base: r.base, Protected: r.protected}
	if r.parent != nil {
		k.Parent = r.parent.full()
	}
	raw, err := json.Marshal(k)
	f.mu.Unlock()
	if err != nil {
		return fmt.Errorf("keep what %s is: %w", r.full(), err)
	}
	at := filepath.Join(r.dir, keptName)
	if err := os.WriteFile(at+".new", raw, 0o644); err != nil {
		return fmt.Errorf("keep what %s is: %w", r.full(), err)
	}
	return os.Rename(at+".new", at)
}

// Reopen serves every repository that is below the forge's folder, as it was left there.
// CreateRepo takes one of them for new, once.
func (f *Forge) Reopen() error {
	found, err := filepath.Glob(filepath.Join(f.dir, "*", "*.git", "HEAD"))
	if err != nil {
		return fmt.Errorf("list the repositories in %s: %w", f.dir, err)
	}
	was := map[*repo]kept{}
	for _, head := range found {
		dir := filepath.Dir(head)
		k, err := readKept(dir)
		if err != nil {
			return err
		}
		r, err := f.createRepo(filepath.Base(filepath.Dir(dir)), strings.TrimSuffix(filepath.Base(dir), ".git"), nil)
		if err != nil {
			return fmt.Errorf("open %s: %w", dir, err)
		}
		was[r] = k
	}
	for r, k := range was {
		if err := f.restore(r, k); err != nil {
			return fmt.Errorf("open %s: %w", r.dir, err)
		}
		r.reopened.Store(true)
	}
	return nil
}

// readKept is what the repository in dir kept; one that an earlier forge made kept nothing.
func readKept(dir string) (kept, error) {
	k := kept{Base: "main"}
	raw, err := os.ReadFile(filepath.Join(dir, keptName))
	if errors.Is(err, fs.ErrNotExist) {
		return k, nil
	}
	if err == nil {
		err = json.Unmarshal(raw, &k)
	}
	if err != nil {
		return k, fmt.Errorf("read what %s is: %w", dir, err)
	}
	return k, nil
}

// restore makes r what it was; all repositories are there.
func (f *Forge) restore(r *repo, k kept) error {
	for branch, p := range k.Protected {
		if err := f.guard(r, branch, p); err != nil {
			return err
		}
	}
	f.mu.Lock()
	r.public, r.base = k.Public, k.Base
	if k.Protected != nil {
		r.protected = k.Protected
	}
	r.parent = f.repos[strings.ToLower(k.Parent)] // nil where that one was removed
	f.mu.Unlock()
	return f.keep(r)
}

// guard has the hooks of r hold p for a branch.
func (f *Forge) guard(r *repo, branch string, p Protection) error {
	for key, value := range map[string]string{
		"protected": "true", "reviews": strconv.Itoa(p.RequiredReviews), "signatures": strconv.FormatBool(p.RequiredSignatures),
		"nodirectpush": strconv.FormatBool(p.NoDirectPush), "checks": strings.Join(p.RequiredChecks, ", "),
		"bypass": " " + strings.Join(p.Bypass, " ") + " ",
	} {
		if _, err := f.run(r.dir, "", "config", "devforge."+branch+"."+key, value); err != nil {
			return err
		}
	}
	return nil
}
