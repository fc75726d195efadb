// What the log takes of the way of an answer.

package server

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vishwaops/vishwa/reconciler/format/predictions"
	"github.com/vishwaops/vishwa/reconciler/machine/predictionlog"
)

// BenchmarkRecord is all that the log does in the way of an answer, in the processor's time: the
// clock on the wall tells how busy the machine is.
func BenchmarkRecord(b *testing.B) {
	for _, size := range []int{1 << 10, 16 << 10, 100 << 10} {
		b.Run(fmt.Sprint(size>>10, "KiB"), func(b *testing.B) {
			log, err := predictionlog.Open(predictionlog.Options{Dir: b.TempDir(), Secret: []byte("s"), Policy: predictions.Policy{Sampling: 0.5}})
			if err != nil {
				b.Fatal(err)
			}
			defer log.Close()
			body := []byte(`{"inputs":[{"name":"a","shape":[1],"data":[` + strings.Repeat("1.25,", size/5-12) + `1]}],"id":"42"}`)
			answer := []byte(`{"outputs":[{"name":"y","shape":[1],"datatype":"FP64","data":[0.25]}]}`)
			r := httptest.NewRequest(http.MethodPost, "/v2/models/m/infer", nil)
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			var used time.Duration
			for b.Loop() {
				w := httptest.NewRecorder()
				began := processorTime()
				rec := newRecord(log, w, r, time.Now())
				rec.asked(body, w)
				rec.skip = false
				to := &recorded{w, rec}
				_, _ = to.Write(answer)
				rec.end(to.Header())
				used += processorTime() - began
			}
			b.ReportMetric(float64(used.Nanoseconds())/1e3/float64(b.N), "cpu-µs/op")
		})
	}
}

// processorTime is what this thread has used so far.
func processorTime() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t)
	return time.Duration(t.Nano())
}
