// The file of a branch that a deployment is delivered in: named, sealed, read and written.

package kubernetes

import (
	"bytes"
	"context"
	"crypto/hmac"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/owned"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// delivery is the file of a branch that has what is served under a name.
type delivery struct {
	server *server
	branch port.Branch
	at     place
	name   string
	raw    []byte // what it holds, as it was read or written last: what it holds otherwise by then is somebody else's step
}

func (s *server) delivery(name string, at place) (*delivery, error) {
	b, err := s.o.Branch(at.Git.Branch)
	return &delivery{server: s, branch: b, at: at, name: name}, err
}

func (d *delivery) file() string { return d.at.Git.File(d.name) }

// stamp begins the file: what begins otherwise is not ours.
func (d *delivery) stamp() string {
	return fmt.Sprintf("# Vishwa writes this for deployment/%s, and writes over what is changed by hand.\n# %s: %s\n", d.name, owned.LabelOwner, d.server.owner)
}

// manifest is the file's content; nil where there are no objects.
func (d *delivery) manifest(all []owned.Object) ([]byte, error) {
	if len(all) == 0 {
		return nil, nil
	}
	var out bytes.Buffer
	for _, o := range slices.SortedFunc(slices.Values(all), func(a, b owned.Object) int { return strings.Compare(idOf(a), idOf(b)) }) {
		body := maps.Clone(o.Body)
		meta, _ := body["metadata"].(map[string]any)
		meta = maps.Clone(meta)
		meta["namespace"] = d.at.At.Namespace
		body["metadata"] = meta
		text, err := yaml.Marshal(body)
		if err != nil {
			return nil, fault.New(fault.Internal, "write %s as YAML: %w", idOf(o), err)
		}
		out.WriteString("---\n")
		out.Write(text)
	}
	return slices.Concat([]byte(d.stamp()), []byte(sealLine+d.seal(out.Bytes())+"\n"), out.Bytes()), nil
}

// sealLine has what only a Vishwa with the sealing key can write of what follows it.
const sealLine = "# vishwa.dev/seal: "

func (d *delivery) seal(body []byte) string {
	return d.server.o.Seal.Token(fmt.Sprintf("delivered %s:%s %s", d.at.Git.Branch, d.file(), digest.Of(body)))
}

// sealed tells whether raw is what a Vishwa with our sealing key wrote, this one or another replica, now or earlier.
func (d *delivery) sealed(raw []byte) bool {
	rest, is := bytes.CutPrefix(raw, []byte(d.stamp()+sealLine))
	token, body, _ := bytes.Cut(rest, []byte("\n"))
	return is && hmac.Equal(token, []byte(d.seal(body)))
}

func idOf(o owned.Object) string { return owned.Kinds[o.Resource.Name] + " " + o.Name }

// readFile is the objects that the file has. One that is somebody else's is a Conflict.
func (d *delivery) readFile(ctx context.Context) (all []owned.Object, err error) {
	d.raw, err = d.branch.Read(ctx, d.file())
	if err != nil || d.raw == nil {
		return nil, err
	}
	if !bytes.HasPrefix(d.raw, []byte(d.stamp())) {
		return nil, fault.WithHint(fault.New(fault.Conflict, "%s of branch %s is already there, and is not written by this Vishwa for %s", d.file(), d.at.Git.Branch, d.name),
			"see whose it is: git log %s -- %s; where nobody needs it, remove it, or name another folder in spec.delivery.git.path", d.at.Git.Branch, d.file())
	}
	return d.objects(d.raw), nil
}

// objects are those of a file that are of kinds that we make. What somebody wrote there that cannot be read has none:
// it is written over.
func (d *delivery) objects(raw []byte) (all []owned.Object) {
	for _, doc := range strings.Split(string(raw), "\n---\n") {
		var body map[string]any
		if yaml.Unmarshal([]byte(strings.TrimPrefix(doc, "---\n")), &body) != nil {
			continue
		}
		version, _ := body["apiVersion"].(string)
		kind, _ := body["kind"].(string)
		meta, _ := body["metadata"].(map[string]any)
		name, _ := meta["name"].(string)
		for _, r := range resources {
			if r.APIVersion() == version && owned.Kinds[r.Name] == kind && name != "" {
				delete(meta, "namespace")
				all = append(all, owned.Object{Resource: r, Name: name, Body: body})
			}
		}
	}
	return all
}

// write has the file hold all, and notes first what that is: what it holds otherwise is somebody else's. It is a Conflict
// where it is not what it was when it was read or written last.
func (d *delivery) write(ctx context.Context, rec *record, all []owned.Object, subject string) error {
	content, err := d.manifest(all)
	if err != nil || bytes.Equal(d.raw, content) && (d.raw == nil) == (content == nil) {
		return err
	}
	if err := d.noted(rec, content); err != nil {
		return err
	}
	message := fmt.Sprintf("%s\n\nVishwa-Ref: deployment/%s\n", subject, d.name)
	if key := keyOf(all); key != "" {
		message += fmt.Sprintf("Vishwa-Key: %s\n", key)
	}
	if err := d.branch.Write(ctx, d.file(), d.raw, content, message); err != nil {
		return err
	}
	d.raw = content
	return nil
}

// noted notes what the file is about to hold.
func (d *delivery) noted(rec *record, content []byte) error {
	now := digest.Of(content)
	if n := len(rec.Wrote); n > 0 && rec.Wrote[n-1] == now {
		return nil
	}
	rec.Wrote = append(rec.Wrote[max(0, len(rec.Wrote)-1):len(rec.Wrote):len(rec.Wrote)], now)
	return d.server.writeRecord(d.name, *rec)
}

// keyOf is the key of the release that has the requests, as its objects say.
func keyOf(all []owned.Object) string {
	for _, o := range all {
		if key := noted(o.Body, noteKey); key != "" {
			return key
		}
	}
	return ""
}

// over are objects with others in the place of those of the same name.
func over(all []owned.Object, with ...owned.Object) []owned.Object {
	out := slices.DeleteFunc(slices.Clone(all), func(o owned.Object) bool {
		return slices.ContainsFunc(with, func(other owned.Object) bool { return idOf(o) == idOf(other) })
	})
	return append(out, with...)
}

// readShort is what the file has; known is false where the remote does not say it, for whatever reason, or takes more than a
// third of the time that there is: the cluster is to be asked as well.
func (d *delivery) readShort(ctx context.Context) (raw []byte, known bool, err error) {
	short := ctx
	if end, is := ctx.Deadline(); is {
		var cancel context.CancelFunc
		short, cancel = context.WithTimeout(ctx, end.Sub(d.server.o.Env.Now())/3)
		defer cancel()
	}
	raw, err = d.branch.Read(short, d.file())
	switch {
	case err == nil:
		return raw, true, nil
	case ctx.Err() != nil || fault.Of(err) == fault.Conflict:
		return nil, false, err
	}
	d.server.o.Env.Log.DebugContext(ctx, "the remote does not say what is delivered", "file", d.file(), "branch", d.at.Git.Branch, "error", err)
	return nil, false, nil
}
