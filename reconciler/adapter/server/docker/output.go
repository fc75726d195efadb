// What a container writes: it is kept by the host, and the engine that hands it over may be away for a while.

package docker

import (
	"context"
	"io"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/dockerengine"
)

// follow writes out what the container writes until it has ended, through the engine's own absence.
func (c *serving) follow(ctx context.Context, to io.Writer) {
	defer close(c.read)
	since, ended := "", false
	for {
		out, err := c.api.ContainerLogs(ctx, c.id, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Follow: true, Since: since})
		if err == nil {
			_, err = stdcopy.StdCopy(to, to, out)
			out.Close()
			// By the engine's clock. What it had not sent by now it may send twice, rather than never.
			since = c.now().Add(-askAgain).UTC().Format(time.RFC3339Nano)
		}
		if ctx.Err() != nil || ended || fault.Of(dockerengine.Classed(ctx, "", err)) == fault.Missing && err != nil {
			return
		}
		select { // an engine that is stopped ends what it sends, too
		case <-ctx.Done():
			return
		case <-c.done:
			if err == nil {
				return
			}
			ended = true // and its last words were not read
		case <-time.After(askAgain):
		}
	}
}
