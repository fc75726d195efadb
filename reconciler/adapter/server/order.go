// What the host is asked to serve, and where it stands on disk, so that a host
// that was killed knows what to bring back.

package server

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// order is one release, laid out on disk. It holds no value of the caller's
// environment, only names: those may be secrets and live in the host's memory alone.
type order struct {
	Name     string              `json:"name"`
	Key      digest.Digest       `json:"key"`
	Model    digest.Digest       `json:"model,omitempty"`
	Laid     digest.Manifest     `json:"laid"`   // code, model, inputs and parameters as they were laid out, checked before each start
	Folder   string              `json:"folder"` // of code, model, inputs; below the name's own
	Command  []string            `json:"command,omitempty"`
	Bin      string              `json:"bin,omitempty"` // of the Python environment, goes before PATH
	Set      []string            `json:"set,omitempty"` // NAME=value, paths all of them
	Pass     []string            `json:"pass,omitempty"`
	Declared int                 `json:"declared,omitempty"` // public port as declared; zero is any
	Wall     wall.Policy         `json:"wall,omitzero"`
	Least    wall.Level          `json:"least,omitempty"` // the weakest level that it may be served at
	Port     int                 `json:"port"`            // public port as it is
	Ready    string              `json:"ready"`
	Timeout  time.Duration       `json:"timeout"`
	Pace     Timeouts            `json:"pace"`
	Limits   Limits              `json:"limits,omitzero"`
	Log      *port.PredictionLog `json:"log,omitempty"`
	Over     string              `json:"over,omitempty"` // the name whose place it takes, port and all
	Since    time.Time           `json:"since,omitzero"`
	Second   bool                `json:"second,omitempty"` // a baseline: another process of a release that serves
	// Starter is what begins it, with the command Run; empty: it is a process of this machine. Settled is
	// the starter's own. Command is empty then: a vishwa that knows no starters must not take the order
	// for one of a process, and refuses it.
	Starter string          `json:"starter,omitempty"`
	Run     []string        `json:"run,omitempty"`
	Settled json.RawMessage `json:"settled,omitempty"`
	Bytes   string          `json:"bytes,omitempty"` // the class of what it serves; empty is verified
}

// live is how the order looks to who asks; Health is for the caller to fill.
func (o order) live() port.Live {
	return port.Live{Key: o.Key, Model: o.Model, URL: fmt.Sprintf("http://127.0.0.1:%d", o.Port), Since: o.Since, Bytes: cmp.Or(o.Bytes, port.BytesVerified)}
}

// environ is the served process's environment, but for its private port. What a starter begins has
// what the declaration passes on, and nothing else of this machine's.
func (o order) environ(lookup func(string) (string, bool)) []string {
	if o.Starter != "" {
		var out []string
		for _, name := range o.Pass {
			if v, ok := lookup(name); ok && !sandbox.Own(name) {
				out = append(out, name+"="+v)
			}
		}
		return out
	}
	set := sandbox.Environment{Bin: o.Bin}.Vars(lookup)
	for _, v := range o.Set {
		name, value, _ := strings.Cut(v, "=")
		set[name] = value
	}
	for _, name := range o.Pass {
		if v, ok := lookup(name); ok && !sandbox.Own(name) {
			set[name] = v // what the declaration asks for goes before what a release has by itself, as HOME
		}
	}
	return sandbox.Environ(lookup, nil, set)
}

var nameForm = lazyregexp.New(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// checkName keeps names from leading out of the state folder.
func checkName(name string) error {
	if nameForm.MatchString(name) {
		return nil
	}
	return fault.WithHint(fault.New(fault.Invalid, "release %q: not a name", name), "use up to 63 of a-z, 0-9 and -, as in enrollment-staging")
}

// folder is the host's state folder.
//
//	host.lock    held by the living host; the truth about whether there is one
//	start.lock   held by whoever starts a host, or changes things without one
//	control.sock where the host is spoken to
//	host.log     what the host did; host.err what it said when it fell
//	locks/NAME   held by whoever changes what is served under NAME
//	served/NAME  release.json, log, and a folder a release
//	predictions/NAME  what was asked and answered; it stays when NAME is retired
type folder string

func (f folder) path(name string) string         { return filepath.Join(string(f), name) }
func (f folder) served(name string) string       { return filepath.Join(string(f), "served", name) }
func (f folder) record(name string) string       { return filepath.Join(f.served(name), "release.json") }
func (f folder) lock(name string) string         { return filepath.Join(string(f), "locks", name) }
func (f folder) predictions(name string) string  { return filepath.Join(string(f), "predictions", name) }
func (f folder) log(name string) string          { return filepath.Join(f.served(name), "log") }
func (f folder) release(name, sub string) string { return filepath.Join(f.served(name), sub) }
func (f folder) group(name, sub string) string {
	return "serve:" + digest.Of([]byte(f.release(name, sub))).Hex()
}

// second is what tells the processes of a baseline from those of the release whose folder it shares.
const second = "-baseline"

// as is what the processes of o are known by below their name.
func (o order) as() string {
	if o.Second {
		return o.Folder + second
	}
	return o.Folder
}

// owner names the folder to what other programs keep: it tells nothing, and is no other folder's.
func (f folder) owner() string { return "s-" + digest.Of([]byte(f)).Hex()[:16] }

// used tells whether anything was ever served from here.
func (f folder) used() bool {
	_, err := os.Lstat(string(f))
	return err == nil
}

func (f folder) temporary(name, sub string) string { return f.release(name, "tmp-"+sub) }
func (f folder) releases(name string) []string     { return bases(filepath.Join(f.served(name), "r-*")) }
func (f folder) names() []string                   { return bases(filepath.Join(string(f), "served", "*")) }

func bases(pattern string) []string {
	found, _ := filepath.Glob(pattern) // the only error is a bad pattern
	for i := range found {
		found[i] = filepath.Base(found[i])
	}
	return found
}

// alike tells whether o is begun as was is, so that what stands will do.
func (o order) alike(was order) bool {
	return o.Starter == was.Starter && compact(o.Settled) == compact(was.Settled) && o.Least == was.Least && o.Wall.Level == was.Wall.Level
}

// compact is JSON without the spaces that a record's indentation adds.
func compact(raw json.RawMessage) string {
	var out bytes.Buffer
	if json.Compact(&out, raw) != nil {
		return string(raw)
	}
	return out.String()
}

// purpose is what a record's seal is for: a record that is moved to another name is
// none of this one's.
func purpose(name string) string { return "serving release " + name }

// anew is what to do about a record that is not believed.
const anew = "run vishwa apply: it lays the release out from the store, and writes the record again"

// readOrder is the order that stands under name; Missing says that none does. A record
// that this installation did not write is Corrupt, and so is one of a version that
// sealed none: nothing of it is believed, and the next Apply writes it anew.
func (f folder) readOrder(key seal.Key, name string) (order, error) {
	raw, err := os.ReadFile(f.record(name))
	if errors.Is(err, fs.ErrNotExist) {
		return order{}, fault.WithHint(fault.New(fault.Missing, "no release is recorded under %s", name), "run vishwa apply on this machine: it serves what the branch declares")
	}
	if err != nil {
		return order{}, fault.New(fault.Internal, "read release %s: %w", name, err)
	}
	body, err := key.Open(purpose(name), raw)
	if err != nil && !seal.Sealed(raw) {
		return order{}, fault.WithHint(fault.New(fault.Corrupt, "its record carries no seal: an older vishwa or somebody else wrote it"), anew)
	}
	if err != nil {
		return order{}, fault.WithHint(fault.New(fault.Corrupt, "its record was tampered with: the seal does not hold"), anew)
	}
	o, err := decodeOrder(body)
	if err == nil && o.Name != name {
		err = fault.WithHint(fault.New(fault.Corrupt, "read release %s: it is for %q", name, o.Name), anew)
	}
	return o, err
}

// decodeOrder reads an order and refuses one that would lead out of its folder.
func decodeOrder(raw []byte) (order, error) {
	var o order
	if err := json.Unmarshal(raw, &o); err != nil {
		return order{}, fault.WithHint(fault.New(fault.Corrupt, "decode release: %w", err), anew)
	}
	o.Pace = o.Pace.filled()
	return o, o.check()
}

// check refuses an order that the host could not have been given by Local.
func (o order) check() error {
	if err := checkName(o.Name); err != nil {
		return err
	}
	if (len(o.Command) == 0) == (o.Starter == "") || !strings.HasPrefix(o.Folder, "r-") || o.Folder != filepath.Base(o.Folder) || o.Port < 0 || o.Port > 65535 {
		return fault.WithHint(fault.New(fault.Corrupt, "read release %s: not what vishwa writes", o.Name), anew)
	}
	if (o.Starter == "") != (len(o.Settled) == 0) || (o.Starter == "") != (len(o.Run) == 0) {
		return fault.WithHint(fault.New(fault.Corrupt, "read release %s: it does not say what begins it", o.Name), anew)
	}
	if err := o.Laid.Check(); err != nil || len(o.Laid) == 0 {
		return fault.WithHint(fault.New(fault.Corrupt, "read release %s: it does not say what was laid out: %v", o.Name, err), anew)
	}
	return nil
}

// write makes o what is to be served under its name, at once or not at all.
func (f folder) write(key seal.Key, o order) error {
	raw, err := json.MarshalIndent(o, "", "  ")
	if err != nil {
		return fmt.Errorf("encode release: %w", err)
	}
	return artifact.Disk(replace(f.record(o.Name), key.Wrap(purpose(o.Name), raw)), f.served(o.Name))
}

// replace writes a small file so that a reader, or a crash, finds the old or the new one.
func replace(path string, raw []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".partial-")
	if err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	defer os.Remove(tmp.Name()) // renamed away where all went well
	_, err = tmp.Write(raw)
	if err == nil {
		err = tmp.Sync()
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	return nil
}
