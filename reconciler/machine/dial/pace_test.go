// Answers that are given up, and those that are not.

package dial

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// slowly has a server write n bytes each so often, times over.
func slowly(t testing.TB, n, times int, every time.Duration) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		for range times {
			select {
			case <-r.Context().Done():
				return
			case <-time.After(every):
			}
			_, _ = io.WriteString(w, strings.Repeat("x", n))
			w.(http.Flusher).Flush()
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// TestAnAnswerKeepsItsPaceOrIsGivenUp: silence and single bytes are; what takes many
// windows and brings enough in each is not, and neither is what its reader leaves waiting.
func TestAnAnswerKeepsItsPaceOrIsGivenUp(t *testing.T) {
	const ms = time.Millisecond
	brisk := Pace{Window: 300 * ms, Least: 100}
	for name, c := range map[string]struct {
		pace     Pace
		n, times int
		every    time.Duration
		rest     time.Duration // of the reader, between reads
		given    any           // up; nil is not
	}{
		"silent":                {brisk, 1, 1, time.Minute, 0, &Slow{}},
		"by the byte":           {brisk, 1, 1000, 20 * ms, 0, &Slow{}},
		"slow and honest":       {brisk, 100, 20, 50 * ms, 0, nil},
		"an unhurried reader":   {brisk, 100, 3, ms, 400 * ms, nil},
		"too long as a whole":   {Pace{Window: 300 * ms, Least: 10, Whole: 400 * ms}, 100, 1000, 20 * ms, 0, &Late{}},
		"without any condition": {Pace{Whole: time.Minute}, 1, 5, 20 * ms, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := &http.Client{Transport: Paced(&http.Transport{DisableKeepAlives: true}, c.pace)}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, slowly(t, c.n, c.times, c.every), strings.NewReader(strings.Repeat("y", 100<<10)))
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			resp, err := client.Do(req)
			if err == nil {
				defer resp.Body.Close()
				buf := make([]byte, 64)
				for err == nil {
					_, err = resp.Body.Read(buf)
					time.Sleep(c.rest)
				}
			}
			var slow *Slow
			var late *Late
			switch c.given.(type) {
			case nil:
				if err != io.EOF {
					t.Errorf("it is given up: %v", err)
				}
			case *Slow:
				if !errors.As(err, &slow) {
					t.Errorf("it ends with %v", err)
				}
			case *Late:
				if !errors.As(err, &late) {
					t.Errorf("it ends with %v", err)
				}
			}
			if took := time.Since(began); c.given != nil && took > 10*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}
