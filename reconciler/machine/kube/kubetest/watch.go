// Watches: changes as they come, until the server ends them, which it does often.

package kubetest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

func (c *Cluster) watch(w http.ResponseWriter, r *http.Request, q request) {
	from, _ := strconv.Atoi(r.URL.Query().Get("resourceVersion"))
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(200)
	flush := w.(http.Flusher)
	flush.Flush()
	end := time.After(3 * time.Second) // a server ends a watch from time to time
	for {
		var batch []change
		var news chan struct{}
		closed, ahead := false, false
		c.locked(func() {
			for _, e := range c.store.log {
				if e.version > from && e.resource == q.resource {
					batch = append(batch, e)
				}
			}
			// From a version that is not there yet, as after a restore, it is silent until it is.
			ahead = from > c.store.version
			from, news, closed = max(from, c.store.version), c.store.news, c.store.closed
		})
		for _, e := range batch {
			var o object
			_ = json.Unmarshal(e.object, &o)
			if selects(r, e.labels, o) {
				fmt.Fprintf(w, `{"type":%q,"object":%s}`+"\n", e.kind, e.object)
			}
		}
		if batch == nil && !ahead {
			fmt.Fprintf(w, `{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"%d"}}}`+"\n", from)
		}
		flush.Flush()
		if closed {
			return
		}
		select {
		case <-news:
		case <-end:
			return
		case <-r.Context().Done():
			return
		}
	}
}
