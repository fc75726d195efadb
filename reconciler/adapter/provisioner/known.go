// Which program lies at a path, remembered from one command of Vishwa's to the next. terraform-exec asks the program for its version anyway; the
// product is all that it does not tell.

package provisioner

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"github.com/hashicorp/go-version"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// knownTool is a program that was asked: it is the same while the file is.
type knownTool struct {
	Path    string `json:"path"`
	Inode   uint64 `json:"inode"`
	Size    int64  `json:"size"`
	Changed int64  `json:"changed"` // in nanoseconds since 1970
	Version string `json:"version"`
}

// fileOf is what tells a program's file from another.
func fileOf(path string) (knownTool, bool) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return knownTool{}, false
	}
	info, err := os.Stat(real)
	if err != nil {
		return knownTool{}, false
	}
	k := knownTool{Path: real, Size: info.Size(), Changed: info.ModTime().UnixNano()}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		k.Inode = uint64(sys.Ino)
	}
	return k, true
}

func (t *Stacks) knownFile() string { return filepath.Join(t.cfg.Dir, "tool.json") }

// recall is the program at path, where it was asked before. OpenTofu is asked each time: it says what is wrong with its configuration.
func (t *Stacks) recall(path string) (tool, bool) {
	now, ok := fileOf(path)
	raw, err := os.ReadFile(t.knownFile())
	var was knownTool
	if !ok || err != nil || json.Unmarshal(raw, &was) != nil {
		return tool{}, false
	}
	if now.Version = was.Version; now != was || was.Version == "" {
		return tool{}, false
	}
	return tool{path: path, product: "terraform", version: was.Version}, true
}

// remember notes what a program said of itself.
func (t *Stacks) remember(found tool) {
	k, ok := fileOf(found.path)
	if !ok || found.product != "terraform" {
		return
	}
	k.Version = found.version
	raw, err := json.Marshal(k)
	if err == nil && os.MkdirAll(t.cfg.Dir, 0o700) == nil {
		_ = os.WriteFile(t.knownFile(), raw, 0o600) // asked again where it cannot be remembered
	}
}

// known is the program for a stack, and whether it was recalled: its version is then checked.
func (t *Stacks) known(ctx context.Context, env map[string]string) (found tool, recalled bool, err error) {
	path, err := find(t.cfg.Tool, env["PATH"])
	if err != nil {
		return tool{}, false, err
	}
	if found, ok := t.recall(path); ok {
		return found, true, nil
	}
	if found, err = t.tool(ctx, env); err == nil {
		t.remember(found)
	}
	return found, false, err
}

// forget has the program be asked again.
func (t *Stacks) forgetTool() {
	_ = os.Remove(t.knownFile())
	t.mu.Lock()
	defer t.mu.Unlock()
	t.found = tool{}
}

// errOtherTool is why a program that was recalled is asked again.
var errOtherTool = errors.New("the program is of another version")

// sameTool makes sure that the program is of the version that was recalled: under one path, a manager of versions begins whichever a folder
// asks for. terraform-exec keeps the answer, which it would ask for all the same.
func (w *work) sameTool(ctx context.Context) error {
	var have *version.Version
	err := w.run(ctx, func(ctx context.Context) (err error) {
		have, _, err = w.cli.Version(ctx, false)
		return err
	})
	switch {
	case fault.Of(err) == fault.Cancelled:
		return err
	case err != nil || have.String() != w.tool.version:
		return errOtherTool
	default:
		return nil
	}
}
