// Who follows objects misses none, and knows when it may rely on what it heard.

package kube

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
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

// plays is a server with one watch after another; lists are what it has at each time that it is asked for everything,
// and now is the version that it says it has when it is asked for that alone.
func plays(t *testing.T, now string, lists []string, watches ...http.HandlerFunc) (answer http.HandlerFunc, asked func() []string) {
	var mu sync.Mutex
	var from []string
	listed := 0
	return func(w http.ResponseWriter, r *http.Request) {
			q := r.URL.Query()
			if q.Get("watch") == "" && q.Get("limit") == "1" {
				fmt.Fprintf(w, `{"metadata": {"resourceVersion": %q, "continue": "more"}, "items": [{"metadata": {"name": "of-somebody"}}]}`, now)
				return
			}
			if q.Get("labelSelector") != "vishwa.dev/owner" {
				t.Errorf("asked for %s", r.URL)
			}
			mu.Lock()
			if q.Get("watch") == "" {
				defer mu.Unlock()
				fmt.Fprint(w, lists[min(listed, len(lists)-1)])
				listed++
				return
			}
			n := len(from)
			from = append(from, q.Get("resourceVersion"))
			mu.Unlock()
			if n < len(watches) {
				watches[n](w, r)
				return
			}
			w.WriteHeader(200)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, func() []string {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(from)
		}
}

// all is a list of objects at a version.
func all(version string, names ...string) string {
	items := []string{}
	for _, n := range names {
		items = append(items, fmt.Sprintf(`{"metadata": {"name": %q}}`, n))
	}
	return fmt.Sprintf(`{"metadata": {"resourceVersion": %q}, "items": [%s]}`, version, strings.Join(items, ","))
}

// After a time without a server it reads what there is, goes on from where it was, and says that it does.
func TestFollowingGoesOnFromWhereItWasCutOff(t *testing.T) {
	answer, asked := plays(t, "9", []string{all("5", "a"), all("12", "b", "c")},
		func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, line("ADDED", "b", "6"), line("BOOKMARK", "", "9"))
		},
		func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) },
		func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, line("DELETED", "a", "10"), line("ADDED", "c", "12"))
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		})
	told := follow(t, answer)
	hears(t, told, "all a", "back", "change b false", "lost", "all b c", "back", "change a true", "change c false")
	if want := []string{"5", "9", "9"}; !slices.Equal(asked(), want) {
		t.Errorf("it went on from %q, want %q", asked(), want)
	}
}

// A store that was restored counts again from where it was: what it forgot is missed, and it is followed from
// where it is, whether its server ended the watch or was cut off, and however far it has counted since.
func TestFollowingNoticesThatTheWorldWasTurnedBack(t *testing.T) {
	ends := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, line("ADDED", "b", "90")) }
	dies := func(w http.ResponseWriter, r *http.Request) {
		ends(w, r)
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	for name, c := range map[string]struct {
		now, list string // versions
		watch     http.HandlerFunc
		from      string
	}{
		"the watch ended":                    {now: "40", list: "41", watch: ends, from: "41"},
		"it was cut off":                     {now: "none asks", list: "41", watch: dies, from: "41"},
		"it has counted up to it":            {now: "none asks", list: "90", watch: dies, from: "90"},
		"it has counted on":                  {now: "none asks", list: "200", watch: dies, from: "90"},
		"its versions cannot be compared":    {now: "x-91", list: "x-92", watch: ends, from: "x-92"},
		"cut off, they cannot be compared":   {now: "none asks", list: "x-92", watch: dies, from: "x-92"},
		"a version is as great as it can be": {now: "18446744073709551616", list: "18446744073709551616", watch: ends, from: "18446744073709551616"},
	} {
		t.Run(name, func(t *testing.T) {
			answer, asked := plays(t, c.now, []string{all("80", "a"), all(c.list, "a")}, c.watch)
			hears(t, follow(t, answer), "all a", "back", "change b false", "all a", "back")
			if want := []string{"80", c.from}; !slices.Equal(asked(), want) {
				t.Errorf("it was watched from %q, want %q", asked(), want)
			}
		})
	}
}

// A watch that ended, as each does after a while, is gone on with for one small question.
func TestAWatchThatEndedIsGoneOnWith(t *testing.T) {
	answer, asked := plays(t, "95", []string{all("80", "a"), all("95", "a", "b", "too much")}, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, line("ADDED", "b", "90")) })
	hears(t, follow(t, answer), "all a", "back", "change b false", "back")
	if want := []string{"80", "90"}; !slices.Equal(asked(), want) {
		t.Errorf("it was watched from %q, want %q", asked(), want)
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
