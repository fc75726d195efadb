// Requests that do not end while a release takes the place of another.

package porttest

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

// Asking asks all the time, several at once, and counts who answers.
type Asking struct {
	t      testing.TB
	mu     sync.Mutex
	by     map[string]int // since the last Meanwhile
	asked  int
	failed []string
	stop   func()
	done   sync.WaitGroup
}

// afresh is a client that asks each time anew, so that nothing is asked twice without a word.
var afresh = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// ByHost asks an address for what a host of a name has, and tells what one request is answered by: its text, where it went well.
func ByHost(t testing.TB, address, host string) func() (version string, err error) {
	return func() (string, error) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
		if err != nil {
			return "", err
		}
		r.Host = host
		a, err := afresh.Do(r)
		if err != nil {
			return "", err
		}
		defer a.Body.Close()
		raw, err := io.ReadAll(a.Body)
		if err == nil && a.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s: %s", a.Status, raw)
		}
		return string(raw), err
	}
}

// Ask asks until End, or until the test ends; what is asked is answered by a version, or fails.
func Ask(t testing.TB, ask func() (version string, err error)) *Asking {
	stop := make(chan struct{})
	a := &Asking{t: t, by: map[string]int{}, stop: sync.OnceFunc(func() { close(stop) })}
	for range 4 {
		a.done.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(5 * time.Millisecond):
				}
				version, err := ask()
				a.mu.Lock()
				a.asked++
				if err == nil {
					a.by[version]++
				} else {
					a.failed = append(a.failed, time.Now().Format("15:04:05.000 ")+err.Error())
				}
				a.mu.Unlock()
			}
		})
	}
	t.Cleanup(func() {
		a.stop()
		a.done.Wait()
	})
	return a
}

// Meanwhile insists on what answered since the last time: these and no others, each of them at least once.
func (a *Asking) Meanwhile(what string, by ...string) {
	a.t.Helper()
	a.mu.Lock()
	got := a.by
	a.by = map[string]int{}
	a.mu.Unlock()
	a.t.Logf("%s: %v", what, got)
	for version, n := range got {
		if !slices.Contains(by, version) {
			a.t.Errorf("%s: %d requests were answered by %s", what, n, version)
		}
	}
	for _, version := range by {
		if got[version] == 0 {
			a.t.Errorf("%s: no request was answered by %s", what, version)
		}
	}
}

// End asks no more, and insists that all was answered.
func (a *Asking) End() {
	a.t.Helper()
	a.stop()
	a.done.Wait()
	a.t.Logf("%d requests, of which %d failed", a.asked, len(a.failed))
	if len(a.failed) > 0 || a.asked < 100 {
		a.t.Errorf("of %d requests %d failed: %q", a.asked, len(a.failed), a.failed[:min(len(a.failed), 20)])
	}
}
