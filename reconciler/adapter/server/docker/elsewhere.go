// A container of an engine on another machine: it is sent the files of its release, as they are read and found to be what was declared,
// and publishes its port where it is reached by the way that leads to its engine.

package docker

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/dockerengine"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// elsewhere has the container be one of another machine: a user that is nobody there, a folder of its own for its files, which goes with it, and its
// port at the address that we reach the machine by.
func (c *serving) elsewhere(ctx context.Context, config *container.Config, host *container.HostConfig) error {
	who := strconv.Itoa(User)
	config.User = who + ":" + who
	host.Mounts = append(host.Mounts, mount.Mount{Type: mount.TypeVolume, Target: c.at.brought(), VolumeOptions: &mount.VolumeOptions{NoCopy: true}})
	at, err := c.api.Machine(ctx)
	if err != nil {
		return err
	}
	if at != netip.AddrFrom4([4]byte{127, 0, 0, 1}) {
		for listens := range host.PortBindings {
			host.PortBindings[listens] = []network.PortBinding{{HostIP: at}}
		}
	}
	info, err := c.api.Info(ctx, client.InfoOptions{})
	if err != nil {
		return dockerengine.Classed(ctx, "ask the engine who it is", err)
	}
	if there, err := time.Parse(time.RFC3339Nano, info.Info.SystemTime); err == nil {
		here, ahead := c.now, there.Sub(c.now())
		c.now = func() time.Time { return here().Add(ahead) }
	}
	return nil
}

// brought is the folder of a container elsewhere that is sent what it lacks: of an image that has the rest, its inputs.
func (at settled) brought() string {
	if at.Contained {
		return inside + "/inputs"
	}
	return inside
}

// bring sends the release's files into the container, which has not begun. They are root's there, and what serves is not root.
func (c *serving) bring(ctx context.Context, start port.Start) error {
	dir, files, also := start.Dir, start.Files, "code" // where it begins
	if c.at.Contained {
		dir, files, also = filepath.Join(dir, "inputs"), nil, "."
		for _, f := range start.Files {
			if name, is := strings.CutPrefix(f.Path, "inputs/"); is {
				files = append(files, digest.File{Path: name, Digest: f.Digest, Size: f.Size})
			}
		}
	}
	out, in := io.Pipe()
	packed := make(chan error, 1)
	fault.Go(func() {
		err := fault.Guard(func() error { return pack(in, dir, files, also) })
		in.CloseWithError(err) // with the reason, or the archive ends
		packed <- err
	}, func(err error) { packed <- err })
	_, err := c.api.CopyToContainer(ctx, c.id, client.CopyToContainerOptions{DestinationPath: c.at.brought(), Content: out})
	out.Close()
	switch wrong := <-packed; {
	case wrong != nil && !errors.Is(wrong, io.ErrClosedPipe):
		return wrong
	case err != nil:
		return dockerengine.Classed(ctx, "send the release's files to its engine", err)
	case wrong != nil:
		return fault.WithHint(fault.New(fault.Transient, "send the release's files to its engine: it took a part of them, and said that this was all"), "read the engine's own log, and what is between it and this machine, then try again")
	}
	return nil
}

// pack writes the files of dir as an archive, and a folder that may hold none of them: each is what its digest says, or the archive does not end.
func pack(to io.Writer, dir string, files digest.Manifest, also string) error {
	tw := tar.NewWriter(to)
	made := map[string]bool{".": true}
	for _, f := range files {
		if err := folders(tw, path.Dir(f.Path), made); err != nil {
			return err
		}
		if err := packFile(tw, dir, f); err != nil {
			return err
		}
	}
	if err := folders(tw, also, made); err != nil {
		return err
	}
	return tw.Close()
}

// folders writes a folder, and those above it, once.
func folders(tw *tar.Writer, name string, made map[string]bool) error {
	if made[name] {
		return nil
	}
	if err := folders(tw, path.Dir(name), made); err != nil {
		return err
	}
	made[name] = true
	return tw.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o555, Format: tar.FormatPAX})
}

func packFile(tw *tar.Writer, dir string, f digest.File) error {
	changed := fault.WithHint(fault.New(fault.Corrupt, "%s is not what was laid out", f.Path), "run vishwa apply: it lays the release out anew")
	file, err := os.Open(filepath.Join(dir, filepath.FromSlash(f.Path)))
	if err != nil {
		return fault.WithHint(fault.New(fault.Corrupt, "read what was laid out: %w", err), "run vishwa apply: it lays the release out anew")
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() != f.Size {
		return changed
	}
	mode := int64(0o444)
	if info.Mode()&0o111 != 0 {
		mode = 0o555
	}
	if err := tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: f.Path, Mode: mode, Size: f.Size, Format: tar.FormatPAX}); err != nil {
		return err
	}
	is, _, err := digest.Copy(tw, io.LimitReader(file, f.Size))
	if err == nil && is != f.Digest {
		return changed
	}
	return err
}
