// Who follows objects misses none, and knows when it may rely on what it heard.

package kube

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// named is all that a follower here knows of an object.
type named struct {
	Metadata struct {
		Name string `json:"name"`
	} `json:"metadata"`
}

// follow tells on a channel what a follower is told by a server, until the test ends.
func follow(t *testing.T, answer http.HandlerFunc) <-chan string {
	s := httptest.NewServer(answer)
	ctx, stop := context.WithCancel(t.Context())
	told, done := make(chan string, 100), make(chan struct{})
	c := open(t, kubeconfig(t, s.URL, "", ""))
	go func() {
		defer close(done)
		Follow(ctx, c, Jobs, Select{Labels: "vishwa.dev/owner"}, Follower[named]{
			All: func(all []named) {
				names := "all"
				for _, o := range all {
					names += " " + o.Metadata.Name
				}
				told <- names
			},
			Change: func(o named, gone bool) { told <- fmt.Sprint("change ", o.Metadata.Name, " ", gone) },
			Lost:   func(error) { told <- "lost" },
			Back:   func() { told <- "back" },
		})
	}()
	t.Cleanup(func() { stop(); <-done; s.CloseClientConnections(); s.Close() })
	return told
}

// hears insists on what is told next.
func hears(t *testing.T, told <-chan string, want ...string) {
	t.Helper()
	for _, w := range want {
		select {
		case got := <-told:
			if got != w {
				t.Fatalf("told %q, want %q of %q", got, w, want)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("not told %q of %q", w, want)
		}
	}
}

// line is one of a watch.
func line(kind, name, version string) string {
	return fmt.Sprintf(`{"type": %q, "object": {"metadata": {"name": %q, "resourceVersion": %q}}}`+"\n", kind, name, version)
}

// After a time without a server it goes on from where it was, and says that it does.
func TestFollowingGoesOnFromWhereItWasCutOff(t *testing.T) {
	var watches atomic.Int64
	var asked []string
	told := follow(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("labelSelector") != "vishwa.dev/owner" {
			t.Errorf("asked for %s", r.URL)
		}
		if r.URL.Query().Get("watch") == "" {
			fmt.Fprint(w, `{"metadata": {"resourceVersion": "5"}, "items": [{"metadata": {"name": "a"}}]}`)
			return
		}
		n := watches.Add(1)
		asked = append(asked, r.URL.Query().Get("resourceVersion"))
		switch n {
		case 1:
			fmt.Fprint(w, line("ADDED", "b", "6"), line("BOOKMARK", "", "9"))
		case 2:
			w.WriteHeader(503)
		default:
			w.WriteHeader(200)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}
	})
	hears(t, told, "all a", "back", "change b false", "lost", "back")
	if want := []string{"5", "9", "9"}; !slices.Equal(asked, want) {
		t.Errorf("it went on from %q, want %q", asked, want)
	}
}

// Where the server forgot that version, everything is read anew.
func TestFollowingBeginsAnewWhereItMayHaveMissedSomething(t *testing.T) {
	var lists atomic.Int64
	told := follow(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("watch") == "" {
			pages := []string{
				`{"metadata": {"resourceVersion": "5", "continue": "more"}, "items": [{"metadata": {"name": "a"}}]}`,
				`{"metadata": {"resourceVersion": "5"}, "items": [{"metadata": {"name": "b"}}]}`,
				`{"metadata": {"resourceVersion": "50"}, "items": [{"metadata": {"name": "c"}}]}`,
			}
			fmt.Fprint(w, pages[min(lists.Add(1)-1, 2)])
			return
		}
		if r.URL.Query().Get("resourceVersion") == "5" {
			fmt.Fprint(w, `{"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}}`+"\n")
			return
		}
		fmt.Fprint(w, line("DELETED", "c", "51"), strings.Repeat(" ", 10))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	hears(t, told, "all a b", "back", "all c", "back", "change c true")
}
